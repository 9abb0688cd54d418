"""Associations with one peer as requestor, and the messages and headers that are exchanged."""
