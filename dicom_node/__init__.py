"""The DICOM program: network, reports, pipeline, worker, web page, commands."""

__version__ = "0.1.0"
