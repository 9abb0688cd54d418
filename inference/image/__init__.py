"""From one DICOM data set to calibrated M-mode strips."""
