"""The DICOM program: network, reports, pipeline, roles, web pages, commands."""

__version__ = "0.1.0"
