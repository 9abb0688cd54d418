"""Results as DICOM objects: SR, overlay image, presentation state. The only room that imports highdicom."""
