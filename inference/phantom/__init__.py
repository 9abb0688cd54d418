"""The synthetic M-mode phantom: physics, screen layouts, DICOM wrapping, exact truth."""
