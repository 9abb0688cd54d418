"""What is wrong with a data set, and where."""

from pathlib import Path


class InvalidDataset(Exception):
    """A data set cannot be read as one."""

    def __init__(self, file: Path | str, what: str, *, annotation: int | str | None = None) -> None:
        """Names the file and, where one is to blame, the annotation id."""
        self.file, self.annotation, self.what = str(file), annotation, what
        where = self.file if annotation is None else f"{file}, annotation {annotation}"
        super().__init__(f"{where}: {what}")
