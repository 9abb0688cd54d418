"""A connection becomes a durable instance."""
