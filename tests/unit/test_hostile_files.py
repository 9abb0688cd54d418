"""Files that say more than they hold: refused soon, and before anything is allocated for what they say."""

import resource
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from pydicom.encaps import encapsulate
from support import builders, decoding_analyzer, hostile_files
from support.hostile_files import UNDEFINED, element, images, replaced

from dicom_node.errors import Unparsable
from dicom_node.network.header import read_header
from dicom_node.study.image_result import ImageResult, examine
from dicom_node.tools.measure import run_measure
from inference.image import reading
from inference.image.palette import MAX_ENTRIES, check_length
from store.errors import InvalidUID

ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, UNDEFINED)
EMPTY_ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, 0)
END = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
SEQUENCE = element("ReferencedSeriesSequence", "SQ", b"", length=UNDEFINED)
MORE_BYTES, BOMB_BYTES = 96 << 20, 128 << 20


def data_set(name: str = "gray") -> tuple[bytes, bytes]:
    """Return (all before the data set, the data set) of an image."""
    whole = images()[name]
    start = 144 + struct.unpack_from("<I", whole, 140)[0]
    return whole[:start], whole[start:]


def before(first: bytes) -> bytes:
    """Return a file whose data set begins with something else."""
    meta, body = data_set()
    return meta + first + body


def deflated_bomb() -> bytes:
    """Return a small file whose deflated data set begins with a large private element."""
    meta, body = data_set("deflated")
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    parts = [deflate.compress(struct.pack("<HH2sHI", 0x0009, 0x1001, b"OB", 0, BOMB_BYTES))]
    parts += [deflate.compress(bytes(1 << 20)) for _ in range(BOMB_BYTES >> 20)]
    parts += [deflate.compress(zlib.decompress(body, -zlib.MAX_WBITS)), deflate.flush()]
    return meta + b"".join(parts)


def told(keyword: str, vr: str, value: bytes, *, length: int | None = None, name: str = "gray") -> bytes:
    """Return an image with this in the place of an element."""
    return replaced(images()[name], keyword, element(keyword, vr, value, length=length))


def rle(*, segments: int, size: int) -> bytes:
    """Return an RLE image whose frame is so many bytes of runs."""
    header = struct.pack("<16I", segments, *[64] * segments, *[0] * (15 - segments))
    coded = encapsulate([header + b"\x81\x00" * (size // 2)]) + END
    return told("PixelData", "OB", coded, length=UNDEFINED, name="RLE")


def palette(*words: int) -> bytes:
    """Return a palette image with this red table."""
    table = struct.pack(f"<{len(words)}H", *words)
    return told("SegmentedRedPaletteColorLookupTableData", "OW", table, name="palette")


@contextmanager
def sparingly() -> Iterator[None]:
    """Let this process have only so much more memory: far less than the files ask for."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MORE_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.parametrize(
    "whole",
    [
        before(SEQUENCE + ITEM),
        before((SEQUENCE + ITEM) * 10_000),
        before(SEQUENCE + EMPTY_ITEM * 200_000 + END),
        before(element("ImageType", "CS", b"") * 200_000),
        told("SOPInstanceUID", "UN", b"1.2.3", length=UNDEFINED - 1),
        told("SOPInstanceUID", "UL", b"1.2"),
    ],
    ids=["no end", "deep", "many items", "many elements", "4 GiB of a UID", "a cut number"],
)
def test_the_receiver_refuses_what_would_keep_it(whole: bytes, tmp_path: Path) -> None:
    """A header that is endless, deep, or longer than its file is no data set, and that is soon known."""
    path = tmp_path / "hostile.dcm"
    path.write_bytes(whole)

    with sparingly(), pytest.raises(Unparsable, match=r"^(?!MemoryError)"):
        read_header(path)


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")  # a receiver has silenced these
def test_the_receiver_does_not_quote_a_uid_that_is_none(tmp_path: Path) -> None:
    """A patient's name in the place of a UID does not come out."""
    path = tmp_path / "hostile.dcm"
    path.write_bytes(told("SeriesInstanceUID", "UI", hostile_files.MARKER.encode()))

    with pytest.raises(InvalidUID, match=r"^SeriesInstanceUID is not a UID$"):
        read_header(path)


def test_the_receiver_inflates_the_beginning_only(tmp_path: Path) -> None:
    """A deflated bomb behind the header is not its concern; one before it is refused."""
    path = tmp_path / "bomb.dcm"
    path.write_bytes(deflated_bomb())
    with sparingly(), pytest.raises(Unparsable, match=r"^(?!MemoryError)"):
        read_header(path)

    path.write_bytes(images()["deflated"])
    with sparingly():
        assert read_header(path)


@pytest.mark.parametrize(
    ("whole", "reason"),
    [
        (before((SEQUENCE + ITEM) * 10_000), "undecodable"),
        (told("PixelData", "OB", b"", length=UNDEFINED - 1), "no_pixel_data"),
        (told("Rows", "UL", struct.pack("<I", 2**31)), "undecodable"),
        (told("Rows", "DS", b"9" * 10_000), "undecodable"),
        (told("Columns", "SS", struct.pack("<h", -64)), "undecodable"),
        (told("NumberOfFrames", "IS", b"2147483648", name="RLE clip"), "too_large"),
        (told("NumberOfFrames", "IS", b"1e400", name="RLE clip"), "undecodable"),
        (told("SeriesInstanceUID", "UI", b"1\\2"), "undecodable"),
        (rle(segments=3, size=1 << 20), "undecodable"),
        (palette(0, 1, 0, *[2, 60_000, 0, 0] * 8), "undecodable"),
    ],
    ids=[
        *("deep", "4 GiB of pixels", "2^31 rows", "10 kB of rows", "negative columns", "2^31 frames"),
        *("frames without end", "two UIDs", "RLE", "palette"),
    ],
)
def test_the_analysis_refuses_what_would_kill_it(whole: bytes, reason: str, tmp_path: Path) -> None:
    """Each lie has its reason, without the memory it asks for."""
    path = tmp_path / "hostile.dcm"
    path.write_bytes(whole)

    with sparingly():
        result = look(path)

    assert result.reason == reason
    assert hostile_files.MARKER not in str(result)


def look(path: Path) -> ImageResult:
    """Examine a file that no row knows."""
    return examine(None, path, decoding_analyzer.analyse)  # type: ignore[arg-type] - passed along only


def test_a_deflated_bomb_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that becomes too much is refused without it, in the node and by `measure`, which goes on."""
    bomb, fine = (
        tmp_path / "bomb.dcm",
        builders.save(builders.us_image(builders.texture()), tmp_path / "fine.dcm"),
    )
    bomb.write_bytes(deflated_bomb())

    monkeypatch.setattr(reading, "MAX_INFLATED_BYTES", BOMB_BYTES // 2)

    with sparingly():
        assert look(bomb).reason == "too_large"
    monkeypatch.setattr("dicom_node.tools.measure.load_model", lambda *_: decoding_analyzer)
    monkeypatch.setattr("dicom_node.tools.measure.analyse", lambda ds, _: decoding_analyzer.analyse(ds))
    monkeypatch.setattr(decoding_analyzer, "identity", decoding_analyzer.MODEL, raising=False)
    assert run_measure([bomb, fine], as_json=True, overlays=None, weights="", device="cpu") == 0
    assert '"too_large"' in capsys.readouterr().out


def test_a_large_deflated_image_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to the bound nothing changes."""
    path, whole = tmp_path / "deflated.dcm", images()["deflated"]
    path.write_bytes(whole)
    size = len(zlib.decompress(data_set("deflated")[1], -zlib.MAX_WBITS))

    monkeypatch.setattr(reading, "MAX_INFLATED_BYTES", size)
    assert look(path).measured
    monkeypatch.setattr(reading, "MAX_INFLATED_BYTES", size - 1)
    assert look(path).reason == "too_large"


@pytest.mark.parametrize("wide", [True, False])
def test_the_length_of_a_palette(wide: bool) -> None:
    """Discrete and linear segments count as they are, indirect ones as often as they are repeated."""
    discrete, linear = [0, 2, 7, 7], [1, 200, 255]
    indirect = [2, 2, 0, 0] if wide else [2, 2, 0, 0, 0, 0]
    check_length([*discrete, *linear, *indirect], wide=wide)
    check_length([*discrete, *linear, *indirect * 300], wide=wide)

    with pytest.raises(ValueError, match=str(MAX_ENTRIES)):
        check_length([*discrete, *linear, *indirect * 400], wide=wide)
    with pytest.raises(ValueError, match=str(MAX_ENTRIES)):
        check_length([*discrete, *(2, 0, 0, 0, 0, 0)], wide=wide)


def test_noise_is_a_legal_rle_image() -> None:
    """The bound on RLE is above what an encoder makes of the worst picture."""
    noise = np.random.default_rng(1).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    ds = builders.us_image(noise)
    ds.compress("1.2.840.10008.1.2.5", generate_instance_uid=False)

    assert decoding_analyzer.analyse(ds)[0].measured
