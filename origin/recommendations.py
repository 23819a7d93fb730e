"""Which items matter to a user: 50 candidates made ahead of time, ranked to 5 when asked.

The slow half looks at every ticket, alert and deployment of the company and keeps 50; a cycle makes
it ahead of time (task `recommendation-candidates`) and stores nothing but their order. The quick
half looks at those 50 only, with what just now is known: the user's hour, the last action, the
items that are open on the screen. It has a budget of milliseconds; when that is spent, the order
made ahead of time is good enough.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from origin.dataset import AS_OF, Alert, DataSet, Deployment, Ticket, User

CANDIDATES: Final = 50
SHOWN: Final = 5
DEFAULT_BUDGET_MS: Final = 25.0

_ITEM_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
# How many candidates are scored between two looks at the clock.
_LOOK_EVERY: Final = 8


class Kind(StrEnum):
    """What an item is."""

    TICKET = "ticket"
    ALERT = "alert"
    DEPLOYMENT = "deployment"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to look at.

    Attributes:
        item_id: Its name in the data set.
        kind: What it is.
        service: Which service it is about.
        title: For people.
        urgency: From 0 to 1, whoever looks.
    """

    item_id: str
    kind: Kind
    service: str
    title: str
    urgency: float


@dataclass(frozen=True, slots=True)
class Moment:
    """What is known only when somebody asks.

    Attributes:
        hour: The hour of the user's own day, 0 to 23.
        last_action: The ActionID asked for before; empty for none.
        open_items: The items on the user's screen.
    """

    hour: int
    last_action: str = ""
    open_items: frozenset[str] = frozenset()


class Order(StrEnum):
    """Whose order it is."""

    RERANKED = "reranked"
    PRECOMPUTED = "precomputed"


@dataclass(frozen=True, slots=True)
class Ranking:
    """The items to show, best first, and how they came to their order."""

    items: tuple[Item, ...]
    order: Order
    elapsed_ms: float


def catalog(data: DataSet) -> Mapping[str, Item]:
    """Every item worth a look, by its name: nothing done, resolved or gone well."""
    tickets = (_of_ticket(one) for one in data.tickets if one.status != "done")
    alerts = (_of_alert(one) for one in data.alerts if one.status == "open")
    deployments = (_of_deployment(one) for one in data.deployments if one.outcome != "succeeded")
    return {item.item_id: item for item in (*tickets, *alerts, *deployments)}


# --- ahead of time -----------------------------------------------------------------------------


def list_candidates(data: DataSet, user: User, *, number: int = CANDIDATES) -> tuple[str, ...]:
    """The names of the items that could matter to a user, best first."""
    owners = {one.ticket_id: one for one in data.tickets}
    teams = {service: one.team for one in data.users.values() for service in one.services}

    def closeness(item: Item) -> float:
        ticket = owners.get(item.item_id)
        if ticket is not None and ticket.assignee == user.user_id:
            return 1.0
        if ticket is not None and ticket.waits_for == user.team:
            return 0.8
        if item.service in user.services:
            return 0.6
        return 0.4 if teams.get(item.service) == user.team else 0.0

    scored = [(-closeness(one) - 0.5 * one.urgency, one.item_id) for one in catalog(data).values()]
    return tuple(item_id for _, item_id in heapq.nsmallest(number, scored))


def spell_candidates(candidates: Sequence[str]) -> str:
    """The candidates as an answer's text: names alone, so that 50 fit into a stored value."""
    return " ".join(candidates)


def read_candidates(text: str) -> tuple[str, ...]:
    """The candidates of a stored text; what cannot be a name is left out."""
    return tuple(name for name in text.split() if _ITEM_ID.fullmatch(name))


# --- when asked --------------------------------------------------------------------------------


def rerank(
    candidates: Sequence[str],
    items: Mapping[str, Item],
    moment: Moment,
    *,
    budget_ms: float,
    now_ms: Callable[[], float],
    number: int = SHOWN,
) -> Ranking:
    """The best few of the candidates for this moment, in time.

    Args:
        candidates: Names, best first; those that no longer exist are passed over.
        items: Every item, by name.
        moment: What is known now.
        budget_ms: When so much has gone by, the candidates' own order is given.
        now_ms: Milliseconds of a clock that only goes forward.
        number: How many are shown.
    """
    began_ms = now_ms()
    present = [items[name] for name in candidates if name in items]
    open_services = frozenset(items[name].service for name in moment.open_items if name in items)
    scored: list[tuple[float, int]] = []
    for place, item in enumerate(present):
        if place % _LOOK_EVERY == 0 and now_ms() - began_ms >= budget_ms:
            shown = tuple(one for one in present if one.item_id not in moment.open_items)
            return Ranking(shown[:number], Order.PRECOMPUTED, now_ms() - began_ms)
        scored.append((-score(item, place, moment, open_services), place))
    best = heapq.nsmallest(number, scored)
    shown = tuple(present[place] for _, place in best)
    return Ranking(shown, Order.RERANKED, now_ms() - began_ms)


# What a part of the day is for, and what an action leads to: weights, by kind.
_BY_HOUR: Final[Sequence[tuple[range, Mapping[Kind, float]]]] = (
    (range(5, 11), {Kind.ALERT: 0.35, Kind.DEPLOYMENT: 0.25}),
    (range(11, 17), {Kind.TICKET: 0.3, Kind.DEPLOYMENT: 0.1}),
    (range(17, 22), {Kind.DEPLOYMENT: 0.3, Kind.ALERT: 0.1}),
)
_BY_ACTION: Final[Mapping[str, Mapping[Kind, float]]] = {
    "incident-timeline": {Kind.ALERT: 0.6, Kind.DEPLOYMENT: 0.45},
    "deployment-summary": {Kind.DEPLOYMENT: 0.4, Kind.ALERT: 0.1},
    "ticket-digest": {Kind.TICKET: 0.4},
    "morning-briefing": {Kind.ALERT: 0.2, Kind.TICKET: 0.1},
    "weekly-review": {Kind.TICKET: 0.1, Kind.DEPLOYMENT: 0.1},
}
_SAME_SERVICE: Final = 0.3
_ALREADY_OPEN: Final = -10.0


def score(item: Item, place: int, moment: Moment, open_services: frozenset[str]) -> float:
    """How much one candidate matters at one moment. Pure.

    Args:
        item: The candidate.
        place: Its place in the order made ahead of time, from 0.
        moment: What is known now.
        open_services: The services of the items on the screen.
    """
    total = 1.0 - place / CANDIDATES + 0.3 * item.urgency
    for hours, weights in _BY_HOUR:
        if moment.hour in hours:
            total += weights.get(item.kind, 0.0)
    total += _BY_ACTION.get(moment.last_action, {}).get(item.kind, 0.0)
    if item.service in open_services:
        total += _SAME_SERVICE
    if item.item_id in moment.open_items:
        total += _ALREADY_OPEN
    return total


_SEVERITY = {"critical": 1.0, "high": 0.8, "medium": 0.5, "low": 0.2}


def _of_ticket(ticket: Ticket) -> Item:
    overdue = 0.3 if ticket.due < AS_OF.date() else 0.0
    urgency = min(1.0, (5 - ticket.priority) / 5 + overdue)
    return Item(ticket.ticket_id, Kind.TICKET, ticket.service, ticket.title, urgency)


def _of_alert(alert: Alert) -> Item:
    urgency = _SEVERITY.get(alert.severity, 0.5)
    return Item(alert.alert_id, Kind.ALERT, alert.service, alert.title, urgency)


def _of_deployment(deployment: Deployment) -> Item:
    title = f"{deployment.version} {deployment.outcome}: {deployment.change}"
    urgency = 0.7 if deployment.outcome == "failed" else 0.5
    return Item(deployment.deployment_id, Kind.DEPLOYMENT, deployment.service, title, urgency)
