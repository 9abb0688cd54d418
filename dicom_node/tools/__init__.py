"""Commands that need no running node: measure, evaluate, datasets, phantoms, replay, demo."""
