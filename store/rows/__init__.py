"""Rows, one noun a module."""
