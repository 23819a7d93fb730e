"""The price file: what AWS asks for, dated, with a source for each figure (`prices.toml`)."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from loadtests.errors import BadInputError

PRICES = Path(__file__).with_name("prices.toml")

_NEEDED = (
    "https_request",
    "gb_to_viewers",
    "gb_to_origin",
    "cloudfront_function",
    "store_read",
    "store_call",
    "edge_lambda_request",
    "edge_lambda_gb_s",
    "http_api_request",
    "rest_api_request",
    "lambda_request",
    "lambda_gb_s",
    "s3_put",
)


@dataclass(frozen=True, slots=True)
class Model:
    """A model's prices for a million tokens, on demand."""

    name: str
    input_usd: float
    output_usd: float
    source: str


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What a bill depends on beside prices; `prices.toml` explains each field."""

    model: str
    input_tokens: float
    output_tokens: float
    answer_bytes: float
    request_bytes: float
    store_reads: float
    origin_wait_s: float
    origin_memory_mb: float
    edge_lambda_ms: float
    edge_lambda_memory_mb: float
    edge_lambda_store_calls: float
    api: str
    storage: str
    answers_per_write: float
    key_bytes: float


@dataclass(frozen=True, slots=True)
class Prices:
    """A price file.

    Attributes:
        dated: The day its figures were gathered.
        region: Whose prices they are.
        each: US dollars for one of each thing.
        sources: Where each was read.
        models: By name.
        batch_factor: What a token costs in batch, as a share of its price on demand.
        store_bytes: The quota of one key value store.
        value_bytes: The quota of one value in it.
        assumptions: What the bill depends on besides.
    """

    dated: str
    region: str
    each: Mapping[str, float]
    sources: Mapping[str, str]
    models: Mapping[str, Model]
    batch_factor: float
    store_bytes: int
    value_bytes: int
    assumptions: Assumptions

    def with_model(self, name: str) -> Prices:
        """The same prices for another model.

        Raises:
            BadInputError: The file has no such model.
        """
        if name not in self.models:
            known = ", ".join(sorted(self.models))
            raise BadInputError(f"--model: {name!r} is not in the price file (known: {known}).")
        return replace(self, assumptions=replace(self.assumptions, model=name))


def read_prices(path: Path = PRICES) -> Prices:
    """Read a price file.

    Raises:
        BadInputError: It cannot be read, or something in it is missing or no price.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInputError(f"--prices: {path} cannot be read ({error}).") from error
    try:
        prices = _prices(document)
    except (KeyError, TypeError, ValueError) as error:
        words = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise BadInputError(
            f"--prices: {path}: {words}. {PRICES} shows what a price file holds."
        ) from error
    return prices.with_model(prices.assumptions.model)


def _prices(document: Mapping[str, Any]) -> Prices:
    quotas = document["quotas"]
    return Prices(
        dated=str(document["dated"]),
        region=str(document["region"]),
        each={name: _each(name, document["prices"][name]) for name in _NEEDED},
        sources={name: str(document["prices"][name]["source"]) for name in _NEEDED},
        models={name: _model(name, entry) for name, entry in document["models"].items()},
        batch_factor=_amount("batch.factor", document["batch"]["factor"]),
        store_bytes=int(_amount("quotas.store_bytes", quotas["store_bytes"])),
        value_bytes=int(_amount("quotas.value_bytes", quotas["value_bytes"])),
        assumptions=_assumptions(document["assumptions"]),
    )


def _each(name: str, entry: Mapping[str, Any]) -> float:
    per = _amount(f"prices.{name}.per", entry["per"])
    if not per:
        raise ValueError(f"prices.{name}.per is 0")
    return _amount(f"prices.{name}.usd", entry["usd"]) / per


def _model(name: str, entry: Mapping[str, Any]) -> Model:
    return Model(
        name,
        _amount(f"models.{name}.input", entry["input"]),
        _amount(f"models.{name}.output", entry["output"]),
        str(entry["source"]),
    )


def _assumptions(table: Mapping[str, Any]) -> Assumptions:
    choices = {
        "api": ("http_api_request", "rest_api_request"),
        "storage": ("kvs", "s3"),
        "model": None,
    }
    values: dict[str, Any] = {}
    for field in fields(Assumptions):
        value = table[field.name]
        if field.name not in choices:
            value = _amount(f"assumptions.{field.name}", value)
        elif (known := choices[field.name]) and value not in known:
            raise ValueError(
                f"assumptions.{field.name} is {value!r}, expected {' or '.join(known)}"
            )
        values[field.name] = value
    if not values["answers_per_write"]:
        raise ValueError("assumptions.answers_per_write is 0")
    return Assumptions(**values)


def _amount(name: str, value: object) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(float(str(value))) or float(str(value)) < 0:
        raise ValueError(f"{name} is {value!r}, expected a number of 0 or more")
    return float(str(value))
