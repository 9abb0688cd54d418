"""Errors of the store; each docstring is the sentence an operator reads."""


class StoreError(Exception):
    """The store could not do what it was asked."""

    def __init__(self, detail: str = "") -> None:
        """Say `detail`, or the sentence of the class when there is none."""
        super().__init__(detail or (type(self).__doc__ or "").strip())


class InvalidUID(StoreError):
    """The UID is not digits and dots of at most 64 characters (PS3.5 9.1)."""


class StoreUnavailable(StoreError):
    """The disk or the database cannot be used now: full, read-only, locked or gone. Try again later."""


class IllegalTransition(StoreError):
    """A row may not go from its state to the one asked for."""


class NotFound(StoreError):
    """There is no such row."""


class FilesGone(StoreError):
    """Retention removed the files of this study; send its images again, then replay it."""
