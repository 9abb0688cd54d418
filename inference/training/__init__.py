"""Training of both networks: labelled data sets, sampling, fitting, calibration of thresholds."""
