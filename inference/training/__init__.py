"""Data sets, range-extended sampling and fitting of both networks."""
