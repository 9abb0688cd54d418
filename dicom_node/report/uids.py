"""The UIDs of result objects, which the process that builds them and the one that checks them both derive."""

from dicom_node.identity import derived_uid
from dicom_node.report.context import ReportContext


def result_uid(kind: str, source_uid: str, context: ReportContext, part: str = "") -> str:
    """Return the SOP Instance UID of a result, which a retry and only a retry has again.

    Args:
        kind: of the object, see `store.rows.results.Kind`.
        source_uid: the SOP Instance UID of the image.
        context: its model, revision and variant count.
        part: distinguishes objects of one kind and source, such as overlays of several frames.
    """
    made = (context.model.sha256, str(context.revision), context.plan.variant)
    return derived_uid(kind, source_uid, *made, part)


def series_uid(kind: str, study_uid: str, source_series_uid: str) -> str:
    """Return the Series Instance UID of a result: all revisions of one kind are in one series."""
    return derived_uid(kind, study_uid, source_series_uid)
