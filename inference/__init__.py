"""Pixels and calibration in, centimetres out. No network I/O, no database."""
