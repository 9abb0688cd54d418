"""Start of a receiver: files that a crash left incomplete are removed, those without a row get one."""

import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from uuid import uuid4

import structlog

from dicom_node.errors import Unparsable
from dicom_node.network.header import read_header
from dicom_node.network.peer import Peer
from dicom_node.receive.ingest import Ingest
from dicom_node.runtime import Runtime
from store.errors import InvalidUID
from store.rows import file_removals, file_scans, instances

log = structlog.get_logger(__name__)

PATHS_PER_QUERY = 500


def recover(runtime: Runtime, ingest: Ingest) -> None:
    """Bring files and rows together; the time it takes depends on what was under way, not on the archive.

    Only after a restore, and once with new tables, the whole data folder is looked through.

    Raises:
        StoreUnavailable: disk or database error.
    """
    node = runtime.settings.node
    # A sibling on the same port may be in the middle of a file; it writes at least that often.
    untouched_s = node.network_timeout_s if node.receivers > 1 else 0.0
    removed = runtime.files.clear_incoming(now=runtime.clock(), untouched_s=untouched_s)
    adopted = adopt_leftovers(runtime, ingest)
    with runtime.database.read() as session:
        looks_through = file_scans.is_requested(session)
    if looks_through:
        log.info("looking for files without a row in the whole data folder")
        adopted += adopt_orphans(runtime, ingest)
        with runtime.database.transaction() as session:
            file_scans.finished(session, now=runtime.clock())
    if removed or adopted:
        log.warning("recovered from a crash", partial_files_removed=removed, files_adopted=adopted)


def adopt_leftovers(runtime: Runtime, ingest: Ingest) -> int:
    """Write the rows of files that were linked and perhaps not yet recorded; return how many were missing."""
    return sum(_adopt_leftover(runtime, ingest, link) for link in runtime.files.linked_leftovers())


def _adopt_leftover(runtime: Runtime, ingest: Ingest, link: Path) -> int:
    """Find out what the crash has left of one instance: any of its versions may be without a row."""
    try:
        header = read_header(link)
    except (Unparsable, InvalidUID):
        return _give_row(runtime, ingest, link)
    paths = runtime.files.versions(study_uid=header.study_uid, sop_instance_uid=header.sop_instance_uid)
    if not any(link.samefile(runtime.files.absolute(path)) for path in paths):
        return _give_row(runtime, ingest, link)  # it is in conflicts/, and its audit row may be missing
    adopted = sum(_adopt(runtime, ingest, path) for path in without_row(runtime, paths))
    runtime.files.discard(link)
    return adopted


def adopt_orphans(runtime: Runtime, ingest: Ingest) -> int:
    """Write the rows of all files that have none; return how many."""
    paths, adopted = iter(runtime.files.instance_paths()), 0
    while batch := list(islice(paths, PATHS_PER_QUERY)):
        adopted += sum(_adopt(runtime, ingest, path) for path in without_row(runtime, batch))
    return adopted


def without_row(runtime: Runtime, paths: Sequence[str]) -> list[str]:
    """Return, of files in instances/ by relative path, those that no row knows."""
    with runtime.database.read() as session:
        known = instances.known_paths(session, paths) | file_removals.pending(session, paths)
    return [path for path in paths if path not in known]


def _adopt(runtime: Runtime, ingest: Ingest, path: str) -> bool:
    link = runtime.files.incoming / f"{uuid4()}.part"
    os.link(runtime.files.absolute(path), link)
    return _give_row(runtime, ingest, link)


def _give_row(runtime: Runtime, ingest: Ingest, link: Path) -> bool:
    """Write the row of a file by its link in incoming/, which is removed; return whether it was missing."""
    try:
        header = read_header(link)
    except (Unparsable, InvalidUID) as error:
        log.warning("file without row left alone", file=link.name, error=str(error))
        runtime.files.discard(link)
        return False
    sender = Peer(ae_title=header.sender_ae, ip="")
    return ingest.keep(link, header, sender, event="instance.adopted") == "instance.adopted"
