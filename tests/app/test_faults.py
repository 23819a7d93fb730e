"""Faults of a running emulator: whom they harm, whom not, and that they end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.app.running import Answer, Localpop, free_port, localpop, project
from tests.app.test_loop import put_answer, session

TOKYO, FRANKFURT = "NRT/fibre", "FRA/fibre"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Localpop]:
    """A whole emulator that simulates latency, with an instant model."""
    folder = tmp_path_factory.mktemp("project")
    with localpop(project(folder, origin_port=free_port())) as running:
        running.control("PUT", "/_localpop/bedrock", {"time_scale": 0})
        yield running


@pytest.fixture(autouse=True)
def cleared(served: Localpop) -> Iterator[None]:
    """No fault outlives its test."""
    yield
    served.control("DELETE", "/_localpop/faults")


def plan(served: Localpop, **fault: Any) -> None:
    """Plan one fault of the edge."""
    served.control("POST", "/_localpop/faults", fault)


def ask(served: Localpop, path: str, place: str, user: str = "user-011") -> Answer:
    """One request from a place."""
    return served.get(path, X_Localpop_Viewer=place, Cookie=session(served, user))


def stages(served: Localpop, answer: Answer) -> dict[str, float]:
    """What a request's journey took, by stage, in ms."""
    trace = json.loads(served.ask_dashboard(f"/traces/{answer.trace_id}.json"))
    return {stage["name"]: stage["simulated_ms"] for stage in trace["stages"]}


def test_a_store_that_is_down_is_a_miss_never_an_error(served: Localpop) -> None:
    """The Lambda@Edge function goes on to the origin."""
    put_answer(served, "user-017", "morning-briefing")
    fault = {"service": "cloudfront-keyvaluestore", "fault": "unavailable", "count": 500}
    served.control("POST", "/_localpop/faults", fault)

    down = ask(served, "/lambda-answers/morning-briefing", TOKYO, "user-017")

    assert (down.status, down.x_cache) == (200, "Miss")
    assert down.headers["x-answer-source"] == "origin"


def test_a_throttled_store_is_a_miss(served: Localpop) -> None:
    """kvs-throttled reaches Lambda@Edge, which asks the API; CloudFront Functions read a copy."""
    put_answer(served, "user-012", "morning-briefing")
    plan(served, effect="kvs-throttled")

    asking = ask(served, "/lambda-answers/morning-briefing", "GRU/fibre", "user-012")
    reading = ask(served, "/answers/morning-briefing", "GRU/fibre", "user-012")

    assert (asking.status, asking.x_cache) == (200, "Miss")
    assert reading.x_cache == "FunctionGeneratedResponse"


def test_an_origin_that_is_down_harms_only_misses_of_that_place(served: Localpop) -> None:
    """A hit needs no origin; another place has its own way there."""
    put_answer(served, "user-013", "morning-briefing")
    plan(served, effect="origin-down", place="NRT")

    miss = ask(served, "/answers/weekly-review", TOKYO, "user-013")
    hit = ask(served, "/answers/morning-briefing", TOKYO, "user-013")
    elsewhere = ask(served, "/answers/weekly-review", FRANKFURT, "user-013")

    assert (miss.status, miss.x_cache) == (502, "Error")
    assert (hit.status, elsewhere.status) == (200, 200)


def test_a_slow_origin_takes_longer_and_the_trace_says_why(served: Localpop) -> None:
    """Simulated time, labelled as the fault's."""
    plan(served, effect="origin-slow", ms=700)

    answer = ask(served, "/answers/weekly-review", TOKYO)

    assert answer.status == 200
    assert stages(served, answer)["fault: origin-slow"] == 700


def test_lost_packets_are_named_in_the_trace(served: Localpop) -> None:
    """On the access link of the place that was meant."""
    plan(served, effect="packet-loss", loss=0.5, place="NRT")

    hit, spared = (ask(served, "/answers/weekly-review", one) for one in (TOKYO, FRANKFURT))

    assert any(name.startswith("fault: packet-loss") for name in stages(served, hit))
    assert not any(name.startswith("fault:") for name in stages(served, spared))


def test_an_exhausted_region_throttles_its_own_viewers(served: Localpop) -> None:
    """Lambda@Edge's 503; CloudFront Functions do not share that concurrency."""
    plan(served, effect="lambda-exhausted", region="ap-northeast-1")

    there = ask(served, "/lambda-answers/weekly-review", TOKYO)
    elsewhere = ask(served, "/lambda-answers/weekly-review", FRANKFURT)
    function = ask(served, "/answers/weekly-review", TOKYO)

    assert (there.status, there.x_cache) == (503, "LambdaLimitExceeded")
    assert (elsewhere.status, function.status) == (200, 200)


def test_viewers_of_a_point_of_presence_that_is_down_go_to_the_next(served: Localpop) -> None:
    """X-Amz-Cf-Pop names another one, further away, and comes back when the fault is cleared."""
    before = ask(served, "/answers/weekly-review", TOKYO)
    plan(served, effect="pop-down", place="NRT")
    during = ask(served, "/answers/weekly-review", TOKYO)
    served.control("DELETE", "/_localpop/faults")
    after = ask(served, "/answers/weekly-review", TOKYO)

    pops = [one.headers["x-amz-cf-pop"][:3] for one in (before, during, after)]
    assert pops[0] == pops[2] == "NRT"
    assert pops[1] != "NRT"
    assert during.status == 200


def test_a_stalled_point_of_presence_shows_what_it_had(served: Localpop) -> None:
    """Nothing written since arrives there; elsewhere it does, and there too once it ends."""
    put_answer(served, "user-014", "morning-briefing")
    plan(served, effect="propagation-stalled", place="NRT")
    put_answer(served, "user-015", "morning-briefing")
    put_answer(served, "user-016", "morning-briefing")

    path = "/answers/morning-briefing"
    old = ask(served, path, TOKYO, "user-014")
    new = ask(served, path, TOKYO, "user-015")
    elsewhere = ask(served, path, FRANKFURT, "user-015")
    served.control("DELETE", "/_localpop/faults")
    after = [ask(served, path, TOKYO, user) for user in ("user-015", "user-016")]

    generated = "FunctionGeneratedResponse"
    assert [one.x_cache for one in (old, new, elsewhere)] == [generated, "Miss", generated]
    assert [one.x_cache for one in after] == [generated, generated]
