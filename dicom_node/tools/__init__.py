"""The commands that work without a running node: measure, evaluate, datasets, phantoms, replay, demo."""
