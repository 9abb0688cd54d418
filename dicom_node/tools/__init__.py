"""Bodies of the offline commands."""
