"""Free disk space, retention of files, backup of the database."""
