"""Health and metrics over HTTP, for machines that watch this one."""
