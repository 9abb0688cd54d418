"""What people and machines see of the running node."""
