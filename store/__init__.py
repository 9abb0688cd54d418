"""What is durable: files, rows, audit, migrations. Plain values in and out."""
