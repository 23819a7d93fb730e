"""What a latency model expected, beside what was measured.

The numbers come in a file, as `localpop predict --out FILE` writes it: a load test knows a URL and
nothing of who answers there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loadtests.errors import BadInputError
from loadtests.samples import DeliveryPath
from loadtests.summary import Row, Spread

Predictions = Mapping[tuple[DeliveryPath, str], Spread]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One path and place: predicted against measured, first byte, milliseconds.

    Attributes:
        path: The way.
        place: The viewers' place.
        predicted: What the model expected.
        simulated: What the emulator says it simulated; None for real CloudFront.
        measured: What the viewers saw.
        requests: How many answers that stands on.
        few: Whether they are too few to read p95 and p99.
    """

    path: DeliveryPath
    place: str
    predicted: Spread
    simulated: Spread | None
    measured: Spread
    requests: int
    few: bool

    @property
    def difference_ms(self) -> float:
        """Measured less predicted, at p50."""
        return self.measured.p50 - self.predicted.p50

    @property
    def difference_share(self) -> float:
        """The same as a share of the prediction."""
        return self.difference_ms / self.predicted.p50 if self.predicted.p50 else 0.0


def read_predictions(file: Path) -> Predictions:
    """The predictions of a file, by path and place.

    Raises:
        BadInputError: It cannot be read, or holds something else.
    """
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        if document["format"] != 1:
            raise BadInputError(f"{file}: format {document['format']!r} is not known (known: 1).")
        return {
            (DeliveryPath(row["path"]), str(row["place"])): Spread(
                float(row["p50_ms"]), float(row["p95_ms"]), float(row["p99_ms"])
            )
            for row in document["predictions"]
        }
    except BadInputError:
        raise
    except OSError as error:
        raise BadInputError(f"{file}: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise BadInputError(f"{file} does not hold predictions: {error!r}.") from None


def compare(rows: Iterable[Row], predictions: Predictions) -> Iterator[Comparison]:
    """Every row that was both predicted and measured."""
    for row in rows:
        predicted = predictions.get((row.path, row.place or ""))
        if predicted is not None and row.first_byte_ms is not None:
            assert row.place is not None
            yield Comparison(
                row.path,
                row.place,
                predicted,
                row.simulated_ms,
                row.first_byte_ms,
                row.requests,
                row.few,
            )


def comparison_document(comparisons: Iterable[Comparison]) -> list[dict[str, Any]]:
    """`predictions` in `results.json`, in the order of `docs/results.md`."""
    return [
        {
            "path": one.path,
            "place": one.place,
            "requests": one.requests,
            "predicted_ms": asdict(one.predicted),
            "measured_ms": asdict(one.measured),
            "difference_ms": one.difference_ms,
            "difference_share": one.difference_share,
        }
        for one in comparisons
    ]


def comparison_table(comparisons: Iterable[Comparison]) -> str:
    """Predicted p50 against measured p50, with the difference; a `*` marks few samples."""
    titles = ("predicted", "simulated", "measured", "difference")
    lines = [f"{'first byte, p50 in ms':<44}" + "".join(f"{title:>11}" for title in titles)]
    for one in comparisons:
        name = f"{one.path.label}, {one.place}{'*' if one.few else ''}"
        simulated = "-" if one.simulated is None else f"{one.simulated.p50:.1f}"
        lines.append(
            f"{name:<44}{one.predicted.p50:>11.1f}{simulated:>11}{one.measured.p50:>11.1f}"
            f"{one.difference_ms:>+11.1f}{one.difference_share:>+6.0%}"
        )
    return "\n".join(lines)
