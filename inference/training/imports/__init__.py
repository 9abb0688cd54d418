"""Import of labels from other tools as labelled strips; one module per format."""
