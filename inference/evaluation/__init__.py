"""Accuracy on strips of known truth and on real pictures: figures, targets and a report."""
