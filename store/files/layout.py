"""Where files lie: instances/3f7/STUDY/OBJECT.dcm, the same under results/, and conflicts/3f7/OBJECT.SHA.dcm.

The three digits are a hash of the UID that follows. They spread a million studies over 4096 folders of some
250 entries. Up to migration 0007 a study's folder lay directly in instances/ or results/, and a conflict in
conflicts/: such files stay where they are, and new files of the study lie beside them or in the new place.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from store.files.uids import check_uid

DIGITS = 3


def spread(uid: str) -> str:
    """Return the name of the folder for a UID."""
    return hashlib.sha256(uid.encode("ascii")).hexdigest()[:DIGITS]


def existing_or_new(
    root: Path, kind: Literal["instances", "results"], study_uid: str, sop_instance_uid: str
) -> Path:
    """Return where the file of an object is, if an earlier version has stored it, and else where it belongs.

    Raises:
        InvalidUID: one of the UIDs is invalid.
    """
    study, name = check_uid(study_uid), f"{check_uid(sop_instance_uid)}.dcm"
    former = root / kind / study / name
    return former if former.exists() else root / kind / spread(study) / study / name


def temporary(path: Path) -> Path:
    """Return where a result is written before it gets its name."""
    return path.with_suffix(".part")


def version(root: Path, study_uid: str, sop_instance_uid: str, sha256: str) -> Path:
    """Return where a corrected version of an instance belongs, beside the one it corrects.

    Raises:
        InvalidUID: one of the UIDs is invalid.
    """
    first = existing_or_new(root, "instances", study_uid, sop_instance_uid)
    return first.with_name(f"{sop_instance_uid}.{sha256[:16]}.dcm")


def versions(root: Path, study_uid: str, sop_instance_uid: str) -> Iterator[Path]:
    """Yield the files of an instance in either layout, corrected versions included.

    Raises:
        InvalidUID: one of the UIDs is invalid.
    """
    study, uid = check_uid(study_uid), check_uid(sop_instance_uid)
    name = re.compile(rf"{re.escape(uid)}(\.[0-9a-f]{{16}})?\.dcm")
    for folder in (root / "instances" / study, root / "instances" / spread(study) / study):
        if folder.is_dir():
            yield from (path for path in entries(folder) if name.fullmatch(path.name))


def conflict(root: Path, sop_instance_uid: str, sha256: str) -> Path:
    """Return where the data set of a UID that exists with another data set belongs.

    Raises:
        InvalidUID: the UID is invalid.
    """
    uid = check_uid(sop_instance_uid)
    name = f"{uid}.{sha256[:16]}.dcm"
    former = root / "conflicts" / name
    return former if former.exists() else root / "conflicts" / spread(uid) / name


def entries(folder: Path) -> list[Path]:
    """Return what is in a folder, by name."""
    return sorted(folder.iterdir())


def files(folder: Path) -> Iterator[Path]:
    """Yield the files of studies in instances/ or results/, of either layout; one folder is in memory."""
    for first in entries(folder):
        for second in entries(first):
            if second.suffix == ".dcm":
                yield second
            else:
                yield from (path for path in entries(second) if path.suffix == ".dcm")
