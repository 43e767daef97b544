"""Times as the services write them, all in UTC, from seconds since the epoch."""

from datetime import UTC, datetime


def with_z(seconds: float | None) -> str | None:
    """2026-11-21T10:25:37Z: Nova, Neutron, Glance."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def with_microseconds(seconds: float | None) -> str | None:
    """2026-11-21T10:25:37.000000: Cinder, and Nova's extended attributes."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")


def with_microseconds_z(seconds: float | None) -> str | None:
    """2026-11-21T10:25:37.000000Z: Keystone."""
    return None if seconds is None else f"{with_microseconds(seconds)}Z"


def seconds(text: str) -> float:
    """Any of the above, read. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
