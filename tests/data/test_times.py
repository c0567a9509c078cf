"""Times: one moment in every form, the ranges of units by eye, and values that are no time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wares.data.times import ISO, MAX_SECONDS, UNITS, parse_number, parse_time


def rounded(value: object) -> tuple[float, str] | None:
    """A time to the millisecond."""
    time = parse_time(value)
    return time and (round(time[0], 3), time[1])


@pytest.mark.parametrize(
    ("value", "seconds", "unit"),
    [
        (1710123112, 1710123112.0, "seconds"),
        ("1710123112.5", 1710123112.5, "seconds"),
        (Decimal(1710123112), 1710123112.0, "seconds"),
        ("1710123112345", 1710123112.345, "milliseconds"),
        (1.710123112345e15, 1710123112.345, "microseconds"),
        (1710123112345000000, 1710123112.345, "nanoseconds"),
        ("2024-03-11T02:11:52Z", 1710123112.0, ISO),
        ("2024-03-11 03:11:52+01:00", 1710123112.0, ISO),
        (datetime(2024, 3, 11, 2, 11, 52), 1710123112.0, ISO),
        (datetime(2024, 3, 11, 3, 11, 52, tzinfo=timezone(timedelta(hours=1))), 1710123112.0, ISO),
        (date(2024, 3, 11), 1710115200.0, ISO),
        ("20240311", 20240311.0, "seconds"),  # digits are a number, never a date
    ],
)
def test_every_form_of_a_time(value: object, seconds: float, unit: str) -> None:
    assert rounded(value) == (seconds, unit)


@given(st.datetimes(datetime(1971, 1, 1), datetime(2199, 12, 31)))
def test_every_unit_gives_the_moment_that_iso_8601_gives(moment: datetime) -> None:
    seconds = moment.replace(tzinfo=UTC, microsecond=0).timestamp()
    for unit, per_second in UNITS.items():
        if unit == "seconds" or seconds * per_second / 1e3 >= MAX_SECONDS:  # early milliseconds look like seconds
            number = int(seconds) * int(per_second)
            assert rounded(number) == rounded(str(number)) == (seconds, unit)
    assert parse_time(moment.replace(microsecond=0).isoformat()) == (seconds, ISO)


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, "", "yesterday", [1]),
        *(float("nan"), float("inf"), "nan", "-inf", 10**400, "1e400"),
        *(-1, "-1", "1969-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"),
        *("2200-01-01", "9999-12-31T23:59:59-12:00", MAX_SECONDS * 1e9),
    ],
)
def test_values_that_are_no_time(value: object) -> None:
    assert parse_time(value) is None


def test_numbers_are_finite() -> None:
    assert [parse_number(value) for value in (2, "2.5", Decimal("0.1"))] == [2.0, 2.5, 0.1]
    assert [parse_number(value) for value in (True, None, "two", "nan", float("inf"), 10**400)] == [None] * 6
