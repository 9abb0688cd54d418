"""The reports of earlier revisions, which a new report names in its Predecessor Documents Sequence."""

from typing import get_args

from pydicom import dcmread

from dicom_node.report.objects import Predecessor
from dicom_node.settings.fields import SRTemplate
from store.db.database import Database
from store.files.file_store import FileStore
from store.rows import results
from store.rows.instances import Instance
from store.rows.results import Kind, Result

TEMPLATES = get_args(SRTemplate)


def predecessors_of(
    image: Instance, *, revision: int, database: Database, files: FileStore
) -> dict[Kind, Predecessor]:
    """Return the newest earlier report of an image for each template (PS3.3 C.17.2).

    A report whose file retention has removed is left out: its Series Instance UID cannot be read.
    """
    with database.read() as session:
        earlier = results.latest(
            session, source_sop_instance_uid=image.sop_instance_uid, before_revision=revision
        )
    return {
        kind: _predecessor(each, files)
        for kind, each in earlier.items()
        if kind in TEMPLATES and files.absolute(each.path).exists()
    }


def _predecessor(earlier: Result, files: FileStore) -> Predecessor:
    return Predecessor(
        sop_class_uid=earlier.sop_class_uid,
        sop_instance_uid=earlier.sop_instance_uid,
        series_instance_uid=str(
            dcmread(files.absolute(earlier.path), stop_before_pixels=True).SeriesInstanceUID
        ),
        study_uid=earlier.study_uid,
    )
