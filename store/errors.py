"""Errors of the store; each docstring is the sentence an operator reads."""


class StoreError(Exception):
    """The store could not do what it was asked."""

    def __init__(self, detail: str = "") -> None:
        """Use `detail` as the message; without one, the docstring of the class."""
        super().__init__(detail or (type(self).__doc__ or "").strip())


class InvalidUID(StoreError):
    """The UID is not digits and dots of at most 64 characters (PS3.5 9.1)."""


class StoreUnavailable(StoreError):
    """The disk or the database cannot be used now: full, read-only, locked or missing. Try again later."""


class IllegalTransition(StoreError):
    """The row cannot change from its current state to the requested one."""


class NotFound(StoreError):
    """No row has this key."""


class FilesGone(StoreError):
    """Retention removed the files of this study; send its images again, then replay it."""
