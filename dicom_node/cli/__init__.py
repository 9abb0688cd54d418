"""The commands. Bodies live elsewhere."""
