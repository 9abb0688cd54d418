"""What a machine's screen draws over a strip, one kind of drawing per module."""
