"""DICOM messages and associations towards one peer."""
