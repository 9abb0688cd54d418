"""Composition roots, one per process, and the table of timed jobs."""
