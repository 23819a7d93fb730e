"""docs/report.md names what the load tests' report and its options have."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.cost import cost_of
from loadtests.prices import read_prices
from loadtests.report import write_report
from tests.loadtests.making import recording

DOCS = Path(__file__).resolve().parents[2] / "docs" / "report.md"


@pytest.mark.parametrize("option", ["--prices", "--model", "--generated"])
def test_options_of_cost_are_told(option: str) -> None:
    """Where their figures are explained."""
    assert option in DOCS.read_text()


def test_every_trigger_and_every_file_is_told(tmp_path: Path) -> None:
    """As the report calls them."""
    run, text = recording(1), DOCS.read_text()
    cost = cost_of(run, read_prices(), generated=10)
    write_report(run, tmp_path, cost=cost)

    assert all(trigger.name in text for trigger in cost.triggers)
    assert all(file.name in text for file in tmp_path.iterdir())
