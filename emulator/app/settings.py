"""Settings from three places: flag beats environment beats localpop.toml."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, TypeVar

from emulator.errors import ConfigError
from emulator.network.places import parse_place
from emulator.network.viewers import PlaceMix
from emulator.project.local import LocalSettings, read_local

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line or the environment says; None where it is silent.

    A flag `--viewer-port` has the environment twin LOCALPOP_VIEWER_PORT.
    """

    viewer_port: int | None = None
    https_port: int | None = None
    aws_port: int | None = None
    dashboard_port: int | None = None
    host: str | None = None
    place: str | None = None
    latency: bool | None = None
    seed: int | None = None
    time_scale: float | None = None
    require_auth: bool | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """What the LOCALPOP_… variables say.

        Raises:
            ConfigError: A value that cannot be; names the variable.
        """
        return cls(
            viewer_port=_whole("LOCALPOP_VIEWER_PORT", environ),
            https_port=_whole("LOCALPOP_HTTPS_PORT", environ),
            aws_port=_whole("LOCALPOP_AWS_PORT", environ),
            dashboard_port=_whole("LOCALPOP_DASHBOARD_PORT", environ),
            host=environ.get("LOCALPOP_HOST"),
            place=environ.get("LOCALPOP_PLACE"),
            latency=_switch("LOCALPOP_LATENCY", environ),
            seed=_whole("LOCALPOP_SEED", environ),
            time_scale=_scale("LOCALPOP_TIME_SCALE", environ),
            require_auth=_switch("LOCALPOP_REQUIRE_AUTH", environ),
        )


def read_settings(folder: Path, flags: Overrides, environ: Mapping[str, str]) -> LocalSettings:
    """Everything localpop.toml says, with the environment and the flags on top.

    Raises:
        ConfigError: A bad value; names where it stands.
    """
    settings = read_local(folder)
    for said in (Overrides.from_environment(environ), flags):
        settings = _with(settings, said)
    return settings


def current_settings(flags: Overrides) -> LocalSettings:
    """The settings of the folder that localpop was started in."""
    return read_settings(Path.cwd(), flags, os.environ)


def _with(settings: LocalSettings, said: Overrides) -> LocalSettings:
    if said.time_scale is not None and not 0 <= said.time_scale < float("inf"):
        raise ConfigError(
            f"The time scale is {said.time_scale}, but must be 0 or more.",
            mend="1 is real time, 0.1 ten times as fast.",
        )
    latency = replace(
        settings.latency,
        enabled=_first(said.latency, settings.latency.enabled),
        seed=_first(said.seed, settings.latency.seed),
        time_scale=_first(said.time_scale, settings.latency.time_scale),
    )
    return replace(
        settings,
        viewer_port=_first(said.viewer_port, settings.viewer_port),
        https_port=_first(said.https_port, settings.https_port),
        aws_port=_first(said.aws_port, settings.aws_port),
        dashboard_port=_first(said.dashboard_port, settings.dashboard_port),
        host=_first(said.host, settings.host),
        place=settings.place if said.place is None else parse_place(said.place),
        viewers=settings.viewers if said.place is None else PlaceMix.of(parse_place(said.place)),
        latency=latency,
        require_auth=_first(said.require_auth, settings.require_auth),
    )


def _first(said: _T | None, otherwise: _T) -> _T:
    return otherwise if said is None else said


def _whole(variable: str, environ: Mapping[str, str]) -> int | None:
    text = environ.get(variable)
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise ConfigError(
            f"{variable} is {text!r}, but must be a whole number.", mend="Mend the variable."
        ) from None


def _scale(variable: str, environ: Mapping[str, str]) -> float | None:
    text = environ.get(variable)
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        raise ConfigError(
            f"{variable} is {text!r}, but must be a number.", mend="Mend the variable."
        ) from None


def _switch(variable: str, environ: Mapping[str, str]) -> bool | None:
    text = environ.get(variable)
    if text is None:
        return None
    if text not in ("on", "off"):
        raise ConfigError(
            f"{variable} is {text!r}, but must be on or off.", mend="Mend the variable."
        )
    return text == "on"
