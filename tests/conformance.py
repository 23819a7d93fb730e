"""How many lines of the facts' checklists hold: `make conformance`.

Runs every test that carries `@pytest.mark.conformance("CFF-12", …)`. A line holds when all of its
tests pass, fails when one of them fails, and is not yet there when no test carries its id.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections import defaultdict
from typing import Final

import pytest

CHECKLISTS: Final = {
    "cloudfront.md": ("CF", 115),
    "cloudfront-functions.md": ("CFF", 74),
    "lambda-at-edge.md": ("LAE", 80),
    "kvs.md": ("KVS", 64),
}


class Collector:
    """A pytest plugin that keeps the outcome of each id's tests."""

    def __init__(self) -> None:
        self.ids: dict[str, tuple[str, ...]] = {}
        self.outcomes: dict[str, list[str]] = defaultdict(list)

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Keep only the tests that carry an id."""
        kept: list[pytest.Item] = []
        dropped: list[pytest.Item] = []
        for item in items:
            marks = [str(one) for mark in item.iter_markers("conformance") for one in mark.args]
            (kept if marks else dropped).append(item)
            self.ids[item.nodeid] = tuple(marks)
        items[:] = kept
        config.hook.pytest_deselected(items=dropped)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test's outcome; a failing fixture counts as well."""
        if report.when == "call" or report.outcome != "passed":
            for one in self.ids.get(report.nodeid, ()):
                self.outcomes[one].append(report.outcome)


def known_ids() -> set[str]:
    """Every id of every checklist."""
    return {
        f"{prefix}-{number}"
        for prefix, count in CHECKLISTS.values()
        for number in range(1, count + 1)
    }


def main() -> int:
    """Run the marked tests and print the ledger; returns 1 when a line fails."""
    collector = Collector()
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        pytest.main(["-q", "--no-header", "-p", "no:cacheprovider"], plugins=[collector])
    unknown = sorted(set(collector.outcomes) - known_ids())
    total_holds = 0
    failing: list[str] = []
    absent: list[str] = []
    print(f"{'file':<26} {'hold':>5} {'fail':>5} {'skip':>5} {'not yet':>8} {'lines':>6}")
    for name, (prefix, count) in CHECKLISTS.items():
        ids = [f"{prefix}-{number}" for number in range(1, count + 1)]
        outcomes = {one: collector.outcomes[one] for one in ids if one in collector.outcomes}
        fails = [one for one, seen in outcomes.items() if "failed" in seen]
        holds = [one for one, seen in outcomes.items() if set(seen) == {"passed"}]
        skips = len(outcomes) - len(fails) - len(holds)
        missing = count - len(outcomes)
        row = f"{len(holds):>5} {len(fails):>5} {skips:>5} {missing:>8} {count:>6}"
        print(f"{name:<26} {row}")
        total_holds += len(holds)
        failing += fails
        absent += [one for one in ids if one not in outcomes]
    if unknown:
        print(f"no checklist has these ids: {', '.join(unknown)}")
    if failing:
        print(f"failing: {', '.join(failing)}")
        print(output.getvalue()[-4000:])
    if absent:
        print(f"not yet: {', '.join(absent)}")
    print(f"{total_holds} of {len(known_ids())} hold")
    return 1 if failing or unknown else 0


if __name__ == "__main__":
    sys.exit(main())
