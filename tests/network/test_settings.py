"""The model's switches: read, refused, and documented."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from emulator.errors import ConfigError
from emulator.network.draws import Shape
from emulator.network.faults import Effect
from emulator.network.settings import (
    ACCESS_LINKS,
    AccessLink,
    ConnectionMode,
    Handshake,
    LatencySettings,
    parse_latency,
)
from emulator.values.places import Access

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "latency.md"


def test_nothing_said_is_every_default() -> None:
    """An empty table."""
    assert parse_latency({}) == LatencySettings()


def test_switches_are_read() -> None:
    """Numbers, words and whole numbers for decimals."""
    settings = parse_latency(
        {
            "time_scale": 0.1,
            "shape": "gamma",
            "dns_ms": 12,
            "viewer_connections": "new",
            "viewer_handshake": "quic-0rtt",
            "lambda_concurrency": 5,
        }
    )

    assert settings.time_scale == 0.1
    assert settings.shape is Shape.GAMMA
    assert settings.dns_ms == 12.0
    assert settings.viewer_connections is ConnectionMode.NEW
    assert settings.viewer_handshake is Handshake.QUIC_RESUMED
    assert settings.lambda_concurrency == 5


def test_an_access_links_table_changes_what_it_names() -> None:
    """Everything else of the link, and the other links, stay."""
    table = {"access": {"4g": {"rtt_ms": 70, "shape": "constant", "spike_share": 0}}}
    link = parse_latency(table).access[Access.FOUR_G]

    assert (link.rtt_ms, link.shape, link.spread.spike_share) == (70.0, Shape.CONSTANT, 0.0)
    assert link.spread.sigma == ACCESS_LINKS[Access.FOUR_G].spread.sigma
    assert parse_latency(table).access[Access.FIBRE] == ACCESS_LINKS[Access.FIBRE]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"jitter": 1}, "no key 'jitter'"),
        ({"shape": "square"}, "known: lognormal"),
        ({"viewer_handshake": "ssl3"}, "latency.viewer_handshake is 'ssl3'"),
        ({"enabled": 1}, "must be bool"),
        ({"dns_ms": True}, "must be float"),
        ({"dns_ms": -1}, "0 or more"),
        ({"cff_cold_share": 27}, "a share from 0 to 1"),
        ({"lambda_concurrency": 0}, "more than 0"),
        ({"time_scale": float("inf")}, "0 or more"),
        ({"kvs_api_region": "moon-1"}, "no Region"),
        ({"lambda_idle_min_s": 1_000}, "less than lambda_idle_min_s"),
        ({"access": 4}, "must be a table"),
        ({"access": {"4g": 50}}, r"latency\.access\.4g must be a table"),
        ({"access": {"pigeon": {}}}, "no key 'pigeon'"),
        ({"access": {"4g": {"rtt": 50}}}, "no key 'rtt'"),
        ({"access": {"4g": {"floor": 1}}}, "less than 1"),
        ({"access": {"4g": {"mbit_per_s": 0}}}, "more than 0"),
    ],
)
def test_a_bad_switch_is_named(table: dict[str, Any], said: str) -> None:
    """With its key, its value and the choices."""
    with pytest.raises(ConfigError, match=said):
        parse_latency(table, where="localpop.toml")


@pytest.mark.parametrize(
    "name",
    [one.name for one in fields(LatencySettings)]
    + [one.name for one in fields(AccessLink) if one.name != "spread"]
    + [*Shape, *ConnectionMode, *Handshake, *Effect, *Access],
)
def test_every_switch_and_choice_is_in_the_document(name: str) -> None:
    """docs/latency.md: source, default and switch of each component."""
    assert f"`{name}`" in DOCUMENT.read_text(encoding="utf-8")


def test_the_documents_defaults_are_the_codes() -> None:
    """Each switch's row carries its default."""
    rows = {
        cells[1].strip(): cells[2].strip()
        for line in DOCUMENT.read_text(encoding="utf-8").splitlines()
        if line.startswith("| `") and len(cells := line.split("|")) > 3
    }
    defaults = LatencySettings()
    for one in fields(LatencySettings):
        if one.name == "access":
            continue
        value = getattr(defaults, one.name)
        shown = (
            str(value).lower()
            if isinstance(value, bool)
            else f"{value:g}"
            if isinstance(value, int | float)
            else str(value)
        )
        assert rows[f"`{one.name}`"] == f"`{shown}`", one.name
