"""One DICOM object becomes calibrated M-mode strips."""
