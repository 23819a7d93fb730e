"""Stores, CloudFront Functions and Lambda functions of a project, with their code.

Where code is: on disk by `aws:asset:path` (CDK's and SAM's convention, and ours), a CDK asset by
its key, inline, or said in localpop.toml under [functions].
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from emulator import quotas
from emulator.errors import ApiError, ConfigError, NotEmulated
from emulator.project.account import ProjectAccount
from emulator.project.declarations import (
    EventInvokeConfig,
    FunctionDeclaration,
    FunctionUrlDeclaration,
    LambdaFunctionDeclaration,
    StoreDeclaration,
)
from emulator.project.local import LocalFunction
from emulator.project.reading import Notes, Section
from emulator.project.resources import ASSET_PATH, Resources
from emulator.rules import function_lint, lambda_lint
from emulator.rules.edge_associations import LambdaConfiguration
from emulator.rules.key_value_store import contents_of, pair_bytes, store_arn
from emulator.values.distribution import CorsConfig, Distribution, OriginKind
from emulator.values.functions import EventType, FunctionKind

_BAKED_FILES: Final = "localpop:baked-files"
_S3_ARN: Final = "arn:aws:s3:::"
# Lambda names the file of inline code so (CloudFormation, AWS::Lambda::Function Code, ZipFile).
_INLINE_FILES: Final = {"python": "index.py", "nodejs": "index.js"}


# --- key value stores ---------------------------------------------------------------------------


def read_store(resources: Resources, logical_id: str, account: ProjectAccount) -> StoreDeclaration:
    """A key value store, with what is imported into it.

    Raises:
        ConfigError: The file to import is not here, or is none.
    """
    properties = resources.properties(logical_id)
    name = resources.name(logical_id, "Name")
    entries = None
    if properties.has("ImportSource"):
        source = properties.section("ImportSource")
        file = _import_file(resources, logical_id, name, source, account)
        entries = read_import(file)
    return StoreDeclaration(logical_id, name, store_arn(name), properties.text("Comment"), entries)


def _import_file(
    resources: Resources, logical_id: str, name: str, source: Section, account: ProjectAccount
) -> Path:
    said = account.answers.stores
    for key in (logical_id, name):
        if key in said:
            return said[key]
    arn = source.text("SourceArn")
    found = resources.asset_of_key(arn.removeprefix(_S3_ARN).partition("/")[2])
    if found is not None:
        return found
    raise ConfigError(
        f"The file that {name} imports ({arn}) is in S3, not here.",
        where=source.where,
        mend=f'Add to localpop.toml: [stores.{logical_id}] import = "seed.json"',
    )


def read_import(file: Path) -> dict[str, str]:
    """A file in AWS's form for imports: `{"data": [{"key": …, "value": …}]}`.

    AWS: "File format for key-value pairs" (DG kvs-with-functions-create-s3-kvp), read 2026-11-20.

    Raises:
        ConfigError: Not of that form, a key twice, or over a quota.
    """
    mend = 'Write it as {"data": [{"key": "…", "value": "…"}]}.'
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        pairs = [(entry["key"], entry["value"]) for entry in raw["data"]]
    except FileNotFoundError:
        raise ConfigError(f"There is no {file.name} to import.", mend="Create it.") from None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ConfigError(
            f"It is no file of key-value pairs: {type(error).__name__}: {error}.",
            where=file.name,
            mend=mend,
        ) from None
    entries: dict[str, str] = {}
    for key, value in pairs:
        if not isinstance(key, str) or not isinstance(value, str):
            raise ConfigError(f"The pair {key!r} is no pair of texts.", where=file.name, mend=mend)
        if key in entries:
            raise ConfigError(f"The key {key!r} stands twice.", where=file.name, mend="Keep one.")
        entries[key] = value
    try:
        for key, value in entries.items():
            pair_bytes(key, value)
        contents_of(entries)
    except ApiError as error:
        raise ConfigError(error.message, where=file.name, mend="Shorten it.") from None
    return entries


# --- CloudFront Functions -----------------------------------------------------------------------


def read_function(
    resources: Resources, logical_id: str, account: ProjectAccount
) -> FunctionDeclaration:
    """A CloudFront Function; what AWS would refuse in it is noted.

    Raises:
        ConfigError: Its code is not where the template says.
    """
    properties = resources.properties(logical_id)
    config = properties.section("FunctionConfig")
    name = resources.name(logical_id, "Name")
    arn = str(resources.attribute(logical_id, "FunctionARN"))
    stores = [
        entry.text("KeyValueStoreARN") for entry in config.sections("KeyValueStoreAssociations")
    ]
    said = _said(account.answers.functions, logical_id, name, arn)
    path = said.code if said else resources.asset(logical_id)
    code = "" if path else properties.text("FunctionCode")
    text = _source(path) if path else code
    if not text.strip():
        properties.notes.error(
            "The function has no code.",
            properties.place("FunctionCode"),
            f'Write it there, or add to localpop.toml, under [functions]: {logical_id} = "…"',
        )
    runtime = config.text("Runtime")
    found = function_lint.check_function(name, runtime, text, len(stores), properties.where)
    properties.notes.add(*found)
    return FunctionDeclaration(
        logical_id, name, arn, runtime, path, code, stores[0] if stores else ""
    )


def _source(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"The function's code cannot be read: {error}.",
            where=path.name,
            mend="Name a JavaScript file, saved as UTF-8.",
        ) from None


def function_elsewhere(arn: str, said: LocalFunction) -> FunctionDeclaration:
    """A CloudFront Function that no template here declares, but localpop.toml does."""
    name = arn.rpartition("/")[2]
    _source(said.code)
    store = store_arn(said.store) if said.store else ""
    return FunctionDeclaration(
        name, name, arn, said.runtime or "cloudfront-js-2.0", said.code, "", store
    )


def _said(
    functions: Mapping[str, LocalFunction], logical_id: str, name: str, arn: str
) -> LocalFunction | None:
    return functions.get(logical_id) or functions.get(name) or functions.get(arn)


# --- Lambda functions ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LambdaReader:
    """Reads Lambda functions.

    Args:
        account: The account.
        state: Where code goes that is on disk nowhere.
        notes: Where mistakes go.
    """

    account: ProjectAccount
    state: Path
    notes: Notes

    def read(
        self, resources: Resources, logical_id: str, versions: tuple[str, ...]
    ) -> LambdaFunctionDeclaration:
        """A Lambda function with its code on disk.

        Raises:
            ConfigError: Its code is nowhere.
        """
        properties = resources.properties(logical_id)
        name = resources.name(logical_id, "FunctionName")
        arn = resources.lambda_arn(logical_id)
        said = _said(self.account.answers.functions, logical_id, name, arn)
        runtime = properties.text("Runtime")
        handler = properties.text("Handler")
        path = said.code if said else self._code(resources, logical_id, properties, runtime)
        baked = resources.resolver.resolve(
            resources.metadata(logical_id).get(_BAKED_FILES) or {},
            f"Resources.{logical_id}.Metadata.{_BAKED_FILES}",
        )
        variables = properties.section("Environment").section("Variables")
        dead_letters = properties.section("DeadLetterConfig").text("TargetArn")
        reserved = properties.has("ReservedConcurrentExecutions") or (
            properties.raw.get("ReservedConcurrentExecutions") == 0
        )
        return LambdaFunctionDeclaration(
            logical_id,
            name,
            arn,
            (said.handler if said else "") or handler,
            (said.runtime if said else "") or runtime,
            self._folder(path, name),
            properties.whole("Timeout", 3),
            properties.whole("MemorySize", 128),
            baked,
            versions,
            {key: variables.text(key) for key in variables.raw},
            False,
            resources.folders(logical_id),
            properties.whole("ReservedConcurrentExecutions", 0) if reserved else None,
            dead_letters,
        )

    def has_code(self, resources: Resources, logical_id: str) -> bool:
        """Whether anything says where a function's code is on this machine."""
        name, arn = resources.name(logical_id, "FunctionName"), resources.lambda_arn(logical_id)
        code = resources.properties(logical_id).raw.get("Code")
        key = code.get("S3Key") if isinstance(code, dict) else None
        return bool(
            _said(self.account.answers.functions, logical_id, name, arn)
            or resources.metadata(logical_id).get(ASSET_PATH)
            or (isinstance(code, dict) and "ZipFile" in code)
            or (isinstance(key, str) and resources.asset_of_key(key))
        )

    def read_regional(self, resources: Resources, logical_id: str) -> LambdaFunctionDeclaration:
        """A Lambda function that runs in its Region, with its versions and aliases.

        Raises:
            ConfigError: Its code is nowhere.
            NotEmulated: A container image.
        """
        properties = resources.properties(logical_id)
        if properties.text("PackageType", "Zip") == "Image":
            raise NotEmulated("A Lambda function from a container image", where=properties.where)
        with self.notes.as_warnings():
            declared = self.read(resources, logical_id, ())
        self.notes.add(
            *lambda_lint.check_regional(
                declared.name,
                declared.timeout_s,
                declared.memory_mb,
                declared.environment,
                properties.where,
            )
        )
        return replace(
            declared,
            regional=True,
            aliases=(
                *resources.lambda_qualifiers(logical_id, "AWS::Lambda::Version", "Version"),
                *resources.lambda_qualifiers(logical_id, "AWS::Lambda::Alias", "AliasArn"),
            ),
            asynchronous=dict(_event_invoke_configs(resources, declared.name)),
        )

    def _code(
        self, resources: Resources, logical_id: str, properties: Section, runtime: str
    ) -> Path:
        code = properties.section("Code")
        path = resources.asset(logical_id, code)
        if path is not None:
            return path
        if code.has("ZipFile"):
            return self._inline(resources, logical_id, code.text("ZipFile"), runtime)
        raise ConfigError(
            "Where this function's code is on disk is not said.",
            where=properties.place("Code"),
            mend=f'Add to localpop.toml, under [functions]: {logical_id} = "<folder>"'
            " (or to its Metadata: aws:asset:path: <folder>, and aws:asset:property: Code).",
        )

    def _inline(self, resources: Resources, logical_id: str, text: str, runtime: str) -> Path:
        """Inline code, written to the state folder."""
        folder = self.state / "inline" / f"{resources.stack.name}-{logical_id}"
        file = folder / _INLINE_FILES.get(runtime.rstrip("0123456789.x"), "index.js")
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            folder.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return folder

    def _folder(self, path: Path, name: str) -> Path:
        """The folder with the code; a zip is unpacked into the state folder."""
        if path.is_dir():
            return path
        if not path.exists():
            raise ConfigError(
                f"There is no {path.name}.",
                where=f"code of {name}",
                mend="Create it, or mend the path in localpop.toml.",
            )
        folder = self.state / "unpacked" / name
        try:
            with zipfile.ZipFile(path) as archive:
                shutil.rmtree(folder, ignore_errors=True)
                # extractall keeps names inside the folder.
                archive.extractall(folder)
        except (zipfile.BadZipFile, OSError) as error:
            raise ConfigError(
                f"The code of {name} is neither a folder nor a zip: {error}.",
                where=path.name,
                mend="Name a folder.",
            ) from None
        return folder

    def elsewhere(
        self, arn: str, said: LocalFunction, versions: tuple[str, ...]
    ) -> LambdaFunctionDeclaration:
        """A Lambda function that no template here declares, but localpop.toml does.

        Raises:
            ConfigError: Its files do not tell handler and runtime.
        """
        name = arn.rpartition(":")[2]
        path = self._folder(said.code, name)
        handler, runtime = said.handler, said.runtime
        if not handler or not runtime:
            handler, runtime = _guess(path, name, said)
        return LambdaFunctionDeclaration(
            name, name, arn, handler, runtime, path, quotas.LAMBDA_TIMEOUT_MAX_S, versions=versions
        )


def _event_invoke_configs(
    resources: Resources, name: str
) -> Iterator[tuple[str, EventInvokeConfig]]:
    """What happens to a function's asynchronous events, by qualifier."""
    for logical_id in resources.of("AWS::Lambda::EventInvokeConfig"):
        properties = resources.properties(logical_id)
        if properties.text("FunctionName").rpartition(":")[2] != name:
            continue
        told = properties.section("DestinationConfig")
        yield (
            properties.text("Qualifier", "$LATEST"),
            EventInvokeConfig(
                properties.whole("MaximumRetryAttempts", quotas.LAMBDA_EVENT_RETRIES_MAX),
                properties.whole("MaximumEventAgeInSeconds", quotas.LAMBDA_EVENT_AGE_MAX_S),
                told.section("OnSuccess").text("Destination"),
                told.section("OnFailure").text("Destination"),
            ),
        )


def _guess(path: Path, name: str, said: LocalFunction) -> tuple[str, str]:
    """Handler and runtime by the usual file names."""
    usual = {
        "handler.py": ("handler.handler", "python3.13"),
        "lambda_function.py": ("lambda_function.lambda_handler", "python3.13"),
        "index.mjs": ("index.handler", "nodejs22.x"),
        "index.js": ("index.handler", "nodejs22.x"),
        "index.cjs": ("index.handler", "nodejs22.x"),
    }
    for file, (handler, runtime) in usual.items():
        if (path / file).exists():
            return said.handler or handler, said.runtime or runtime
    raise ConfigError(
        f"The files of {name} do not tell its handler and runtime.",
        where="localpop.toml: functions",
        mend=f'Write: "{name}" = {{ code = "…", runtime = "python3.13", handler = "app.handler" }}',
    )


def events_of(
    distributions: tuple[Distribution, ...], kind: FunctionKind
) -> dict[str, frozenset[EventType]]:
    """At which events distributions run functions of one kind, by ARN."""
    events: dict[str, frozenset[EventType]] = {}
    for distribution in distributions:
        for behavior in distribution.behaviors:
            for one in behavior.functions:
                if one.kind is kind:
                    events[one.arn] = events.get(one.arn, frozenset()) | {one.event_type}
    return events


def check_edge_lambda(resources: Resources, logical_id: str, events: frozenset[EventType]) -> None:
    """Note what CloudFront would refuse in a Lambda function that a behavior names."""
    properties = resources.properties(logical_id)
    configuration = LambdaConfiguration(
        resources.lambda_arn(logical_id),
        properties.text("Runtime"),
        properties.whole("Timeout", 3),
        properties.whole("MemorySize", 128),
        0,
        bool(properties.section("Environment").section("Variables").raw),
        tuple(_unsupported(properties)),
    )
    role = properties.raw.get("Role")
    trusted = _trusted_services(resources, logical_id)
    shown = role if isinstance(role, str) else ""
    found = function_lint.check_lambda(configuration, events, trusted, shown, properties.where)
    properties.notes.add(*found)


def _unsupported(properties: Section) -> list[str]:
    """What Lambda@Edge lacks (facts/lambda-at-edge.md 4.4), in AWS's words."""
    vpc = properties.section("VpcConfig")
    architectures = properties.texts("Architectures")
    checks = (
        ("layers", properties.has("Layers")),
        ("a VPC configuration", vpc.has("SubnetIds") or vpc.has("SecurityGroupIds")),
        ("a dead-letter queue", properties.section("DeadLetterConfig").has("TargetArn")),
        ("X-Ray tracing", properties.section("TracingConfig").text("Mode") == "Active"),
        ("a customer-managed KMS key", properties.has("KmsKeyArn")),
        ("a container image", properties.text("PackageType", "Zip") == "Image"),
        (f"the architecture {', '.join(architectures)}", architectures not in ([], ["x86_64"])),
        (
            "more than 512 MB of ephemeral storage",
            properties.section("EphemeralStorage").whole("Size", 512) > 512,
        ),
        (
            "a runtime management mode other than Auto",
            properties.section("RuntimeManagementConfig").text("UpdateRuntimeOn", "Auto") != "Auto",
        ),
    )
    return [what for what, has in checks if has]


def _trusted_services(resources: Resources, logical_id: str) -> frozenset[str] | None:
    """Services that may assume a function's role, when the role is in the same template."""
    raw = resources.unresolved(logical_id).get("Role")
    named = raw.get("Fn::GetAtt") if isinstance(raw, dict) else None
    role = str(named[0] if isinstance(named, list) and named else named or "").partition(".")[0]
    if resources.raw(role).get("Type") != "AWS::IAM::Role":
        return None
    trust = resources.properties(role).section("AssumeRolePolicyDocument")
    services: set[str] = set()
    # IAM takes one statement in place of a list, and one service too.
    one = isinstance(trust.raw.get("Statement"), dict)
    for statement in [trust.section("Statement")] if one else trust.sections("Statement"):
        if not isinstance(statement.raw.get("Principal"), str):
            services |= set(statement.section("Principal").texts("Service"))
    return frozenset(services)


def read_function_url(
    resources: Resources, logical_id: str, function: LambdaFunctionDeclaration
) -> FunctionUrlDeclaration:
    """A Lambda function URL.

    Raises:
        NotEmulated: It streams.
    """
    properties = resources.properties(logical_id)
    if properties.text("InvokeMode", "BUFFERED") == "RESPONSE_STREAM":
        raise NotEmulated(
            "A Lambda function URL with InvokeMode RESPONSE_STREAM",
            where=properties.place("InvokeMode"),
        )
    return FunctionUrlDeclaration(
        logical_id,
        resources.url_domain(logical_id),
        function,
        properties.text("AuthType", "AWS_IAM"),
        properties.text("Qualifier"),
        _cors(properties.section("Cors")) if properties.has("Cors") else None,
    )


def _cors(said: Section) -> CorsConfig:
    """A function URL's Cors: what it does not say is not allowed."""
    return CorsConfig(
        allow_origins=tuple(said.texts("AllowOrigins")),
        allow_headers=tuple(said.texts("AllowHeaders")),
        allow_methods=tuple(said.texts("AllowMethods")),
        allow_credentials=said.truth("AllowCredentials"),
        expose_headers=tuple(said.texts("ExposeHeaders")),
        max_age_s=said.whole("MaxAge", 0) if said.has("MaxAge") else None,
        origin_override=True,
    )


def url_domains(distributions: tuple[Distribution, ...]) -> frozenset[str]:
    """Domains of function URLs that are origins."""
    return frozenset(
        origin.domain_name
        for distribution in distributions
        for origin in distribution.origins.values()
        if origin.kind is OriginKind.LAMBDA_URL
    )
