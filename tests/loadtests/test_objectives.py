"""Objectives: what a run should have reached."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from loadtests.errors import BadInputError
from loadtests.objectives import HEALTH, Status, evaluate, read_objectives
from loadtests.samples import Sample
from tests.loadtests.making import recording


def judged(tmp_path: Path, text: str, samples: tuple[Sample, ...]) -> list[Status]:
    """What becomes of the objectives of a file."""
    (tmp_path / "slo.toml").write_text(text)
    read = read_objectives(str(tmp_path / "slo.toml"))
    return [result.status for result in evaluate(read.objectives, samples)]


def test_the_health_targets_are_those_of_the_founding_documents() -> None:
    """Hit rate, tail, time-outs, first token, and a budget for each component."""
    results = evaluate(read_objectives(HEALTH).objectives, recording(1).samples)
    by_name = {result.objective.name: result for result in results}

    assert by_name["the edge answers enough"].objective.limit == "hit rate > 30 %"
    assert by_name["nobody waits in vain"].objective.limit == "timeout rate < 0.1 %"
    assert by_name["no long tail"].objective.limit == "p99 / p50 < 3"
    assert by_name["first words within a second"].objective.limit == "p95 < 1,000 ms"
    assert by_name["the edge answers enough"].status is Status.MET
    assert by_name["budget: CloudFront Function"].status is Status.MET
    # This recording has no such parts, so nothing can be said of them.
    assert by_name["budget: the model's first token"].status is Status.UNKNOWN


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ('measure = "whole_ms"\npercentile = 50\npaths = ["edge-function"]\nbelow = 15', "met"),
        ('measure = "whole_ms"\npercentile = 50\npaths = ["edge-function"]\nbelow = 10', "missed"),
        ('measure = "hit_rate"\nabove = 0.6', "met"),
        ('measure = "hit_rate"\nabove = 0.8', "missed"),
        ('measure = "p99_over_p50"\nper = "cell"\nbelow = 4', "met"),
        # Paths mixed have a long tail; each by itself has not.
        ('measure = "p99_over_p50"\nbelow = 4', "missed"),
        ('measure = "part:function"\npaths = ["edge-function"]\nbelow = 3', "met"),
        ('measure = "part:model"\nbelow = 3', "unknown"),
        ('measure = "whole_ms"\nplaces = ["GRU/4g"]\nbelow = 3', "unknown"),
    ],
)
def test_an_objective_is_met_missed_or_unknown(tmp_path: Path, text: str, status: str) -> None:
    """By percentile, rate, tail and component; of paths and places."""
    assert judged(tmp_path, f"[[objective]]\n{text}\n", recording(1).samples) == [status]


def test_the_worst_of_several_is_the_result(tmp_path: Path) -> None:
    """And it is named."""
    (tmp_path / "slo.toml").write_text(
        '[[objective]]\nmeasure = "whole_ms"\nper = "path"\nbelow = 100\n'
    )
    (objective,) = read_objectives(str(tmp_path / "slo.toml")).objectives
    (result,) = evaluate([objective], recording(1).samples)

    assert (result.status, result.where) == (Status.MISSED, "Fallback, streamed")
    assert result.samples > 300


def test_timeouts_are_a_rate(tmp_path: Path) -> None:
    """Two of 1,200 are more than one in a thousand."""
    good = recording(1).samples
    late = tuple(
        replace(one, error="no whole answer in 60 s") if number < 2 else one
        for number, one in enumerate(good)
    )
    text = '[[objective]]\nmeasure = "timeout_rate"\nbelow = 0.001\n'

    assert judged(tmp_path, text, good) == [Status.MET]
    assert judged(tmp_path, text, late) == [Status.MISSED]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("objective = 3", r"\[\[objective\]\]"),
        ('[[objective]]\nmeasure = "speed"', "'speed' is not known"),
        ('[[objective]]\nmeasure = "whole_ms"', "`below` or `above`"),
        ('[[objective]]\nmeasure = "whole_ms"\nbelow = "fast"', "below is 'fast'"),
        ('[[objective]]\nmeasure = "whole_ms"\nbelow = 1\npercentile = 0', "percentile 0"),
        ('[[objective]]\nmeasure = "whole_ms"\nbelow = 1\nper = "day"', "'day'"),
        ('[[objective]]\nmeasure = "whole_ms"\nbelow = 1\npaths = ["edge"]', "'edge'"),
        ('[[objective]]\nmeasure = "whole_ms"\nbelow = 1\nlevel = 1', "level is not known"),
        ("[regression]\np95 = [0.5, 0.2, 0.1]", "three rising numbers"),
        ("[regression]\nconfidence = 2", "confidence"),
        ("[regressions]", "regressions is not known"),
        ("x =", "not TOML"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    """What, and in which objective."""
    with pytest.raises(BadInputError, match=message):
        judged(tmp_path, text, ())


def test_thresholds_of_ones_own(tmp_path: Path) -> None:
    """The same file says from when on a regression is how severe."""
    (tmp_path / "slo.toml").write_text("[regression]\np95 = [0.2, 0.4, 0.8]\nmin_rise_ms = 5\n")

    thresholds = read_objectives(str(tmp_path / "slo.toml")).thresholds

    assert (thresholds.p95, thresholds.min_rise_ms) == ((0.2, 0.4, 0.8), 5)
    assert thresholds.error_rate == (0.005, 0.01, 0.05)
