"""localpop.toml: what is only true on this machine."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from emulator.errors import ConfigError
from emulator.network.draws import Shape
from emulator.network.latency import ApiFront, LatencySettings
from emulator.network.origins import OriginAddress
from emulator.network.places import parse_place, regions
from emulator.values.places import ViewerPlace

FILE_NAME: Final = "localpop.toml"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class LocalOrigin:
    """Where an origin of the template is on this machine.

    Args:
        address: Where it listens.
        region: The Region it would run in; its distance is counted to there.
        front: What stands before it at AWS.
        command: Starts it; empty when it is started by hand.
    """

    address: OriginAddress
    region: str = "us-east-1"
    front: ApiFront = ApiFront.NONE
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """Everything that localpop.toml says, with defaults for what it does not.

    Args:
        folder: Where the file is; commands run there.
        template: The template's path.
        state: The folder for what survives a restart.
        host: The address that every listener binds; loopback unless told otherwise.
        viewer_port: The viewers' port.
        aws_port: The AWS endpoint's port.
        dashboard_port: The dashboard's port.
        place: Where a viewer is that does not say.
        trace_header: Whether responses carry X-Localpop-Trace.
        latency: The latency model's switches.
        origins: By origin id.
        parameters: Values of template parameters.
        environment: Variables of the commands that localpop starts.
        setup: Commands to run once the AWS endpoint listens, before viewers are served.
    """

    folder: Path
    template: Path
    state: Path
    host: str = "127.0.0.1"
    viewer_port: int = 8080
    aws_port: int = 4566
    dashboard_port: int = 8090
    place: ViewerPlace = field(default_factory=lambda: parse_place("LHR/fibre"))
    trace_header: bool = True
    latency: LatencySettings = field(default_factory=LatencySettings)
    origins: Mapping[str, LocalOrigin] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    setup: tuple[tuple[str, ...], ...] = ()


_KNOWN: Final[dict[str, frozenset[str]]] = {
    "": frozenset(
        {"template", "state", "host", "viewer", "aws", "dashboard", "latency", "origins"}
        | {"parameters", "environment", "setup"}
    ),
    "viewer": frozenset({"port", "place", "trace_header"}),
    "aws": frozenset({"port"}),
    "dashboard": frozenset({"port"}),
    "latency": frozenset(LatencySettings.__dataclass_fields__),
    "origins": frozenset({"url", "region", "front", "command"}),
}


def read_local(folder: Path) -> LocalSettings:
    """Read localpop.toml in a folder; without one, every default holds.

    Raises:
        ConfigError: Not TOML, an unknown key, or a bad value; names the key.
    """
    path = folder / FILE_NAME
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"It is not valid TOML: {error}.", where=FILE_NAME, mend="Mend that line."
        ) from None
    return _settings(folder, raw)


def _settings(folder: Path, raw: Mapping[str, Any]) -> LocalSettings:
    _refuse_unknown(raw, "")
    viewer = _table(raw, "viewer")
    latency = _table(raw, "latency")
    origins = raw.get("origins", {})
    return LocalSettings(
        folder=folder,
        template=folder / _value(raw, "template", str, "template.yaml"),
        state=folder / _value(raw, "state", str, ".localpop"),
        host=_value(raw, "host", str, "127.0.0.1"),
        viewer_port=_port(viewer, "viewer", 8080),
        aws_port=_port(_table(raw, "aws"), "aws", 4566),
        dashboard_port=_port(_table(raw, "dashboard"), "dashboard", 8090),
        place=_place(viewer),
        trace_header=_value(viewer, "trace_header", bool, True, table_name="viewer"),
        latency=_latency(latency),
        origins={name: _origin(name, entry) for name, entry in origins.items()},
        parameters=_texts(raw, "parameters"),
        environment=_texts(raw, "environment"),
        setup=tuple(_command(entry, "setup") for entry in raw.get("setup", [])),
    )


def _table(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = raw.get(name, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{name} must be a table.", where=FILE_NAME, mend=f"Write [{name}].")
    _refuse_unknown(table, name)
    return table


def _refuse_unknown(table: Mapping[str, Any], name: str, shown: str = "") -> None:
    for key in table:
        if key not in _KNOWN[name]:
            place = f"[{shown or name}] " if name else ""
            raise ConfigError(
                f"{place}has no key {key!r} (known: {', '.join(sorted(_KNOWN[name]))}).",
                where=FILE_NAME,
                mend="Mend the name, or take the line out.",
            )


def _value(
    table: Mapping[str, Any], key: str, kind: type[_T], default: _T, *, table_name: str = ""
) -> _T:
    value = table.get(key, default)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        place = f"{table_name}.{key}" if table_name else key
        raise ConfigError(
            f"{place} is {value!r}, but must be {kind.__name__}.",
            where=FILE_NAME,
            mend="Mend the value.",
        )
    return value


def _port(table: Mapping[str, Any], name: str, default: int) -> int:
    port = _value(table, "port", int, default, table_name=name)
    if not 0 <= port <= 65_535:
        raise ConfigError(
            f"{name}.port is {port}, but a port is 0 to 65535.",
            where=FILE_NAME,
            mend="Use 0 for any free port.",
        )
    return port


def _place(viewer: Mapping[str, Any]) -> ViewerPlace:
    named = _value(viewer, "place", str, "LHR/fibre", table_name="viewer")
    try:
        return parse_place(named)
    except ConfigError as error:
        raise ConfigError(f"viewer.place: {error.what}", where=FILE_NAME, mend=error.mend) from None


def _latency(table: Mapping[str, Any]) -> LatencySettings:
    values = dict(table)
    if "shape" in values:
        try:
            values["shape"] = Shape(values["shape"])
        except ValueError:
            raise ConfigError(
                f"latency.shape is {values['shape']!r} (known: {', '.join(Shape)}).",
                where=FILE_NAME,
                mend="Use one of them.",
            ) from None
    defaults = LatencySettings()
    for key, value in values.items():
        expected = type(getattr(defaults, key))
        accepted = (int, float) if expected is float else (expected,)
        if not isinstance(value, accepted) or (expected is not bool and isinstance(value, bool)):
            raise ConfigError(
                f"latency.{key} is {value!r}, but must be {expected.__name__}.",
                where=FILE_NAME,
                mend="Mend the value.",
            )
    return LatencySettings(**values)


def _origin(name: str, table: Any) -> LocalOrigin:
    shown = f"origins.{name}"
    if not isinstance(table, dict) or "url" not in table:
        raise ConfigError(
            f"[{shown}] needs a url.",
            where=FILE_NAME,
            mend='Add: url = "http://127.0.0.1:8081"',
        )
    _refuse_unknown(table, "origins", shown)
    region = _value(table, "region", str, "us-east-1", table_name=shown)
    if region not in regions():
        raise ConfigError(
            f"{shown}.region is {region!r}, which is no Region we have round trips for.",
            where=FILE_NAME,
            mend=f"Known: {', '.join(regions())}.",
        )
    front = _value(table, "front", str, "none", table_name=shown)
    if front not in list(ApiFront):
        raise ConfigError(
            f"{shown}.front is {front!r} (known: {', '.join(ApiFront)}).",
            where=FILE_NAME,
            mend="Use one of them.",
        )
    url = _value(table, "url", str, "", table_name=shown)
    return LocalOrigin(
        OriginAddress.parse(url, where=f"{FILE_NAME}: {shown}.url"),
        region,
        ApiFront(front),
        _command(table["command"], f"{shown}.command") if "command" in table else (),
    )


def _command(value: Any, shown: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        raise ConfigError(
            f"{shown}: a command must be a list of words.",
            where=FILE_NAME,
            mend='Write it as ["python", "-m", "origin"].',
        )
    return tuple(value)


def _texts(raw: Mapping[str, Any], name: str) -> dict[str, str]:
    table = raw.get(name, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{name} must be a table.", where=FILE_NAME, mend=f"Write [{name}].")
    return {key: str(value) for key, value in table.items()}
