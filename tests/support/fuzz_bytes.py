"""Coverage-guided mutation of whole files, in a process of its own, by atheris.

    python -m support.fuzz_bytes header|pixels SCRATCH CORPUS -runs=N -seed=S

`header` is what the receiver reads of a file, `pixels` what the analysis reads and decodes. Ends with
an error as soon as a file does anything but be read or be refused.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import atheris

from support import hostile_files  # brings pydicom, whose dictionaries take a minute to instrument

with atheris.instrument_imports(include=["dicom_node", "inference"]):
    from dicom_node.errors import Unparsable
    from dicom_node.network.header import read_header
    from dicom_node.process import logs
    from dicom_node.study.image_result import examine
    from store.errors import InvalidUID
    from support import decoding_analyzer


def main() -> None:
    """Do what the command line says."""
    target, scratch, *options = sys.argv[1:]
    logs.quiet_libraries()
    look = {"header": header, "pixels": pixels}[target]
    atheris.Setup([sys.argv[0], *options], once(look, Path(scratch)))
    atheris.Fuzz()


def once(look: Callable[[Path], str], scratch: Path) -> Callable[[bytes], None]:
    """Return the function that atheris calls with each file's bytes."""

    def test_one(data: bytes) -> None:
        scratch.write_bytes(data)
        assert hostile_files.MARKER not in look(scratch)

    return test_one


def header(path: Path) -> str:
    """Read the header; return the refusal."""
    try:
        read_header(path)
    except (Unparsable, InvalidUID) as error:
        return str(error)
    return ""


def pixels(path: Path) -> str:
    """Read and decode; return all that the result says."""
    return str(examine(None, path, decoding_analyzer.analyse))  # type: ignore[arg-type] - passed along only


if __name__ == "__main__":
    main()
