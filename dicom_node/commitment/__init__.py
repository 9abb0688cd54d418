"""Storage commitment (PS3.4 Annex J), as user and as provider."""
