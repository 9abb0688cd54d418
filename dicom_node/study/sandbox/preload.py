"""All that an analysis process would otherwise load when it meets a file: it can open nothing then."""

import encodings
import pkgutil
import time
from importlib import import_module
from typing import Final

from pydicom.charset import python_encoding

MODULES: Final = (
    # Of pydicom, which imports a decoder when its transfer syntax comes.
    *("pydicom.pixels.decoders", "pydicom.pixels.decoders.rle"),
    *("pydicom.pixels.decoders.pylibjpeg", "pydicom.pixels.decoders.pyjpegls", "pydicom.pixels.utils"),
    *("inference.image.libjpeg_turbo", "imagecodecs._jpeg8", "jpeg_ls", "openjpeg", "pylibjpeg"),
    *("numpy.ma", "numpy.random", "numpy.fft", "numpy.linalg", "numpy.polynomial"),
    # Of Pillow: fonts and colours of the overlay.
    *("PIL.ImageFont", "PIL.ImageDraw", "PIL.ImageCms", "PIL.PngImagePlugin"),
    # Of the standard library: what names errors, and what reads dates.
    *("traceback", "linecache", "_strptime", "zoneinfo", "tempfile", "concurrent.futures.thread"),
)


def preload() -> None:
    """Import every module that reading, decoding and reporting may need, and every character set."""
    for name in MODULES:
        import_module(name)
    for each in pkgutil.iter_modules(encodings.__path__):
        if each.name not in ("mbcs", "oem"):  # of Windows
            import_module(f"encodings.{each.name}")
    for encoding in set(python_encoding.values()):
        "".encode(encoding)  # makes the codec, which is then kept
    time.localtime()  # reads the time zone
