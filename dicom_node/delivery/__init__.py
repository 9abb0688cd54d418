"""Results go to their destinations."""
