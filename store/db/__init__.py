"""The database: connection, schema, states, migrations."""
