"""Recommendations: candidates ahead of time, the order of the moment, and the budget."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from origin.actions import ACTIONS
from origin.app import create_app
from origin.candidates import CandidateSource, open_candidates
from origin.dataset import DataSet, load_data_set
from origin.model import Model
from origin.recommendations import (
    Kind,
    Moment,
    Order,
    catalog,
    list_candidates,
    read_candidates,
    rerank,
    spell_candidates,
)
from origin.session import issue
from tests.aws.endpoint import Endpoint, client, running_endpoint
from tests.origin.aws_stand_in import serve
from tests.origin.conftest import SESSION_KEY, BorrowedModel, set_environment

DATA = load_data_set()
ITEMS = catalog(DATA)
USER = DATA.users["user-001"]
CANDIDATES = list_candidates(DATA, USER)
NOW_S = 1_763_719_200
MORNING, AFTERNOON = Moment(8), Moment(14)


def ids(moment: Moment, budget_ms: float = 1e9) -> list[str]:
    """The names shown at a moment."""
    ranking = rerank(CANDIDATES, ITEMS, moment, budget_ms=budget_ms, now_ms=lambda: 0.0)
    return [item.item_id for item in ranking.items]


def kinds(moment: Moment) -> list[Kind]:
    """The kinds shown at a moment."""
    return [ITEMS[name].kind for name in ids(moment)]


def test_candidates_fit_into_a_stored_value() -> None:
    """50 for every user, the user's own first, in less than a value's 1,024 bytes."""
    for user in DATA.users.values():
        candidates = list_candidates(DATA, user)
        text = spell_candidates(candidates)
        assert len(set(candidates)) == 50
        assert len(text) < 900
        assert read_candidates(text) == candidates
    mine = {one.ticket_id for one in DATA.tickets if one.assignee == USER.user_id}
    assert set(CANDIDATES[:2]) <= mine


def test_the_moment_decides() -> None:
    """Mornings are for alerts, afternoons for tickets; the last action and the screen count."""
    assert kinds(MORNING).count(Kind.ALERT) > kinds(AFTERNOON).count(Kind.ALERT)
    assert kinds(AFTERNOON).count(Kind.TICKET) > kinds(MORNING).count(Kind.TICKET)
    after_incident = kinds(Moment(14, "incident-timeline"))
    assert after_incident.count(Kind.TICKET) < kinds(AFTERNOON).count(Kind.TICKET)
    first = ids(AFTERNOON)[0]
    opened = Moment(14, open_items=frozenset({first}))
    assert first not in ids(opened)
    services = [ITEMS[name].service for name in ids(opened)]
    assert services.count(ITEMS[first].service) >= 3


def test_over_the_budget_the_order_is_the_one_made_ahead() -> None:
    """When the clock says so, five candidates in their own order, less what is on the screen."""
    clock = itertools.count(step=2.0)
    opened = Moment(8, open_items=frozenset({CANDIDATES[1]}))

    late = rerank(CANDIDATES, ITEMS, opened, budget_ms=5, now_ms=lambda: next(clock))

    assert late.order is Order.PRECOMPUTED
    expected = [CANDIDATES[0], *CANDIDATES[2:6]]
    assert [item.item_id for item in late.items] == expected
    assert late.elapsed_ms < 10


@given(
    st.integers(0, 23),
    st.sampled_from(["", "nonsense", *ACTIONS]),
    st.frozensets(st.sampled_from([*CANDIDATES, "none"])),
    st.lists(st.sampled_from([*CANDIDATES, "gone"]), unique=True),
    st.floats(-1, 50),
)
def test_always_the_best_that_exist(
    hour: int, last: str, opened: frozenset[str], candidates: list[str], budget_ms: float
) -> None:
    """Whatever comes: at most five, all of them candidates that exist, each once."""
    clock = itertools.count()
    ranking = rerank(
        candidates,
        ITEMS,
        Moment(hour, last, opened),
        budget_ms=budget_ms,
        now_ms=lambda: float(next(clock)),
    )

    shown = [item.item_id for item in ranking.items]
    assert len(shown) == len(set(shown)) <= 5
    assert set(shown) <= set(candidates) & set(ITEMS)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """The endpoint with a key value store."""
    with running_endpoint(tmp_path_factory.mktemp("endpoint") / "stores.sqlite") as endpoint:
        yield endpoint


@pytest.mark.parametrize("budget_ms", [1e9, -1.0])
def test_over_http(endpoint: Endpoint, data: DataSet, model: Model, budget_ms: float) -> None:
    """The stored candidates are ranked with the request's context; the headers say how."""
    arn = endpoint.new_store("late" if budget_ms < 0 else "in-time")
    store = client("cloudfront-keyvaluestore", endpoint.url)
    stored = ["T-2421", "T-2400", "gone", "checkout-api-a1"]
    value = {"answer": " ".join(stored), "generated": NOW_S - 60, "expires": NOW_S + 60}
    etag = store.describe_key_value_store(KvsARN=arn)["ETag"]
    key = "user-001_recommendation-candidates"
    store.put_key(KvsARN=arn, Key=key, Value=json.dumps(value), IfMatch=etag)
    source = CandidateSource(data, store, arn, now_s=lambda: NOW_S)
    app = create_app(
        model=BorrowedModel(model),
        data=data,
        session_key=SESSION_KEY,
        now_s=lambda: NOW_S,
        candidates=source,
        budget_ms=budget_ms,
    )
    cookies = {
        user: {"session": issue(user, SESSION_KEY, now_s=NOW_S, ttl_s=60)}
        for user in ("user-001", "user-002", "user-999")
    }
    with serve(app) as authority:
        url = f"http://{authority}/recommendations?last=incident-timeline&open=T-2400"
        answer = httpx2.get(url, cookies=cookies["user-001"])
        other = httpx2.get(url, cookies=cookies["user-002"])
        assert httpx2.get(url, cookies=cookies["user-999"]).status_code == 404
        assert httpx2.get(url).status_code == 401

    shown = [item["id"] for item in answer.json()["items"]]
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["x-recommendation-candidates"] == "stored"
    assert float(answer.headers["x-recommendation-ms"]) >= 0
    if budget_ms < 0:
        assert answer.headers["x-recommendation-order"] == "precomputed"
        assert shown == ["T-2421", "checkout-api-a1"]
    else:
        assert answer.headers["x-recommendation-order"] == "reranked"
        assert shown == ["checkout-api-a1", "T-2421", "T-2400"]
    assert other.headers["x-recommendation-candidates"] == "computed"
    assert len(other.json()["items"]) == 5


def test_without_a_store_everything_is_computed(endpoint: Endpoint, tmp_path: Path) -> None:
    """No store, a store that is gone, an old artifact: the candidates are computed."""
    assert open_candidates({}, DATA).fetch("user-001") == (CANDIDATES, "computed")
    with pytest.MonkeyPatch.context() as environment:
        set_environment(environment, endpoint.url)
        gone = open_candidates({"ANSWER_STORE_ARN": f"{endpoint.new_store('gone')[:-1]}0"}, DATA)
    assert gone.find("user-001") is None
    assert gone.fetch("user-001")[1] == "computed"
    assert gone.find("user-001") == (CANDIDATES, "computed")
    gone.close()
