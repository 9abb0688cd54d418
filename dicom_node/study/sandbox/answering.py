"""What an analysis process does once it has given up everything else: it answers requests."""

import io
import os
from collections.abc import Sequence
from typing import BinaryIO, Final

from dicom_node.errors import NodeError, place_of
from dicom_node.study.image_analyzer import ImageAnalyzer, Loaded
from dicom_node.study.sandbox.channel import Channel
from dicom_node.study.sandbox.confinement import reachable
from dicom_node.study.sandbox.messages import (
    MAX_REQUEST_BYTES,
    Answer,
    BuildReport,
    Confined,
    Denied,
    Examine,
    Examined,
    Failure,
    OutOfMemory,
    Refusal,
    Reply,
    ReportBuilt,
    Request,
    decode,
    encode,
)
from dicom_node.study.sandbox.pixels import put

MOST_LINES: Final = 100
LONGEST_LINE: Final = 1000


def serve(worker: Channel, analyzer: Loaded, held: list[str], said: io.StringIO) -> None:
    """Say what was given up, then answer requests until the worker closes the connection (EOFError).

    Args:
        worker: the other end.
        analyzer: loaded.
        held: the mechanisms in force.
        said: where log lines go, as no stream is open.
    """
    worker.send(encode(Reply(id=0, answer=Confined(open=tuple(reachable()), by=tuple(held)))))
    while True:
        data, descriptors = worker.receive_with_file(limit_bytes=MAX_REQUEST_BYTES)
        request = decode(data, Request, Request)
        image, *memory = descriptors
        with os.fdopen(image, "rb") as file:
            answer_ = answer(analyzer, request.do, file, memory)
        for each in memory:
            os.close(each)
        worker.send(encode(Reply(id=request.id, answer=answer_, log=_lines(said))))


def answer(
    analyzer: Loaded,
    request: Examine | BuildReport,
    file: BinaryIO,
    memory: Sequence[int],
) -> Answer:
    """Carry out a request; exceptions become answers without text from the image."""
    try:
        match request:
            case Examine(image=image):
                if isinstance(analyzer, ImageAnalyzer):
                    return Examined(result=analyzer.examine(image, file))
                result, pixels = analyzer.decode(image, file)
                return put(result, pixels, *memory) if pixels else Examined(result=result)
            case BuildReport(result=result, context=context):
                return ReportBuilt(objects=tuple(analyzer.report(result, file, context)))
    except NodeError as error:
        return Refusal(sentence=str(error))
    except PermissionError as error:
        return Denied(place=place_of(error))
    except Exception as error:  # noqa: BLE001 - as above
        return OutOfMemory() if is_shortage(error) else Failure(place=place_of(error))


def is_shortage(error: Exception) -> bool:
    """Tell whether memory ran out; torch raises a RuntimeError with "can't allocate memory"."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "allocat" in str(error))


def _lines(said: io.StringIO) -> tuple[str, ...]:
    lines = said.getvalue().splitlines()[:MOST_LINES]
    said.seek(0)
    said.truncate()
    return tuple(line[:LONGEST_LINE] for line in lines)
