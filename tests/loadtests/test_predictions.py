"""Predictions beside measurements."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emulator.network.places import parse_place
from emulator.network.predict import PathKind, predict, predictions_document
from emulator.network.settings import LatencySettings
from loadtests.errors import BadInputError
from loadtests.predictions import compare, comparison_table, read_predictions
from loadtests.samples import DeliveryPath
from loadtests.summary import Row, Spread


def row(path: DeliveryPath, place: str | None, p50_ms: float) -> Row:
    """A row of a summary."""
    measured = Spread(p50_ms, 2 * p50_ms, 3 * p50_ms)
    none = None
    return Row(path, place, 60, 0, False, none, measured, none, none, none, none, none, 0, none)


def test_what_localpop_predicts_is_what_a_load_test_reads(tmp_path: Path) -> None:
    """One file, two programs; every path is spelled alike."""
    file = tmp_path / "predicted.json"
    place = parse_place("LHR/fibre")
    found = [predict(LatencySettings(), place, path, draws=50) for path in PathKind]
    file.write_text(json.dumps(predictions_document(found)))

    predictions = read_predictions(file)

    assert {path for path, _ in predictions} == {
        path for path in DeliveryPath if path is not DeliveryPath.ERROR
    }
    assert predictions[DeliveryPath.CACHE, "LHR/fibre"].p50 == found[2].p50_ms


def test_rows_that_were_predicted_are_compared() -> None:
    """Predicted, measured, difference; totals over all places are left out."""
    rows = [
        row(DeliveryPath.EDGE_FUNCTION, "LHR/fibre", 8.0),
        row(DeliveryPath.EDGE_FUNCTION, "NRT/4g", 52.0),
        row(DeliveryPath.EDGE_FUNCTION, None, 20.0),
    ]
    predictions = {(DeliveryPath.EDGE_FUNCTION, "LHR/fibre"): Spread(7.5, 11.0, 14.0)}

    comparisons = list(compare(rows, predictions))

    assert [one.difference_ms for one in comparisons] == [0.5]
    line = comparison_table(comparisons).splitlines()[1]
    assert line.split()[-5:] == ["7.5", "-", "8.0", "+0.5", "+7%"]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": 2}', '{"format": 1, "predictions": [{"path": "x"}]}']
)
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    """With its name."""
    file = tmp_path / "other.json"
    file.write_text(text)

    with pytest.raises(BadInputError, match=r"other\.json"):
        read_predictions(file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """In the operating system's words."""
    with pytest.raises(BadInputError, match="No such file"):
        read_predictions(tmp_path / "none.json")
