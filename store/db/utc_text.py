"""Times in the database: ISO 8601 UTC text of fixed width, so that they sort as text."""

from datetime import UTC, datetime

from sqlalchemy import Dialect, String, TypeDecorator


class UtcText(TypeDecorator[datetime]):
    """An aware datetime as `2026-11-22T20:20:00.000000Z`."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:  # noqa: ARG002 SQLAlchemy's signature
        """Write text; a naive datetime is refused with ValueError."""
        return None if value is None else utc_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 SQLAlchemy's signature
        """Read an aware datetime in UTC."""
        return None if value is None else datetime.fromisoformat(value)


def utc_text(at: datetime) -> str:
    """ISO 8601 in UTC with microseconds and a Z; ValueError for a naive datetime."""
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone")
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
