"""Alembic's scripts, shipped inside the package; `Database.upgrade` runs them."""
