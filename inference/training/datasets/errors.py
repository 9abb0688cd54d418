"""The error of invalid data sets, and the conversion of errors of reading into it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class InvalidDataset(Exception):
    """A data set cannot be read."""

    def __init__(self, file: Path | str, what: str, *, annotation: int | str | None = None) -> None:
        """Names the file and, if known, the annotation id."""
        self.file, self.annotation, self.what = str(file), annotation, what
        where = self.file if annotation is None else f"{file}, annotation {annotation}"
        super().__init__(f"{where}: {what}")


@contextmanager
def invalid_if_malformed(path: Path, what: str) -> Iterator[None]:
    """Context in which a file is read and its structure accessed.

    Raises:
        InvalidDataset: the file cannot be read, or its content has another structure; `what` says so.
    """
    try:
        yield
    except OSError as error:
        raise InvalidDataset(path, f"cannot be read: {error.strerror}") from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise InvalidDataset(path, f"{what}: {error!r}") from error
