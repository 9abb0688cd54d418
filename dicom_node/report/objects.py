"""What goes into the building of reports and what comes out: plain values that may cross processes."""

from dataclasses import dataclass

from dicom_node.errors import NodeError
from store.rows.results import Kind


class UnreportableSource(NodeError):
    """The source image cannot be reported on: it lacks a UID, or its patient cannot be named legally."""


@dataclass(frozen=True, kw_only=True)
class Predecessor:
    """The document that a corrected one replaces."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_uid: str


@dataclass(frozen=True, kw_only=True)
class ReportObject:
    """One finished DICOM file, Explicit VR Little Endian."""

    kind: Kind
    sop_instance_uid: str
    sop_class_uid: str
    data: bytes
