"""localpop.toml: what is only true on this machine."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from emulator.errors import ConfigError
from emulator.network.faults import Fault, parse_faults
from emulator.network.latency import ApiFront, LatencySettings
from emulator.network.origins import OriginAddress
from emulator.network.places import parse_place, regions
from emulator.network.settings import parse_latency
from emulator.network.viewers import PlaceMix, ViewerListener, parse_listeners, parse_mix
from emulator.rules.propagation import Propagation
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
class LocalFunction:
    """An edge function's code, where the template does not say where it is.

    Args:
        code: A JavaScript file, or a Lambda function's folder.
        runtime: Such as `cloudfront-js-2.0` or `python3.13`; empty to go by the files.
        handler: A Lambda function's handler; empty to go by the files.
        store: The name of the key value store that a CloudFront Function reads; else empty.
    """

    code: Path
    runtime: str = ""
    handler: str = ""
    store: str = ""


@dataclass(frozen=True, slots=True)
class Answers:
    """What only AWS knows of a template, as localpop.toml answers it.

    Args:
        parameters: Values of template parameters.
        imports: What other stacks export, and dynamic references (`ssm:/name`).
        resources: Files printed by `aws cloudfront get-…`, by the id of what they describe.
        functions: Code of edge functions, by logical id, name or ARN.
        stores: Files to import into key value stores, by logical id or name.
        mapped_origins: Ids of origins whose place on this machine is said.
        state: Where code goes that is on disk nowhere; None for `.localpop` beside the template.
    """

    parameters: Mapping[str, str] = field(default_factory=dict)
    imports: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, Path] = field(default_factory=dict)
    functions: Mapping[str, LocalFunction] = field(default_factory=dict)
    stores: Mapping[str, Path] = field(default_factory=dict)
    mapped_origins: frozenset[str] = frozenset()
    state: Path | None = None


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """Everything that localpop.toml says, with defaults for what it does not.

    Args:
        folder: Where the file is; commands run there.
        template: The template's path, or the first of several.
        state: The folder for what survives a restart.
        host: The address that every listener binds; loopback unless told otherwise.
        viewer_port: The viewers' port.
        https_port: The viewers' port for HTTPS; None for 8443, or any free port when it is taken.
        aws_port: The AWS endpoint's port.
        require_auth: Whether the AWS endpoint refuses calls without a signature.
        deployment_s: How long a distribution made through the endpoint stays InProgress.
        propagation: How long a key value store's write takes to the edge.
        dashboard_port: The dashboard's port.
        place: Where a viewer is that does not say; of a mix, its first place.
        viewers: The same as a mix of places by weight.
        viewer_listeners: Further ports for viewers of other places.
        faults: Faults that are planned from the start.
        trace_header: Whether responses carry X-Localpop-Trace.
        latency: The latency model's switches.
        origins: By origin id.
        parameters: Values of template parameters.
        environment: Variables of the commands that localpop starts.
        setup: Commands to run once the AWS endpoint listens, before viewers are served.
        more_templates: The templates after the first.
        imports: Other stacks' exports and dynamic references, by name.
        resources: Files printed by `aws cloudfront get-…`, by id.
        functions: Code that the template does not name, by function.
        stores: Files to import into key value stores, by store.
        folders: Folders that stand in for origins, by origin id.
        remotes: Ids of origins that may be asked where they really are.
        interprets_state_machines: Whether moto's interpreter runs state machines, and not the
            native runner.
        allowed_hosts: Hosts beside this machine that API destinations of EventBridge may call.
    """

    folder: Path
    template: Path
    state: Path
    host: str = "127.0.0.1"
    viewer_port: int = 8080
    https_port: int | None = None
    aws_port: int = 4566
    dashboard_port: int = 8090
    place: ViewerPlace = field(default_factory=lambda: parse_place("LHR/fibre"))
    viewers: PlaceMix = field(default_factory=lambda: PlaceMix.of(parse_place("LHR/fibre")))
    viewer_listeners: tuple[ViewerListener, ...] = ()
    faults: tuple[Fault, ...] = ()
    trace_header: bool = True
    latency: LatencySettings = field(default_factory=LatencySettings)
    origins: Mapping[str, LocalOrigin] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    setup: tuple[tuple[str, ...], ...] = ()
    more_templates: tuple[Path, ...] = ()
    imports: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, Path] = field(default_factory=dict)
    functions: Mapping[str, LocalFunction] = field(default_factory=dict)
    stores: Mapping[str, Path] = field(default_factory=dict)
    folders: Mapping[str, Path] = field(default_factory=dict)
    remotes: frozenset[str] = frozenset()
    require_auth: bool = False
    deployment_s: float = 0.0
    propagation: Propagation = Propagation.INSTANT
    interprets_state_machines: bool = False
    allowed_hosts: frozenset[str] = frozenset()

    @property
    def templates(self) -> tuple[Path, ...]:
        """Every template."""
        return (self.template, *self.more_templates)

    @property
    def answers(self) -> Answers:
        """What it answers of what only AWS knows."""
        return Answers(
            self.parameters,
            self.imports,
            self.resources,
            self.functions,
            self.stores,
            frozenset(self.origins) | frozenset(self.folders),
            self.state,
        )


_KNOWN: Final[dict[str, frozenset[str]]] = {
    "": frozenset(
        {"template", "state", "host", "viewer", "aws", "dashboard", "latency", "origins"}
        | {"parameters", "environment", "setup", "imports", "resources", "functions", "stores"}
        | {"faults", "step_functions", "events"}
    ),
    "viewer": frozenset({"port", "https_port", "place", "trace_header", "listeners"}),
    "aws": frozenset({"port", "require_auth", "deployment_s"}),
    "dashboard": frozenset({"port"}),
    "step_functions": frozenset({"runner"}),
    "events": frozenset({"allowed_hosts"}),
    "latency": frozenset(LatencySettings.__dataclass_fields__),
    "origins": frozenset({"url", "region", "front", "command", "folder", "remote"}),
    "functions": frozenset({"code", "runtime", "handler", "store"}),
    "stores": frozenset({"import"}),
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
    viewers = parse_mix(viewer.get("place", "LHR/fibre"), "viewer.place", where=FILE_NAME)
    origins = _tables(raw, "origins")
    template, *more = _templates(folder, raw)
    return LocalSettings(
        folder=folder,
        template=template,
        state=folder / _value(raw, "state", str, ".localpop"),
        host=_value(raw, "host", str, "127.0.0.1"),
        viewer_port=_port(viewer, "viewer", 8080),
        https_port=_port(viewer, "viewer", 0, "https_port") if "https_port" in viewer else None,
        aws_port=_port(_table(raw, "aws"), "aws", 4566),
        dashboard_port=_port(_table(raw, "dashboard"), "dashboard", 8090),
        place=viewers.places[0],
        viewers=viewers,
        viewer_listeners=parse_listeners(viewer.get("listeners", []), where=FILE_NAME),
        faults=parse_faults(raw.get("faults", []), where=FILE_NAME),
        trace_header=_value(viewer, "trace_header", bool, True, table_name="viewer"),
        latency=parse_latency(latency, where=FILE_NAME),
        origins={
            name: _origin(name, entry)
            for name, entry in origins.items()
            if not {"folder", "remote"} & set(entry)
        },
        parameters=_texts(raw, "parameters"),
        environment=_texts(raw, "environment"),
        setup=tuple(_command(entry, "setup") for entry in raw.get("setup", [])),
        more_templates=tuple(more),
        imports=_texts(raw, "imports"),
        resources={name: folder / value for name, value in _texts(raw, "resources").items()},
        functions=_functions(folder, raw),
        stores={
            name: _store(folder, name, entry)
            for name, entry in _tables(_without_propagation(raw), "stores").items()
        },
        require_auth=_value(_table(raw, "aws"), "require_auth", bool, False, table_name="aws"),
        deployment_s=_deployment_s(_table(raw, "aws")),
        propagation=_propagation(raw),
        interprets_state_machines=_interprets(_table(raw, "step_functions")),
        allowed_hosts=_allowed_hosts(_table(raw, "events")),
        folders={
            name: _folder(folder, name, entry)
            for name, entry in origins.items()
            if "folder" in entry
        },
        remotes=frozenset(name for name, entry in origins.items() if _remote(name, entry)),
    )


def _templates(folder: Path, raw: Mapping[str, Any]) -> list[Path]:
    """`template = "cdk.out"`, or several in a list."""
    said = raw.get("template", "template.yaml")
    names = said if isinstance(said, list) else [said]
    if not names or not all(isinstance(name, str) for name in names):
        raise ConfigError(
            f"template is {said!r}, but must be a path or a list of paths.",
            where=FILE_NAME,
            mend='Write it as template = "template.yaml".',
        )
    return [folder / name for name in names]


def _tables(raw: Mapping[str, Any], name: str) -> dict[str, Mapping[str, Any]]:
    """`[origins.Api]` and its kin: tables by name."""
    tables = raw.get(name, {})
    if not isinstance(tables, dict):
        raise ConfigError(
            f"{name} must hold tables.", where=FILE_NAME, mend=f"Write [{name}.<name>]."
        )
    for entry_name, entry in tables.items():
        if not isinstance(entry, dict):
            raise ConfigError(
                f"{name}.{entry_name} must be a table.",
                where=FILE_NAME,
                mend=f"Write [{name}.{entry_name}].",
            )
        _refuse_unknown(entry, name, f"{name}.{entry_name}")
    return tables


def _functions(folder: Path, raw: Mapping[str, Any]) -> dict[str, LocalFunction]:
    """`[functions] Name = "path"`, or a table with runtime and handler."""
    table = raw.get("functions", {})
    entries = {
        name: {"code": entry} if isinstance(entry, str) else entry
        for name, entry in (table.items() if isinstance(table, dict) else ())
    }
    found = {}
    for name, entry in _tables({"functions": entries}, "functions").items():
        shown = f"functions.{name}"
        code = _value(entry, "code", str, "", table_name=shown)
        if not code:
            raise ConfigError(
                f"{shown} needs the path of its code.",
                where=FILE_NAME,
                mend=f'Write under [functions]: "{name}" = "functions/{name}"',
            )
        found[name] = LocalFunction(
            folder / code,
            _value(entry, "runtime", str, "", table_name=shown),
            _value(entry, "handler", str, "", table_name=shown),
            _value(entry, "store", str, "", table_name=shown),
        )
    return found


def _store(folder: Path, name: str, entry: Mapping[str, Any]) -> Path:
    return folder / _value(entry, "import", str, "seed.json", table_name=f"stores.{name}")


def _folder(folder: Path, name: str, entry: Mapping[str, Any]) -> Path:
    shown = f"origins.{name}"
    if set(entry) - {"folder", "region"}:
        raise ConfigError(
            f"[{shown}] is a folder and cannot have {', '.join(sorted(set(entry) - {'folder'}))}.",
            where=FILE_NAME,
            mend="Give it folder, or url and what goes with it.",
        )
    path = folder / _value(entry, "folder", str, "", table_name=shown)
    if not path.is_dir():
        raise ConfigError(
            f"{shown}.folder: there is no folder {entry['folder']}.",
            where=FILE_NAME,
            mend="Create it, or mend the path.",
        )
    return path


def _remote(name: str, entry: Mapping[str, Any]) -> bool:
    """`remote = true`: CloudFront's requests go to the origin's real domain."""
    return _value(entry, "remote", bool, False, table_name=f"origins.{name}")


def _deployment_s(aws: Mapping[str, Any]) -> float:
    value = aws.get("deployment_s", 0.0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 3_600:
        raise ConfigError(
            f"aws.deployment_s is {value!r}, but must be a number of seconds from 0 to 3600.",
            where=FILE_NAME,
            mend="Use 0 to have everything deployed at once.",
        )
    return float(value)


def _interprets(table: Mapping[str, Any]) -> bool:
    """`[step_functions] runner`: "native" for load, "interpreter" for validation."""
    runner = _value(table, "runner", str, "native", table_name="step_functions")
    if runner not in ("native", "interpreter"):
        raise ConfigError(
            f"step_functions.runner is {runner!r} (known: native, interpreter).",
            where=FILE_NAME,
            mend="Use one of them.",
        )
    return runner == "interpreter"


def _propagation(raw: Mapping[str, Any]) -> Propagation:
    """`[stores] propagation`; the tables beside it are stores."""
    stores = raw.get("stores")
    named = stores.get("propagation", "instant") if isinstance(stores, dict) else "instant"
    try:
        return Propagation(named)
    except ValueError:
        raise ConfigError(
            f"stores.propagation is {named!r} (known: {', '.join(Propagation)}).",
            where=FILE_NAME,
            mend="Use one of them.",
        ) from None


def _without_propagation(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    stores = raw.get("stores")
    if not isinstance(stores, dict):
        return raw
    return {**raw, "stores": {name: one for name, one in stores.items() if name != "propagation"}}


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


def _port(table: Mapping[str, Any], name: str, default: int, key: str = "port") -> int:
    port = _value(table, key, int, default, table_name=name)
    if not 0 <= port <= 65_535:
        raise ConfigError(
            f"{name}.{key} is {port}, but a port is 0 to 65535.",
            where=FILE_NAME,
            mend="Use 0 for any free port.",
        )
    return port


def _origin(name: str, table: Any) -> LocalOrigin:
    shown = f"origins.{name}"
    if "url" not in table:
        raise ConfigError(
            f"[{shown}] needs a url.",
            where=FILE_NAME,
            mend='Add: url = "http://127.0.0.1:8081"',
        )
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


def _allowed_hosts(table: Mapping[str, Any]) -> frozenset[str]:
    hosts = table.get("allowed_hosts", [])
    if not isinstance(hosts, list) or not all(isinstance(host, str) for host in hosts):
        raise ConfigError(
            f"events.allowed_hosts is {hosts!r}.",
            where=FILE_NAME,
            mend='Write a list of names: ["hooks.example.com"].',
        )
    return frozenset(host.lower() for host in hosts)


def _texts(raw: Mapping[str, Any], name: str) -> dict[str, str]:
    table = raw.get(name, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{name} must be a table.", where=FILE_NAME, mend=f"Write [{name}].")
    return {key: str(value) for key, value in table.items()}
