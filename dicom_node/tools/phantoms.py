"""`echonode phantom`: phantom DICOM files, each with its truth in a JSON file beside it."""

import json
from collections.abc import Collection, Iterator
from pathlib import Path

from inference.phantom.dicom import as_dataset, truth_document
from inference.phantom.strip import make_phantom


def write_phantoms(
    out: Path, *, count: int, seed: int, kind: str | None, manners: Collection[str] = ()
) -> Iterator[Path]:
    """Write `count` phantoms of consecutive seeds and yield the DICOM paths; `kind` None: of all kinds."""
    out.mkdir(parents=True, exist_ok=True)
    for each in range(seed, seed + count):
        made = make_phantom(each, kind, manners)
        path = out / f"{made.kind}_{each}.dcm"
        as_dataset(made).save_as(path, enforce_file_format=True)
        path.with_suffix(".json").write_text(json.dumps(truth_document(made), indent=2) + "\n")
        yield path
