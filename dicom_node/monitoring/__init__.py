"""Checks, metrics and health of the node, for administrators and monitoring systems."""
