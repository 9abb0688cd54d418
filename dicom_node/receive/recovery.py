"""Start of a receiver: files that a crash left incomplete are removed, those without a row get one."""

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from uuid import uuid4

import structlog

from dicom_node.receive.ingest import Ingest
from dicom_node.runtime import Runtime
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
    return sum(ingest.adopt(link) for link in runtime.files.linked_leftovers())


def adopt_orphans(runtime: Runtime, ingest: Ingest) -> int:
    """Write the rows of all files that have none; return how many."""
    adopted = 0
    for orphan in _orphans(runtime):
        link = runtime.files.incoming / f"{uuid4()}.part"
        os.link(orphan, link)
        adopted += ingest.adopt(link)
    return adopted


def _orphans(runtime: Runtime) -> Iterator[Path]:
    paths = iter(runtime.files.instance_paths())
    while batch := list(islice(paths, PATHS_PER_QUERY)):
        with runtime.database.read() as session:
            known = instances.known_paths(session, batch) | file_removals.pending(session, batch)
        yield from _absolute(runtime, (path for path in batch if path not in known))


def _absolute(runtime: Runtime, paths: Iterable[str]) -> Iterator[Path]:
    for path in paths:
        yield runtime.files.absolute(path)
