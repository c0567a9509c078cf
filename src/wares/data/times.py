"""Times of a log: ISO 8601, or numbers whose unit is told by their size."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

ISO = "ISO 8601"
UNITS = {"seconds": 1.0, "milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}  # per second
MAX_SECONDS = datetime(2200, 1, 1, tzinfo=UTC).timestamp()


def parse_time(value: object) -> tuple[float, str] | None:
    """Seconds since 1970 and the unit of a time, or None unless it is one from 1970 to 2199.

    value: a number, a text of digits, an ISO 8601 text or a datetime, in UTC unless it names a zone

    A number is in the first of the `UNITS` in which it is before 2200: seconds up to 7.3e9, milliseconds up to 7.3e12.
    Only a whole column tells that small numbers are of another unit.

    Example:
        >>> parse_time(1710123112), parse_time("1710123112345")
        ((1710123112.0, 'seconds'), (1710123112.345, 'milliseconds'))
        >>> parse_time("2024-03-11T02:11:52Z")
        (1710123112.0, 'ISO 8601')
    """
    number = parse_number(value)
    if number is None:
        seconds = _iso_seconds(value)
        return (seconds, ISO) if seconds is not None and 0 <= seconds < MAX_SECONDS else None
    times = ((number / per_second, unit) for unit, per_second in UNITS.items())
    return next((time for time in times if 0 <= time[0] < MAX_SECONDS), None)


def parse_number(value: Any) -> float | None:
    """A finite number, or a text of one, as a float; None for anything else, also for booleans."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _iso_seconds(value: object) -> float | None:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
