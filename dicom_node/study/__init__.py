"""A complete study becomes results."""
