"""The rows of the database: one module per kind of row, without SQL outside of it."""
