"""Logs, clocks, stop signal and locks of a process."""
