"""Measured strips become DICOM objects: reports, pictures, graphics. The only room that knows highdicom."""
