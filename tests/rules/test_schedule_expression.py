"""When schedules are due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.rules.schedule_expression import InvalidSchedule, parse_schedule

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)  # a Saturday


def dues(text: str, count: int, *, zone: str = "UTC", after: datetime = NOON) -> list[str]:
    """So many due times after a moment, in UTC."""
    schedule = parse_schedule(text, zone)
    found: list[str] = []
    moment = after
    for _ in range(count):
        due = schedule.next_after(moment, after)
        if due is None:
            break
        found.append(f"{due:%Y-%m-%d %H:%M:%S}".removesuffix(":00"))
        moment = due
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("cron(0 10 * * ? *)", ["2026-11-22 10:00", "2026-11-23 10:00"], id="daily"),
        pytest.param(
            "cron(15 12 * * ? *)", ["2026-11-21 12:15", "2026-11-22 12:15"], id="later today"
        ),
        pytest.param(
            "cron(0 18 ? * MON-FRI *)", ["2026-11-23 18:00", "2026-11-24 18:00"], id="weekdays"
        ),
        pytest.param(
            "cron(0 8 1 * ? *)", ["2026-12-01 08:00", "2027-01-01 08:00"], id="first of month"
        ),
        pytest.param(
            "cron(0/15 * * * ? *)", ["2026-11-21 12:15", "2026-11-21 12:30"], id="quarter hours"
        ),
        pytest.param(
            "cron(0/10 * ? * MON-FRI *)", ["2026-11-23 00:00", "2026-11-23 00:10"], id="step"
        ),
        pytest.param(
            "cron(0/5 8-17 ? * MON-FRI *)", ["2026-11-23 08:00", "2026-11-23 08:05"], id="hours"
        ),
        pytest.param(
            "cron(0 0 L * ? *)", ["2026-11-30 00:00", "2026-12-31 00:00"], id="last of month"
        ),
        pytest.param(
            "cron(0 9 ? * 2#1 *)", ["2026-12-07 09:00", "2027-01-04 09:00"], id="first Monday"
        ),
        pytest.param(
            "cron(0 9 ? * 6L *)", ["2026-11-27 09:00", "2026-12-25 09:00"], id="last Friday"
        ),
        pytest.param("cron(0 9 ? * L *)", ["2026-11-28 09:00", "2026-12-05 09:00"], id="Saturday"),
        pytest.param(
            "cron(0 9 15W * ? *)", ["2026-12-15 09:00", "2027-01-15 09:00"], id="nearest weekday"
        ),
        pytest.param(
            "cron(0 9 1W * ? *)",
            ["2026-12-01 09:00", "2027-01-01 09:00", "2027-02-01 09:00", "2027-03-01 09:00"],
            id="first weekday",
        ),
        pytest.param(
            "cron(0 9 1W MAY ? 2027)", ["2027-05-03 09:00"], id="1W does not leave its month"
        ),
        pytest.param("cron(0 9 ? * FRI-MON *)", ["2026-11-22 09:00"], id="around the week's end"),
        pytest.param("cron(0 0 29 2 ? *)", ["2028-02-29 00:00"], id="leap day"),
        pytest.param("cron(0 0 30 2 ? *)", [], id="a day that never comes"),
        pytest.param("cron(0 0 1 1 ? 2026)", [], id="a year that is over"),
        pytest.param("cron(30 6 ? JAN,JUL SUN 2027)", ["2027-01-03 06:30"], id="names"),
        pytest.param("rate(1 minute)", ["2026-11-21 12:01", "2026-11-21 12:02"], id="a minute"),
        pytest.param("rate(6 hours)", ["2026-11-21 18:00", "2026-11-22 00:00"], id="six hours"),
        pytest.param("rate(1 day)", ["2026-11-22 12:00"], id="a day"),
        pytest.param("at(2026-11-21T13:00:05)", ["2026-11-21 13:00:05"], id="once"),
        pytest.param("at(2026-11-21T11:00:00)", [], id="once, and over"),
    ],
)
def test_due_times(text: str, expected: list[str]) -> None:
    """AWS's own examples, and the corners of their wildcards."""
    assert dues(text, max(1, len(expected)))[: len(expected) or None] == expected


@pytest.mark.parametrize(
    "text",
    [
        "cron(0 10 * * * *)",
        "cron(0 10 ? * ? *)",
        "cron(0 10 * * ?)",
        "cron(60 10 * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0 10 32 * ? *)",
        "cron(0 10 ? * 8 *)",
        "cron(0 10 ? * 2#6 *)",
        "cron(0 10 ? * MOON *)",
        "cron(0 10 * * ? 1969)",
        "cron(a b c d e f)",
        "rate(0 minutes)",
        "rate(1 minutes)",
        "rate(5 minute)",
        "rate(5 seconds)",
        "rate(-5 minutes)",
        "at(2026-13-01T00:00:00)",
        "at(tomorrow)",
        "every day",
        "",
    ],
)
def test_what_aws_refuses_is_refused(text: str) -> None:
    """Each with a reason."""
    with pytest.raises(InvalidSchedule) as caught:
        parse_schedule(text)

    assert str(caught.value)


def test_once_is_not_for_rules() -> None:
    """at() belongs to EventBridge Scheduler alone."""
    with pytest.raises(InvalidSchedule):
        parse_schedule("at(2026-11-21T13:00:00)", once=False)


def test_an_unknown_time_zone_is_refused() -> None:
    """By its name."""
    with pytest.raises(InvalidSchedule, match="Europe/Nowhere"):
        parse_schedule("rate(1 day)", "Europe/Nowhere")


def test_a_time_that_does_not_exist_is_skipped() -> None:
    """Berlin, 29 March 2026: 02:30 is never shown by a clock."""
    after = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)

    assert dues("cron(30 2 * * ? *)", 2, zone="Europe/Berlin", after=after) == [
        "2026-03-30 00:30",
        "2026-03-31 00:30",
    ]


def test_a_time_that_exists_twice_is_due_once() -> None:
    """New York, 1 November 2026: 01:30 comes twice, the first counts."""
    after = datetime(2026, 11, 1, 0, 0, tzinfo=UTC)

    assert dues("cron(30 1 * * ? *)", 2, zone="America/New_York", after=after) == [
        "2026-11-01 05:30",
        "2026-11-02 06:30",
    ]


MOMENTS = st.floats(1.58e9, 2.2e9).map(lambda epoch_s: datetime.fromtimestamp(epoch_s, UTC))


@given(MOMENTS, st.integers(0, 59), st.integers(0, 23), st.sampled_from(["UTC", "Asia/Tokyo"]))
def test_a_daily_cron_is_due_within_a_day(
    moment: datetime, minute: int, hour: int, zone: str
) -> None:
    """After the moment, at most a day later, at the minute that it names."""
    due = parse_schedule(f"cron({minute} {hour} * * ? *)", zone).next_after(moment, moment)

    assert due is not None
    assert timedelta(0) < due - moment <= timedelta(days=1)
    assert (due.minute, due.second) == (minute, 0)


@given(MOMENTS, MOMENTS, st.integers(2, 500))
def test_a_rate_keeps_its_beat(moment: datetime, anchor: datetime, minutes: int) -> None:
    """Due at whole multiples of the rate after its beginning, the next one after the moment."""
    due = parse_schedule(f"rate({minutes} minutes)").next_after(moment, anchor)

    assert due is not None
    assert due > moment
    assert (due - anchor) % timedelta(minutes=minutes) == timedelta(0)
    assert due - timedelta(minutes=minutes) <= moment
