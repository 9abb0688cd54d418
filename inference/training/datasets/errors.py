"""The error of invalid data sets."""

from pathlib import Path


class InvalidDataset(Exception):
    """A data set cannot be read."""

    def __init__(self, file: Path | str, what: str, *, annotation: int | str | None = None) -> None:
        """Names the file and, if known, the annotation id."""
        self.file, self.annotation, self.what = str(file), annotation, what
        where = self.file if annotation is None else f"{file}, annotation {annotation}"
        super().__init__(f"{where}: {what}")
