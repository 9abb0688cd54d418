"""What a scanner draws over a strip, one kind of drawing per module."""
