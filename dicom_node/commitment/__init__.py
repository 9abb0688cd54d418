"""Storage commitment (PS3.4 Annex J), as SCU and as SCP."""
