"""Input and output values of building reports; they are pickled between processes."""

from dataclasses import dataclass

from dicom_node.errors import NodeError
from dicom_node.report.corrections import Correction
from store.rows.results import Kind


class UnreportableSource(NodeError):
    """The source image cannot be reported: it lacks a UID, or its pixels cannot be shown."""


@dataclass(frozen=True, kw_only=True)
class Predecessor:
    """The report that a new one replaces (Predecessor Documents Sequence, PS3.3 C.17.2)."""

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
    corrections: tuple[Correction, ...] = ()
    """Of what it copies from the source image, the same in all objects of one image."""
