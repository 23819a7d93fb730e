"""When a schedule is due: `rate(5 minutes)`, `cron(0 18 ? * MON-FRI *)`, `at(2026-11-21T13:00:00)`.

AWS: "Schedule types in EventBridge Scheduler",
https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html, and "Setting a schedule
pattern for scheduled rules", eb-scheduled-rule-pattern, read 2026-11-21. Where clocks are put
forward, a time that does not exist is skipped; where they are put back, a time that exists twice is
due once, the first time.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Protocol, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_RATE = re.compile(r"rate\(\s*(\d+)\s+(minute|minutes|hour|hours|day|days)\s*\)")
_CRON = re.compile(r"cron\((.*)\)")
_AT = re.compile(r"at\((\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})\)")
_UNITS: Final = {"minute": 60, "hour": 3_600, "day": 86_400}
_MONTHS: Final = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if number}
_DAYS: Final = {
    name: number
    for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), start=1)
}
_YEAR_MIN: Final = 1970
_YEAR_MAX: Final = 2199

_DaysOfMonth: TypeAlias = Callable[[int, int], frozenset[int]]
"""The days of a (year, month) that a field wants."""


class InvalidSchedule(ValueError):  # noqa: N818 - the word of the API
    """An expression that AWS refuses."""


class Schedule(Protocol):
    """A schedule expression that was read."""

    def next_after(self, moment: datetime, anchor: datetime) -> datetime | None:
        """When it is due next, after a moment; None when never again.

        Args:
            moment: With a time zone.
            anchor: When the schedule began to count; rates count from there.
        """
        ...


@dataclass(frozen=True, slots=True)
class Rate:
    """Every so many seconds, before the anchor and after it."""

    seconds: int

    def next_after(self, moment: datetime, anchor: datetime) -> datetime | None:
        """See `Schedule`."""
        passed = (moment - anchor).total_seconds()
        count = int(passed // self.seconds) + 1
        try:
            return anchor + timedelta(seconds=count * self.seconds)
        except OverflowError:
            return None


@dataclass(frozen=True, slots=True)
class At:
    """Once, at a local time."""

    local: datetime
    zone: ZoneInfo

    def next_after(self, moment: datetime, anchor: datetime) -> datetime | None:
        """See `Schedule`."""
        due = self.local.replace(tzinfo=self.zone).astimezone(UTC)
        return due if due > moment else None


@dataclass(frozen=True, slots=True)
class Cron:
    """Whenever the fields match the local time."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: _DaysOfMonth
    months: frozenset[int]
    years: frozenset[int]
    zone: ZoneInfo

    def next_after(self, moment: datetime, anchor: datetime) -> datetime | None:
        """See `Schedule`."""
        local = moment.astimezone(self.zone).replace(tzinfo=None)
        # A clock that was put back shows an earlier time than the one that has been.
        for candidate in self._from(local - timedelta(hours=2)):
            due = candidate.replace(tzinfo=self.zone).astimezone(UTC)
            exists = due.astimezone(self.zone).replace(tzinfo=None) == candidate
            if exists and due > moment:
                return due
        return None

    def _from(self, local: datetime) -> Iterator[datetime]:
        """Matching local times, from one on, in order."""
        first = local.replace(second=0, microsecond=0)
        for day in self._days_from(first.date()):
            for hour in self.hours:
                for minute in self.minutes:
                    candidate = datetime(day.year, day.month, day.day, hour, minute)  # noqa: DTZ001
                    if candidate >= first:
                        yield candidate

    def _days_from(self, first: date) -> Iterator[date]:
        for year in sorted(self.years):
            if year < first.year:
                continue
            for month in sorted(self.months):
                if (year, month) < (first.year, first.month):
                    continue
                for day in sorted(self.days(year, month)):
                    found = date(year, month, day)
                    if found >= first:
                        yield found


def parse_schedule(text: str, zone: str = "UTC", *, once: bool = True) -> Schedule:
    """Read a schedule expression.

    Args:
        text: The expression.
        zone: The time zone of `cron` and `at`, by its name in the IANA database.
        once: Whether `at(…)` is allowed; EventBridge Scheduler has it, rules have not.

    Raises:
        InvalidSchedule: AWS would refuse it.
    """
    try:
        found_zone = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidSchedule(f"The time zone {zone!r} is not known.") from None
    if match := _RATE.fullmatch(text):
        return _rate(int(match[1]), match[2])
    if match := _CRON.fullmatch(text):
        return _cron(match[1].split(), found_zone)
    if once and (match := _AT.fullmatch(text)):
        try:
            return At(datetime.fromisoformat(match[1]), found_zone)
        except ValueError as error:
            raise InvalidSchedule(f"at(): {error}") from None
    raise InvalidSchedule("It is none of rate(…), cron(…) and at(…).")


def _rate(value: int, unit: str) -> Rate:
    if value < 1:
        raise InvalidSchedule("A rate must be greater than zero.")
    if (value == 1) == unit.endswith("s"):
        raise InvalidSchedule("A value of 1 has a singular unit, others a plural one.")
    return Rate(value * _UNITS[unit.removesuffix("s")])


def _cron(fields: list[str], zone: ZoneInfo) -> Cron:
    if len(fields) != 6:
        raise InvalidSchedule(f"cron has six fields, not {len(fields)}.")
    minutes, hours, days, months, weekdays, years = (field.upper() for field in fields)
    if (days == "?") == (weekdays == "?"):
        raise InvalidSchedule("Exactly one of day-of-month and day-of-week must be ?.")
    return Cron(
        tuple(sorted(_numbers(minutes, 0, 59))),
        tuple(sorted(_numbers(hours, 0, 23))),
        _days_of_week(weekdays) if days == "?" else _days_of_month(days),
        _numbers(months, 1, 12, _MONTHS),
        _numbers(years, _YEAR_MIN, _YEAR_MAX),
        zone,
    )


def _numbers(
    field: str, least: int, most: int, names: Mapping[str, int] | None = None
) -> frozenset[int]:
    """The values of a field: `*`, `5`, `1-5`, `*/15`, `0-30/10`, `MON,WED`."""
    found: set[int] = set()
    for part in field.split(","):
        span, slash, step_text = part.partition("/")
        step = _number(step_text, 1, most, {}) if slash else 1
        if span == "*":
            found |= set(range(least, most + 1, step))
            continue
        first_text, dash, last_text = span.partition("-")
        first = _number(first_text, least, most, names or {})
        if not dash:
            found |= set(range(first, most + 1, step)) if slash else {first}
            continue
        last = _number(last_text, least, most, names or {})
        if first <= last:
            found |= set(range(first, last + 1, step))
        else:
            # FRI-MON goes over the end of the week.
            around = [*range(first, most + 1), *range(least, last + 1)]
            found |= set(around[::step])
    return frozenset(found)


def _number(text: str, least: int, most: int, names: Mapping[str, int]) -> int:
    if text in names:
        return names[text]
    if not (text.isascii() and text.isdecimal()) or not least <= int(text) <= most:
        raise InvalidSchedule(f"{text!r} is not from {least} to {most}.")
    return int(text)


def _last_day(year: int, month: int) -> int:
    return calendar.monthrange(year, month)[1]


def _days_of_month(field: str) -> _DaysOfMonth:
    if field == "L":
        return lambda year, month: frozenset({_last_day(year, month)})
    if field == "LW":
        return lambda year, month: frozenset(
            {_nearest_weekday(year, month, _last_day(year, month))}
        )
    if field.endswith("W"):
        wanted = _number(field[:-1], 1, 31, {})
        return lambda year, month: (
            frozenset({_nearest_weekday(year, month, wanted)})
            if wanted <= _last_day(year, month)
            else frozenset()
        )
    numbers = _numbers(field, 1, 31)
    return lambda year, month: frozenset(day for day in numbers if day <= _last_day(year, month))


def _nearest_weekday(year: int, month: int, day: int) -> int:
    """The weekday nearest to a day, within its month."""
    weekday = date(year, month, day).weekday()
    if weekday == 5:
        return day - 1 if day > 1 else day + 2
    if weekday == 6:
        return day + 1 if day < _last_day(year, month) else day - 2
    return day


def _days_of_week(field: str) -> _DaysOfMonth:
    if "#" in field:
        day_text, _, nth_text = field.partition("#")
        day, nth = _number(day_text, 1, 7, _DAYS), _number(nth_text, 1, 5, {})
        return lambda year, month: frozenset(_weekdays(year, month, day)[nth - 1 : nth])
    if field == "L":
        # The last day of the week.
        return lambda year, month: frozenset(_weekdays(year, month, 7))
    if field.endswith("L") and field not in _DAYS:
        day = _number(field[:-1], 1, 7, _DAYS)
        return lambda year, month: frozenset(_weekdays(year, month, day)[-1:])
    wanted = _numbers(field, 1, 7, _DAYS)
    return lambda year, month: frozenset(
        day for weekday in wanted for day in _weekdays(year, month, weekday)
    )


def _weekdays(year: int, month: int, weekday: int) -> list[int]:
    """The days of a month that fall on a weekday, 1 for Sunday."""
    first = date(year, month, 1).isoweekday() % 7 + 1
    start = 1 + (weekday - first) % 7
    return list(range(start, _last_day(year, month) + 1, 7))
