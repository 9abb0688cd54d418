"""Health and metrics over HTTP, for machines that watch this one."""

from dicom_node.web.password import Password
from dicom_node.web.service import WebService

__all__ = ["Password", "WebService"]
