"""Durable files: the object store, digests, fsync, kinds of file systems."""
