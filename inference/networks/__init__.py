"""The two networks, their weights and what they see."""
