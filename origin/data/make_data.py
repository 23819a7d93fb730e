"""Write the data set again: `python -m origin.data.make_data`.

An invented company: ten teams of five, two services for each team, and two weeks of its working
life. The files it writes are what ships; this program is here so that they can be changed with
sense. Everything is drawn from one seed by `random()` alone, the one method of Random whose
sequence Python promises to keep from version to version.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from origin.dataset import AS_OF

T = TypeVar("T")

_SEED = 20261120

_TEAMS = (
    ("payments", ("checkout-api", "ledger"), "America/New_York"),
    ("search", ("search-gateway", "index-builder"), "Europe/Berlin"),
    ("identity", ("login", "token-service"), "Europe/London"),
    ("logistics", ("route-planner", "parcel-tracking"), "Asia/Singapore"),
    ("media", ("image-resizer", "video-ingest"), "America/Los_Angeles"),
    ("platform", ("build-farm", "config-store"), "Asia/Kolkata"),
    ("messaging", ("notification-hub", "inbox-sync"), "America/Sao_Paulo"),
    ("data", ("event-pipeline", "report-runner"), "Asia/Tokyo"),
    ("pricing", ("quote-engine", "tax-rules"), "Australia/Sydney"),
    ("support", ("case-desk", "chat-relay"), "Africa/Johannesburg"),
)

_NAMES = (
    *("Maya Lindqvist", "Tobias Okafor", "Hannah Weiss", "Rafael Moreau", "Ines Carvalho"),
    *("Jonas Albrecht", "Priya Raman", "Elif Demir", "Samuel Osei", "Clara Novak"),
    *("Oliver Hartley", "Amara Nwosu", "Ruth Feldman", "Callum Reid", "Zofia Kowalska"),
    *("Wei Ling Tan", "Arjun Pillai", "Nur Aisyah Rahman", "Kenji Morita", "Dana Abellard"),
    *("Lucia Ferreira", "Marcus Bell", "Noor Haddad", "Ethan Cole", "Yuki Sato"),
    *("Kavya Menon", "Rohan Deshpande", "Anika Bose", "Farid Karimi", "Leena Thomas"),
    *("Beatriz Lima", "Thiago Rocha", "Camila Duarte", "Henrique Alves", "Julia Prado"),
    *("Aiko Tanaka", "Haruto Endo", "Mei Nakagawa", "Sora Ishikawa", "Daniel Kim"),
    *("Grace Whitlock", "Liam Farrow", "Matilda Quinn", "Noah Petrou", "Isla McKenna"),
    *("Thandi Mokoena", "Pieter van Wyk", "Lerato Dube", "Sipho Ndaba", "Miriam Adeyemi"),
)
_ROLES = ("engineering manager", "site reliability engineer", "backend engineer")

_ALERTS = (
    ("p95 latency above 800 ms", "p95 {n}0 ms over 15 minutes"),
    ("error rate above 1 %", "{n} errors in 10 minutes, mostly time-outs to the database"),
    ("queue is growing", "{n}00 messages wait, oldest for 11 minutes"),
    ("certificate expires soon", "{n} days left on the internal certificate"),
    ("disk above 85 %", "{n} GB free on the busiest node"),
    ("memory rises without falling", "{n} MB more than yesterday at the same hour"),
    ("health check flaps", "{n} changes of state in one hour"),
    ("replica lags behind", "{n} seconds behind the primary"),
)
_CHANGES = (
    "retry only idempotent calls",
    "drop the old configuration format",
    "move sessions to the new cluster",
    "raise the connection pool to 64",
    "cache the country table for an hour",
    "upgrade the HTTP client",
    "log the request id everywhere",
    "cut start-up time by lazy loading",
    "add an index for open orders",
    "limit uploads to 20 MB",
    "replace the cron job by a queue",
    "turn on compression for reports",
)
_FAILURES = (
    "health check failed on 2 of 6 hosts",
    "migration took longer than 10 minutes",
    "error rate doubled in the canary",
)
_TICKETS = (
    "Customers see an empty page after a time-out",
    "Write the runbook for a failover",
    "Remove the unused feature flags",
    "Export takes more than five minutes",
    "Alert is too noisy at night",
    "Document the public API's error codes",
    "Dependency with a known vulnerability",
    "Dashboard shows yesterday's numbers",
    "Rate limit for the partner interface",
    "Test suite fails now and then",
    "Plan the capacity for December",
    "Duplicate e-mails after a retry",
    "Clean up orphaned records",
    "Support single sign-on for contractors",
    "Time zone is wrong in the weekly report",
)


def make_data_set() -> dict[str, Any]:
    """The whole data set, as it stands in the files: file stem to content."""
    rng = random.Random(_SEED)
    users = _users()
    services = [
        {"service": service, "team": team, "tier": 1 + index}
        for team, names, _ in _TEAMS
        for index, service in enumerate(names)
    ]
    names = [str(service["service"]) for service in services]
    return {
        "users": users,
        "services": services,
        "alerts": [alert for name in names for alert in _alerts(rng, name)],
        "deployments": [one for name in names for one in _deployments(rng, name, users)],
        "tickets": _tickets(rng, users),
    }


def write_data_set(folder: Path) -> None:
    """Write one JSON file for each part of the data set, one record to the line."""
    for stem, records in make_data_set().items():
        lines = ",\n".join(json.dumps(record, ensure_ascii=False) for record in records)
        (folder / f"{stem}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def _users() -> list[dict[str, Any]]:
    users = []
    for index, name in enumerate(_NAMES):
        team, services, time_zone = _TEAMS[index // 5]
        place = index % 5
        # One manager, one reliability engineer and three backend engineers; the engineers own one
        # service each, the others both.
        owned = list(services) if place < 2 else [services[place % 2]]
        users.append(
            {
                "user_id": f"user-{index + 1:03d}",
                "name": name,
                "team": team,
                "role": _ROLES[min(place, 2)],
                "time_zone": time_zone,
                "services": owned,
            }
        )
    return users


def _alerts(rng: random.Random, service: str) -> list[dict[str, Any]]:
    alerts = []
    for number in range(3 + _below(rng, 3)):
        title, detail = _pick(rng, _ALERTS)
        alerts.append(
            {
                "alert_id": f"{service}-a{number + 1}",
                "service": service,
                "severity": _pick(rng, ("critical", "high", "high", "medium", "medium", "low")),
                "title": title,
                "detail": detail.format(n=12 + _below(rng, 80)),
                "started": _ago(rng, hours=20 if number < 2 else 160),
                "status": "open" if number < 2 else "resolved",
            }
        )
    return alerts


def _deployments(
    rng: random.Random, service: str, users: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    authors = [user["user_id"] for user in users if service in user["services"]]
    minor = 10 + _below(rng, 60)
    deployments = []
    for number in range(5):
        outcome = _pick(rng, ("succeeded",) * 7 + ("failed", "rolled back"))
        change = _pick(rng, _CHANGES)
        reason = "" if outcome == "succeeded" else _pick(rng, _FAILURES)
        deployments.append(
            {
                "deployment_id": f"{service}-d{number + 1}",
                "service": service,
                "version": f"4.{minor + number}.{_below(rng, 4)}",
                "outcome": outcome,
                "change": change,
                "reason": reason,
                "author": _pick(rng, authors),
                # In order: the higher version is the later one.
                "finished": _at(timedelta(hours=150 - 34 * number + _below(rng, 12))),
            }
        )
    return deployments


def _tickets(rng: random.Random, users: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    tickets: list[dict[str, Any]] = []
    for user in users:
        for _ in range(4 + _below(rng, 3)):
            status = _pick(rng, ("open", "open", "in progress", "in progress", "waiting", "done"))
            tickets.append(
                {
                    "ticket_id": f"T-{2400 + len(tickets)}",
                    "service": _pick(rng, user["services"]),
                    "assignee": user["user_id"],
                    "title": _pick(rng, _TICKETS),
                    "priority": 1 + _below(rng, 4),
                    "status": status,
                    "waits_for": _pick(rng, _TEAMS)[0] if status == "waiting" else "",
                    "due": (AS_OF + timedelta(days=_below(rng, 14) - 4)).date().isoformat(),
                    "updated": _ago(rng, hours=200),
                }
            )
    return tickets


def _below(rng: random.Random, limit: int) -> int:
    return int(rng.random() * limit)


def _pick(rng: random.Random, choices: Sequence[T]) -> T:
    return choices[_below(rng, len(choices))]


def _ago(rng: random.Random, *, hours: int) -> str:
    return _at(timedelta(minutes=20 + _below(rng, hours * 60)))


def _at(age: timedelta) -> str:
    return (AS_OF - age).strftime("%Y-%m-%dT%H:%MZ")


if __name__ == "__main__":
    write_data_set(Path(__file__).parent)
