"""Latency and places from flags, environment and localpop.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.app.settings import Overrides, read_settings
from emulator.errors import ConfigError
from emulator.network.faults import Effect
from emulator.values.places import Access

TOML = """
[viewer]
place = { "LHR/fibre" = 3, "NRT/4g" = 1 }
[[viewer.listeners]]
port = 8081
place = "SYD/5g"
[latency]
time_scale = 0.5
viewer_handshake = "quic"
[latency.access.4g]
rtt_ms = 70
shape = "gamma"
[[faults]]
effect = "origin-slow"
ms = 500
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with everything about latency in it."""
    (tmp_path / "localpop.toml").write_text(TOML)
    return tmp_path


def test_the_file_is_read(folder: Path) -> None:
    """Mixes, listeners, links and faults."""
    settings = read_settings(folder, Overrides(), {})

    assert str(settings.viewers) == "LHR/fibre x 3, NRT/4g x 1"
    assert str(settings.place) == "LHR/fibre"
    assert [(one.port, str(one.mix)) for one in settings.viewer_listeners] == [(8081, "SYD/5g")]
    assert settings.latency.time_scale == 0.5
    assert settings.latency.access[Access.FOUR_G].rtt_ms == 70
    assert [fault.effect for fault in settings.faults] == [Effect.ORIGIN_SLOW]


def test_flag_beats_environment_beats_file(folder: Path) -> None:
    """`--time-scale`, LOCALPOP_TIME_SCALE, `time_scale`."""
    environ = {"LOCALPOP_TIME_SCALE": "0.2"}

    assert read_settings(folder, Overrides(), environ).latency.time_scale == 0.2
    assert read_settings(folder, Overrides(time_scale=0.1), environ).latency.time_scale == 0.1


def test_a_place_on_the_command_line_replaces_the_mix(folder: Path) -> None:
    """One place for everybody."""
    settings = read_settings(folder, Overrides(place="JFK/cable"), {})

    assert str(settings.viewers) == str(settings.place) == "JFK/cable"


@pytest.mark.parametrize(
    ("flags", "environ"),
    [
        (Overrides(), {"LOCALPOP_TIME_SCALE": "fast"}),
        (Overrides(time_scale=-1.0), {}),
        (Overrides(time_scale=float("nan")), {}),
    ],
)
def test_a_bad_time_scale_is_refused(
    folder: Path, flags: Overrides, environ: dict[str, str]
) -> None:
    """Before anything starts."""
    with pytest.raises(ConfigError, match=r"TIME_SCALE|time scale"):
        read_settings(folder, flags, environ)


@pytest.mark.parametrize(
    "text", ["[viewer]\nplace = 7", "[[faults]]\neffect = 'x'", "[latency]\nsped = 1", "faults = 1"]
)
def test_a_bad_line_names_the_file(tmp_path: Path, text: str) -> None:
    """And its key."""
    (tmp_path / "localpop.toml").write_text(text)

    with pytest.raises(ConfigError, match=r"\[localpop\.toml\]"):
        read_settings(tmp_path, Overrides(), {})
