"""The data that answers are made from, read once into values."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

DATA_FOLDER = Path(__file__).parent / "data"
AS_OF = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
"""The moment that the shipped data describes. It stands still, so that a prompt does, too."""


class DataSetError(Exception):
    """A data file is missing or wrong; the message names it."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who asks; `services` are the names of those the user answers for."""

    user_id: str
    name: str
    team: str
    role: str
    time_zone: str
    services: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Alert:
    """Something a monitor has seen; `severity` is critical, high, medium or low."""

    alert_id: str
    service: str
    severity: str
    title: str
    detail: str
    started: datetime
    status: str


@dataclass(frozen=True, slots=True)
class Deployment:
    """A version that went out, or did not; `reason` is empty when it did."""

    deployment_id: str
    service: str
    version: str
    outcome: str
    change: str
    reason: str
    author: str
    finished: datetime


@dataclass(frozen=True, slots=True)
class Ticket:
    """Work to do; priority 1 is the most urgent, `waits_for` names a team or is empty."""

    ticket_id: str
    service: str
    assignee: str
    title: str
    priority: int
    status: str
    waits_for: str
    due: date
    updated: datetime


@dataclass(frozen=True, slots=True)
class DataSet:
    """Everything, in the order of the files."""

    users: Mapping[str, User]
    tiers: Mapping[str, int]
    alerts: tuple[Alert, ...]
    deployments: tuple[Deployment, ...]
    tickets: tuple[Ticket, ...]


def load_data_set(folder: Path = DATA_FOLDER) -> DataSet:
    """Read the five files.

    Raises:
        DataSetError: One of them is missing, is no JSON, or lacks a field.
    """
    users = _read(folder / "users.json", _parse_user)
    return DataSet(
        users={user.user_id: user for user in users},
        tiers=dict(_read(folder / "services.json", _parse_tier)),
        alerts=_read(folder / "alerts.json", _parse_alert),
        deployments=_read(folder / "deployments.json", _parse_deployment),
        tickets=_read(folder / "tickets.json", _parse_ticket),
    )


def _read(path: Path, parse: Callable[[dict[str, Any]], T]) -> tuple[T, ...]:
    remedy = "Mend it, or write it again: python -m origin.data.make_data"
    parsed: list[T] = []
    try:
        for record in json.loads(path.read_text(encoding="utf-8")):
            parsed.append(parse(record))
    except OSError as error:
        raise DataSetError(f"{path}: {error.strerror}. {remedy}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise DataSetError(f"{path}: record {len(parsed)}: {error!r}. {remedy}") from error
    return tuple(parsed)


def _parse_user(record: dict[str, Any]) -> User:
    return User(**{**record, "services": tuple(record["services"])})


def _parse_tier(record: dict[str, Any]) -> tuple[str, int]:
    return record["service"], int(record["tier"])


def _parse_alert(record: dict[str, Any]) -> Alert:
    return Alert(**{**record, "started": _moment(record["started"])})


def _parse_deployment(record: dict[str, Any]) -> Deployment:
    return Deployment(**{**record, "finished": _moment(record["finished"])})


def _parse_ticket(record: dict[str, Any]) -> Ticket:
    due, updated = date.fromisoformat(record["due"]), _moment(record["updated"])
    return Ticket(**{**record, "due": due, "updated": updated})


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC)
