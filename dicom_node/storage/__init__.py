"""Room on the disk: thresholds, retention, backup."""
