"""`localpop doctor`: what is missing or wrong on this machine and in this project.

Each check is a function that yields what it found, with the command that mends it. Nothing is
changed, nothing started; the network is asked only where the SDK is pointed at this machine, or
when the user asked for it (`online`). No check ever reads a secret, let alone prints one.
"""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import importlib.util
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from emulator.app.deploy import problems_of
from emulator.app.packaging import MANIFEST
from emulator.app.servers import bind
from emulator.app.settings import Overrides, read_settings
from emulator.clock import Clock
from emulator.clock.real import RealClock
from emulator.deploy.sdk import AwsTarget, explained, is_loopback
from emulator.deploy.vendoring import vendor
from emulator.errors import ConfigError, LocalpopError
from emulator.project.declarations import LambdaFunctionDeclaration, TemplateDeclarations
from emulator.project.local import LocalSettings
from emulator.project.not_emulated import find_not_emulated
from emulator.project.template import Inspection, inspect_templates
from emulator.quotas import FUNCTION_CODE_MAX_BYTES, MB, STORE_MAX_BYTES
from emulator.rules.key_value_store import contents_of
from emulator.runtimes.lambda_edge.declarations import find_python
from emulator.runtimes.lambda_edge.modules import read_requirements
from emulator.values.findings import Severity

_PYTHON_MIN: Final = (3, 11)
_NEAR: Final = 0.8
"""A quota that is used to this share is worth a word before it is full."""
_FILES_MIN: Final = 4_096
_DISK_MIN_BYTES: Final = 500 * MB
_HERE: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"
_ASK_S: Final = 5.0
# AWS refuses a signature that is more than 5 minutes off ("Signature Version 4", IAM User Guide,
# troubleshooting: RequestExpired, SignatureDoesNotMatch), read 2026-11-21.
_SKEW_MAX_S: Final = 300


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Args:
        area: `machine`, `project`, `quotas` or `AWS`.
        name: What was looked at.
        verdict: How it ended.
        said: What was found.
        mend: The command, or the edit, that mends it; empty when there is nothing to mend.
    """

    area: str
    name: str
    verdict: Verdict
    said: str
    mend: str = ""


@dataclass(slots=True)
class Examination:
    """Everything that checks look at.

    Args:
        folder: The project's folder.
        flags: What the command line says of settings.
        environ: The process's variables.
        online: Whether AWS and package registries may be asked.
        endpoint_url: An endpoint in AWS's place; empty for what the SDK resolves.
        clock: The machine's.
    """

    folder: Path
    flags: Overrides = field(default_factory=Overrides)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    online: bool = False
    endpoint_url: str = ""
    clock: Clock = field(default_factory=RealClock)
    settings: LocalSettings | None = None
    inspection: Inspection | None = None

    @property
    def declared(self) -> TemplateDeclarations:
        """What the template declares; nothing when it could not be read."""
        return self.inspection.declared if self.inspection else TemplateDeclarations()

    @property
    def lambdas(self) -> tuple[LambdaFunctionDeclaration, ...]:
        """Every Lambda function whose code is here."""
        return (*self.declared.lambdas, *self.declared.regional_lambdas)

    @property
    def target(self) -> AwsTarget:
        """Where the SDK goes."""
        return AwsTarget(self.endpoint_url, self.environ)


def examine(patient: Examination) -> Iterator[Check]:
    """Every check in turn, each as soon as it is known."""
    for check in _CHECKS:
        yield from check(patient)


# --- machine --------------------------------------------------------------------------------------
def _python(patient: Examination) -> Iterator[Check]:
    version = platform.python_version()
    if sys.version_info < _PYTHON_MIN:
        yield _problem(
            "machine", "Python", f"{version}; localpop needs 3.11", "make PYTHON=python3.13"
        )
        return
    yield _ok("machine", "Python", version)
    why = "boto3 signs the key value stores' data API with it (SigV4A)"
    if importlib.util.find_spec("awscrt") is None:
        yield _problem("machine", "awscrt", f"missing; {why}", "pip install 'botocore[crt]'")
    else:
        yield _ok("machine", "awscrt", why)


def _limits(patient: Examination) -> Iterator[Check]:
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < _FILES_MIN:
        raised = _FILES_MIN if hard < 0 else min(_FILES_MIN, hard)
        said = f"{soft:,} open files allowed; 1,000 viewers at once need more"
        yield _warning("machine", "open files", said, f"ulimit -n {raised}")
    else:
        yield _ok("machine", "open files", f"{'unlimited' if soft < 0 else f'{soft:,}'} allowed")
    free = shutil.disk_usage(patient.folder).free
    if free < _DISK_MIN_BYTES:
        yield _warning("machine", "disk", f"{free // MB:,} MB free", "Make room.")


def _ports(patient: Examination) -> Iterator[Check]:
    settings = patient.settings
    if settings is None:
        return
    running = _answers_localpop(settings.aws_port)
    for name, port in (
        ("viewer", settings.viewer_port),
        ("https", 8443 if settings.https_port is None else settings.https_port),
        ("aws", settings.aws_port),
        ("dashboard", settings.dashboard_port),
    ):
        try:
            bind(settings.host, port, name).close()
        except ConfigError as error:
            if running:
                yield _ok("machine", f"port {port}", f"a running localpop has it ({name})")
            elif name == "https" and settings.https_port is None:
                yield _ok("machine", f"port {port}", "in use; HTTPS gets any free port instead")
            else:
                mend = f"localpop up --{name}-port 0 (or see who it is: ss -ltnp 'sport = :{port}')"
                yield _problem("machine", f"port {port}", error.what.rstrip("."), mend)
        else:
            yield _ok("machine", f"port {port}", f"free ({name})")
    for origin_id, origin in settings.origins.items():
        yield from _origin_port(
            origin_id, origin.address.host, origin.address.port, bool(origin.command), running
        )


def _origin_port(
    origin_id: str, host: str, port: int, started: bool, running: bool
) -> Iterator[Check]:
    """An origin that localpop starts needs its port; one that it does not start should be there."""
    listens = False
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        listens = True
    name = f"port {port}"
    if started and listens and not running:
        mend = f"Stop what listens there, or change [origins.{origin_id}] url in localpop.toml."
        yield _problem(
            "machine", name, f"in use; localpop starts the origin {origin_id} there", mend
        )
    elif started:
        yield _ok("machine", name, f"{'answers' if listens else 'free'} (origin {origin_id})")
    elif listens:
        yield _ok("machine", name, f"the origin {origin_id} listens")
    else:
        mend = f"Start it, or let localpop do it: [origins.{origin_id}] command = […]"
        yield _warning("machine", name, f"the origin {origin_id} does not listen on {host}", mend)


def _answers_localpop(port: int) -> bool:
    """Whether the AWS endpoint's own controls answer there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/_localpop/faults")
        return "faults" in json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()


def _runtimes(patient: Examination) -> Iterator[Check]:
    """Interpreters for what the template declares."""
    declared: dict[str, list[str]] = {}
    for function in patient.lambdas:
        declared.setdefault(function.runtime, []).append(function.name)
    for runtime, names in sorted(declared.items()):
        if runtime.startswith("nodejs"):
            yield from _node(runtime, names)
        elif runtime == _HERE:
            yield _ok("machine", runtime, f"this Python runs {', '.join(names)}")
        elif runtime.startswith("python"):
            found = find_python(runtime)
            if found:
                said = f"installed; localpop up --declared-python runs {', '.join(names)} on it"
                yield _ok("machine", runtime, said)
            else:
                version = runtime.removeprefix("python")
                said = f"not installed: {', '.join(names)} will run on {_HERE} instead"
                yield _warning("machine", runtime, said, f"pyenv install {version}")


def _node(runtime: str, names: list[str]) -> Iterator[Check]:
    node = shutil.which("node")
    if node is None:
        said = f"not installed; {', '.join(names)} cannot run"
        major = runtime.removeprefix("nodejs").removesuffix(".x")
        yield _problem("machine", "Node.js", said, f"nvm install {major}")
        return
    ran = subprocess.run(
        [node, "--version"], capture_output=True, text=True, timeout=30, check=False
    )
    version = ran.stdout.strip()
    said = f"{version} runs {', '.join(names)}"
    if version.partition(".")[0] != f"v{runtime.removeprefix('nodejs').removesuffix('.x')}":
        major = runtime.removeprefix("nodejs").removesuffix(".x")
        yield _warning(
            "machine", "Node.js", f"{said}, declared for {runtime}", f"nvm install {major}"
        )
    else:
        yield _ok("machine", "Node.js", said)


# --- project --------------------------------------------------------------------------------------
def _project(patient: Examination) -> Iterator[Check]:
    """Read localpop.toml and the template; what follows looks at what was read."""
    try:
        settings = read_settings(patient.folder, patient.flags, patient.environ)
    except ConfigError as error:
        yield _problem("project", "localpop.toml", error.what.rstrip("."), error.mend)
        return
    patient.settings = settings
    names = ", ".join(path.name for path in settings.templates)
    try:
        today = datetime.fromtimestamp(patient.clock.epoch_ms() / 1_000, UTC).date()
        inspection = inspect_templates(settings.templates, settings.answers, today)
        findings = [*inspection.findings, *problems_of(inspection.declared, settings)]
        for one in inspection.declared.distributions:
            findings += find_not_emulated(one, inspection.places[one.id])
    except LocalpopError as error:
        yield _problem("project", names, str(error), getattr(error, "mend", ""))
        return
    patient.inspection = inspection
    errors = [one for one in findings if one.severity is Severity.ERROR]
    if errors:
        said = f"{len(errors)} error(s), first: {errors[0].what}"
        yield _problem("project", names, said, "localpop validate")
    elif findings:
        said = f"valid, {len(findings)} warning(s)"
        yield _ok("project", names, said)
    else:
        yield _ok("project", names, "valid")
    try:
        settings.state.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=settings.state):
            pass
    except OSError as error:
        mend = f"chmod u+rwx {settings.state.name}"
        yield _problem("project", settings.state.name, f"cannot be written: {error.strerror}", mend)


def _requirements(patient: Examination) -> Iterator[Check]:
    """Libraries of Lambda functions: here for running, at the registry for packaging."""
    for function in patient.lambdas:
        file = function.path / "requirements.txt"
        if not function.runtime.startswith("python") or not file.is_file():
            continue
        missing = read_requirements(function.path).missing
        shown = os.path.relpath(file, patient.folder)
        if missing:
            said = f"{function.name} needs {', '.join(missing)}, which this Python does not have"
            yield _problem("project", "libraries", said, f"pip install -r {shown}")
        else:
            yield _ok("project", "libraries", f"{function.name}: all of {shown} are installed")
        if patient.online:
            yield from _wheels(function, shown)


def _wheels(function: LambdaFunctionDeclaration, shown: str) -> Iterator[Check]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            vendor(function.path / "requirements.txt", function.runtime, Path(folder, "libraries"))
        except (ConfigError, subprocess.TimeoutExpired) as error:
            mend = f"pip download --only-binary=:all: -r {shown}"
            yield _problem("project", "wheels", f"{function.name}: {error}", mend)
        else:
            yield _ok("project", "wheels", f"{function.name}: pip finds all for Lambda's machine")


# --- quotas ---------------------------------------------------------------------------------------
def _quotas(patient: Examination) -> Iterator[Check]:
    for function in patient.declared.functions:
        with contextlib.suppress(OSError):
            code = function.path.read_bytes() if function.path else function.code.encode()
            mend = "Take out comments and white space with a minifier, or move data to a store."
            yield from _used(function.name, "code", len(code), FUNCTION_CODE_MAX_BYTES, mend)
    for store in patient.declared.stores:
        if store.entries:
            size = contents_of(store.entries).total_size_bytes
            mend = "Keep long values in S3 behind the distribution, and their address in the store."
            yield from _used(store.name, "imported pairs", size, STORE_MAX_BYTES, mend)
    yield from _package_sizes(patient)


def _package_sizes(patient: Examination) -> Iterator[Check]:
    """Zips as they were packaged last; only then are their sizes known."""
    manifest = patient.folder / "build" / MANIFEST
    names = [one.name for one in patient.lambdas]
    if not names:
        return
    if not manifest.is_file():
        yield _ok(
            "quotas", "packages", "not packaged yet: localpop package --all tells their sizes"
        )
        return
    try:
        listed = json.loads(manifest.read_bytes())["artifacts"]
        sizes = [
            (one["name"], one["size_bytes"], one["quota"]["limit_bytes"])
            for one in listed
            if one["name"] in names
        ]
    except (ValueError, KeyError, TypeError, OSError):
        yield _warning(
            "quotas", "packages", f"build/{MANIFEST} is broken", "localpop package --all"
        )
        return
    for name, size, limit in sizes:
        mend = f"localpop package {name}"
        yield from _used(name, "zip", size, limit, f"{mend} lists the largest libraries.")


def _used(name: str, what: str, size: int, limit: int, mend: str) -> Iterator[Check]:
    said = f"{what} has {size:,} of {limit:,} bytes ({100 * size / limit:.0f} %)"
    if size > limit:
        yield _problem("quotas", name, said, mend)
    elif size > _NEAR * limit:
        yield _warning("quotas", name, said, mend)
    else:
        yield _ok("quotas", name, said)


# --- AWS ------------------------------------------------------------------------------------------
def _aws(patient: Examination) -> Iterator[Check]:
    target = patient.target
    url = target.url()
    local = is_loopback(url)
    try:
        session = boto3.Session()
        region = session.region_name
        credentials = session.get_credentials()
    except (BotoCoreError, ClientError) as error:
        yield _problem("AWS", "profile", str(error).rstrip("."), "aws configure list-profiles")
        return
    if credentials is not None:
        yield _ok("AWS", "credentials", f"the SDK finds some (from: {credentials.method})")
    elif local:
        yield _ok("AWS", "credentials", "none, and the local endpoint needs none")
    else:
        said = "none found; running localpop needs none, deploying to AWS does"
        yield _warning("AWS", "credentials", said, "aws configure sso")
    if region or local:
        yield _ok("AWS", "Region", region or "none, and the local endpoint needs none")
    else:
        mend = "export AWS_REGION=us-east-1"
        yield _warning(
            "AWS", "Region", "none found; boto3 clients cannot be made without one", mend
        )
    if not url and not patient.online:
        yield _ok("AWS", "endpoint", "AWS itself; --online asks it")
        return
    yield from _endpoint(patient, target, url)


def _endpoint(patient: Examination, target: AwsTarget, url: str) -> Iterator[Check]:
    reached, date = _ask(url or "https://sts.us-east-1.amazonaws.com")
    shown = target.describe()
    if not reached:
        mend = (
            "localpop up"
            if is_loopback(url)
            else "Look at your network, proxy and AWS_ENDPOINT_URL."
        )
        yield _problem("AWS", "endpoint", f"{shown} does not answer", mend)
        return
    yield _ok("AWS", "endpoint", f"{shown} answers")
    yield from _clock(patient, date)
    try:
        identity = target.client("sts").get_caller_identity()
    except ConfigError as error:
        yield _problem("AWS", "account", error.what.rstrip("."), error.mend)
        return
    except (BotoCoreError, ClientError) as error:
        wrong = explained(error)
        yield _problem("AWS", "account", wrong.what.rstrip("."), wrong.mend or "aws sso login")
        return
    yield _ok("AWS", "account", str(identity["Account"]))
    yield from _store_sizes(patient, target)


def _store_sizes(patient: Examination, target: AwsTarget) -> Iterator[Check]:
    try:
        control = target.client("cloudfront")
        data = target.client("cloudfront-keyvaluestore")
        for store in patient.declared.stores:
            with contextlib.suppress(control.exceptions.EntityNotFound):
                arn = control.describe_key_value_store(Name=store.name)["KeyValueStore"]["ARN"]
                size = data.describe_key_value_store(KvsARN=arn)["TotalSizeInBytes"]
                mend = f"localpop kvs list --store {store.name}"
                yield from _used(store.name, "the store", size, STORE_MAX_BYTES, mend)
    except (ConfigError, BotoCoreError, ClientError) as error:
        yield _warning("AWS", "stores", str(error), "localpop policy --deployer")


def _ask(url: str) -> tuple[bool, str]:
    """Whether a server answers at all, and the date it has."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_ASK_S)
    try:
        connection.request("HEAD", "/")
        return True, connection.getresponse().getheader("Date") or ""
    except (OSError, http.client.HTTPException, ValueError):
        return False, ""
    finally:
        connection.close()


def _clock(patient: Examination, date: str) -> Iterator[Check]:
    """Signatures carry the time."""
    try:
        theirs_s = email.utils.parsedate_to_datetime(date).timestamp()
    except ValueError:
        return
    skew_s = patient.clock.epoch_ms() / 1_000 - theirs_s
    if abs(skew_s) > _SKEW_MAX_S:
        ahead = "ahead of" if skew_s > 0 else "behind"
        said = f"{abs(skew_s):,.0f} s {ahead} the endpoint's; AWS refuses such signatures"
        yield _problem("AWS", "clock", said, "sudo timedatectl set-ntp true")
    else:
        yield _ok("AWS", "clock", "agrees with the endpoint's")


_CHECKS: Final[tuple[Callable[[Examination], Iterator[Check]], ...]] = (
    _project,
    _requirements,
    _python,
    _limits,
    _runtimes,
    _ports,
    _quotas,
    _aws,
)


def _ok(area: str, name: str, said: str) -> Check:
    return Check(area, name, Verdict.OK, said)


def _warning(area: str, name: str, said: str, mend: str) -> Check:
    return Check(area, name, Verdict.WARNING, said, mend)


def _problem(area: str, name: str, said: str, mend: str) -> Check:
    return Check(area, name, Verdict.PROBLEM, said, mend)
