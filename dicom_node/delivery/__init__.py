"""Sending of results to their destinations."""
