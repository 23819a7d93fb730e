"""A project's declarations turned into a Site: what `aws cloudformation deploy` is at AWS."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from typing import Final

from emulator.app.account_site import AccountSite
from emulator.app.function_logs import FunctionLogs
from emulator.app.stalled_copies import StalledCopies
from emulator.app.watch import stamps
from emulator.edge.functions import CloudFrontFunction, EdgeFunction, LambdaFunction
from emulator.edge.site import OriginTarget, Site
from emulator.errors import ConfigError, NotEmulated
from emulator.network.origins import OriginAddress, OriginTimeouts
from emulator.project.declarations import (
    FunctionDeclaration,
    LambdaFunctionDeclaration,
    TemplateDeclarations,
)
from emulator.project.local import FILE_NAME, LocalOrigin, LocalSettings
from emulator.rules.asl_definition import not_emulated
from emulator.rules.s3_origin import grants_list_bucket
from emulator.runtimes.cloudfront_functions.checker import Problem, check
from emulator.runtimes.cloudfront_functions.engine import CloudFrontFunctions
from emulator.runtimes.lambda_edge import LambdaFunctions, LoadedLambda, build
from emulator.runtimes.lambda_edge.syntax import syntax_problem
from emulator.stores.account import Account
from emulator.stores.key_value_stores import KeyValueStores
from emulator.stores.lambda_packages import LambdaPackages
from emulator.values.distribution import Distribution, Origin, OriginKind
from emulator.values.findings import Finding, error
from emulator.values.functions import EdgeLocation
from emulator.values.key_values import StoreSnapshot
from emulator.values.lambda_edge import LambdaDeclaration


@dataclass(frozen=True, slots=True)
class Deployed:
    """What a deployment made.

    Args:
        site: For the edge.
        warnings: What would fail at run time or differs from AWS; shown at once.
        files: What to watch for changes.
        held_back: Functions whose saved code does not compile, and why; the last good version
            stays in use.
    """

    site: Site
    warnings: tuple[str, ...]
    files: tuple[Path, ...]
    held_back: tuple[str, ...] = ()


@dataclass(slots=True)
class Deployer:
    """Deploys declarations to this machine's edge.

    Args:
        settings: localpop.toml.
        stores: The account's key value stores.
        functions: The engine of CloudFront Functions.
        lambdas: The sandboxes of Lambda@Edge.
        account: What was made through the AWS endpoint.
        packages: The code of the account's Lambda functions.
        logs: Keeps what functions write.
        copies: The versions of stores that edge servers hold.
        s3: Where buckets are: the AWS endpoint, in which moto has them.
        function_urls: Where the template's Lambda function URLs are served.
        folders: Where folders that stand in for buckets are served, by origin id.
        declared: What the template declared when it was deployed last.
    """

    settings: LocalSettings
    stores: KeyValueStores
    functions: CloudFrontFunctions
    lambdas: LambdaFunctions
    account: Account
    packages: LambdaPackages
    logs: FunctionLogs
    copies: StalledCopies
    s3: OriginAddress | None = None
    function_urls: OriginAddress | None = None
    folders: Mapping[str, OriginAddress] = field(default_factory=dict)
    declared: TemplateDeclarations = field(default_factory=TemplateDeclarations)
    _loaded: dict[str, LoadedLambda] = field(default_factory=dict)
    _edge_functions: dict[str, EdgeFunction] = field(default_factory=dict)
    _regional: dict[str, tuple[object, LoadedLambda]] = field(default_factory=dict)
    _account_site: AccountSite = field(init=False)

    def __post_init__(self) -> None:
        self._account_site = AccountSite(
            self.account, self.packages, self.functions, self.lambdas, self._copy, self.logs
        )

    async def deploy(self, declared: TemplateDeclarations) -> Deployed:
        """Make what is declared; the edge still serves what it had.

        Raises:
            ConfigError: Something cannot be made; nothing has changed then but new stores.
        """
        for store in declared.stores:
            if store.entries and self.stores.find(store.name) is None:
                # ImportSource: only when the store is made, as at AWS.
                await self.stores.create(store.name, comment=store.comment, items=store.entries)
            await self.stores.ensure(store.name, comment=store.comment)
        warnings = [str(finding) for finding in declared.warnings]
        fresh: dict[str, LoadedLambda] = {}
        held_back: list[str] = []
        edge_functions: dict[str, EdgeFunction] = {}
        for function in declared.functions:
            edge_functions[function.arn] = self._cloudfront_function(function, warnings)
        for declaration in declared.all_lambdas:
            problem = await _syntax_problem(declaration)
            if problem and set(_arns(declaration)) <= set(self._loaded):
                held_back.append(f"{declaration.name}: {problem}")
                fresh |= self._hold_back(declaration, problem)
                continue
            if problem:
                warnings.append(f"would fail when it runs: {declaration.name}: {problem}")
            if not declaration.regional:
                fresh |= self._lambda_function(declaration, warnings)
            else:
                fresh |= await self._regional_lambda(declaration, warnings)
        edge_functions |= {
            arn: LambdaFunction(one.declaration.name, one)
            for arn, one in fresh.items()
            if not one.declaration.regional
        }
        if not self.settings.interprets_state_machines:
            warnings += _not_run_natively(declared)
        for distribution in declared.distributions:
            _require_functions(distribution, edge_functions)
            for origin in distribution.origins.values():
                self._target(origin, declared)
        for arn, loaded in self._loaded.items():
            if fresh.get(arn) is not loaded:
                # Requests under way keep their environment; idle ones end.
                self.lambdas.unload(loaded)
        # What has been unloaded must not come back when its files do.
        self._regional = {
            arn: kept for arn, kept in self._regional.items() if fresh.get(arn) is kept[1]
        }
        self._loaded = fresh
        self.declared, self._edge_functions = declared, edge_functions
        return Deployed(self.site(), said_once(warnings), self._files(declared), tuple(held_back))

    def loaded_lambda(self, arn: str) -> LoadedLambda | None:
        """A Lambda function of the template, by its ARN; a version's runs at the edge too."""
        return self._loaded.get(arn)

    def site(self) -> Site:
        """What the template declares, and behind it what was made through the AWS endpoint."""
        made = self._account_site.distributions()
        functions = {**self._edge_functions, **self._account_site.edge_functions(made)}
        origins = {
            (distribution.id, origin.id): self._target(origin, self.declared)
            for distribution in self.declared.distributions
            for origin in distribution.origins.values()
        }
        origins |= {
            (distribution.id, origin.id): self._target(origin, self.declared, or_nowhere=True)
            for distribution in made
            for origin in distribution.origins.values()
        }
        return Site(
            (*self.declared.distributions, *made), functions, origins, self._domains(origins)
        )

    def _domains(self, origins: Mapping[tuple[str, str], OriginTarget]) -> dict[str, OriginTarget]:
        """Where a domain is that a function may choose: an origin's own, or a mapped name."""
        found = {
            distribution.origins[origin_id].domain_name: origins[distribution.id, origin_id]
            for distribution in self.declared.distributions
            for origin_id in distribution.origins
        }
        for name, local in self.settings.origins.items():
            if "." in name:
                found[name] = OriginTarget(local.address, local.region, local.front)
        return found

    def _cloudfront_function(
        self, declared: FunctionDeclaration, warnings: list[str]
    ) -> CloudFrontFunction:
        """Broken code deploys, and fails when it runs, as at AWS; we only say so at once."""
        shown, code = _source(declared)
        loaded = self.functions.load(declared.name, code, declared.runtime)
        warnings += [f"would fail when it runs: {_line(shown, one)}" for one in loaded.problems]
        logged = self.logs.logged(declared.name, loaded)
        return CloudFrontFunction(declared.name, logged, declared.store_arn, self._copy)

    def _copy(self, arn: str, location: EdgeLocation) -> StoreSnapshot:
        """The version of a store that an edge server holds."""
        return self.copies.copy(arn, location)

    def _hold_back(
        self, declared: LambdaFunctionDeclaration, problem: str
    ) -> dict[str, LoadedLambda]:
        """The version that is in use, by ARN; whoever looks at a request is told."""
        kept = {arn: self._loaded[arn] for arn in _arns(declared)}
        for loaded in kept.values():
            loaded.notice = f"{problem} (what was saved does not compile; the last good runs)"
        return kept

    def _lambda_function(
        self, declared: LambdaFunctionDeclaration, warnings: list[str]
    ) -> dict[str, LoadedLambda]:
        """Each of its versions, by ARN."""
        package = build(declared.path, self._package(declared), declared.baked, declared.folders)
        made: dict[str, LoadedLambda] = {}
        for arn in declared.versions:
            made[arn] = self.lambdas.load(lambda_declaration(declared, arn, package))
            warnings += made[arn].warnings
        return made

    async def _regional_lambda(
        self, declared: LambdaFunctionDeclaration, warnings: list[str]
    ) -> dict[str, LoadedLambda]:
        """A function that runs in its Region; one that cannot run here keeps nobody from serving.

        One whose files and configuration are as they were keeps its warm environments.
        """
        content = (declared, tuple(stamps(_files_of(declared)).items()))
        before = self._regional.get(declared.arn)
        if before is not None and before[0] == content:
            return {declared.arn: before[1]}
        try:
            package = await asyncio.to_thread(
                build, declared.path, self._package(declared), declared.baked, declared.folders
            )
            loaded = self.lambdas.load(regional_declaration(declared, package))
        except (ConfigError, NotEmulated) as failure:
            warnings.append(f"cannot be invoked: {failure}")
            return {}
        warnings += loaded.warnings
        self._regional[declared.arn] = (content, loaded)
        return {declared.arn: loaded}

    def _package(self, declared: LambdaFunctionDeclaration) -> Path:
        return self.settings.state / "packages" / declared.name

    def _target(
        self, origin: Origin, declared: TemplateDeclarations, *, or_nowhere: bool = False
    ) -> OriginTarget:
        """Where an origin is, by its id or its domain name in localpop.toml.

        Args:
            origin: The origin.
            declared: The template, which has the functions behind function URLs.
            or_nowhere: One that is not mapped gets an address that does not resolve, so that
                viewers see what they would at AWS; else that is an error.

        Raises:
            ConfigError: Where it is is not said.
        """
        mapped = self.settings.origins
        local = mapped.get(origin.id) or mapped.get(origin.domain_name)
        if local is None and origin.id in self.folders:
            local = LocalOrigin(self.folders[origin.id])
        if local is None and origin.id in self.settings.remotes:
            local = LocalOrigin(OriginAddress(origin.domain_name, origin.port, origin.https))
        if local is None and origin.kind is OriginKind.S3 and self.s3 is not None:
            # The bucket is in the Host header, as at AWS.
            local = LocalOrigin(self.s3)
        if local is None and origin.kind is OriginKind.LAMBDA_URL:
            local = self._function_url(origin, declared)
        if local is None:
            local = _nowhere(origin) if or_nowhere and not _is_here(origin) else _itself(origin)
        timeouts = OriginTimeouts(
            origin.connection_attempts,
            origin.connection_timeout_s,
            origin.read_timeout_s,
            origin.keepalive_timeout_s,
        )
        hides_missing = origin.kind is OriginKind.S3 and not self._may_list(origin)
        return OriginTarget(local.address, local.region, local.front, timeouts, hides_missing)

    def _function_url(self, origin: Origin, declared: TemplateDeclarations) -> LocalOrigin | None:
        """A function URL of the template; the function is in the Host header, as at AWS."""
        if self.function_urls is None:
            return None
        for url in declared.function_urls:
            if url.domain_name == origin.domain_name:
                return LocalOrigin(self.function_urls, region=url.function.arn.split(":")[3])
        return None

    def _may_list(self, origin: Origin) -> bool:
        """Whether CloudFront may list an S3 origin's bucket, as far as the template says."""
        bucket = origin.domain_name.partition(".s3")[0]
        return any(
            one.name == bucket and grants_list_bucket(one.policy) for one in self.declared.buckets
        )

    def _files(self, declared: TemplateDeclarations) -> tuple[Path, ...]:
        paths = [*declared.files, self.settings.folder / FILE_NAME]
        paths += [function.path for function in declared.functions if function.path]
        for declaration in declared.all_lambdas:
            paths += _files_of(declaration)
        paths = list(dict.fromkeys(paths))
        return tuple(path for path in paths if "__pycache__" not in path.parts)


def _not_run_natively(declared: TemplateDeclarations) -> list[str]:
    """State machines that the native runner cannot start, and why."""
    return [
        f"cannot be started: state machine {machine.name}: {what} at {location} (not emulated by "
        'the native runner; try [step_functions] runner = "interpreter")'
        for machine in declared.state_machines
        for location, what in not_emulated(json.loads(machine.definition))
    ]


def _arns(declared: LambdaFunctionDeclaration) -> tuple[str, ...]:
    """What a function is loaded as: each version that the edge runs, or itself."""
    return (declared.arn,) if declared.regional else declared.versions


def _files_of(declared: LambdaFunctionDeclaration) -> list[Path]:
    folders = (declared.path, *declared.folders.values())
    return [
        path
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    ]


def regional_declaration(declared: LambdaFunctionDeclaration, package: Path) -> LambdaDeclaration:
    """A function that runs in its Region, as the runtime wants it."""
    return LambdaDeclaration(
        name=declared.name,
        handler=declared.handler,
        runtime=declared.runtime,
        package=package,
        timeout_s=declared.timeout_s,
        memory_mb=declared.memory_mb,
        version="$LATEST",
        source=declared.path,
        regional=True,
        environment=declared.environment,
    )


def said_once(warnings: Sequence[str]) -> tuple[str, ...]:
    """The same warning of several Lambda functions, as one that names them all."""
    names: dict[str, list[str]] = {}
    for warning in warnings:
        about, _, said = warning.partition(": ")
        kind, _, name = about.rpartition(" ")
        if kind == _OF_A_FUNCTION:
            names.setdefault(said, []).append(name)
        else:
            names[warning] = []
    return tuple(
        f"{_OF_A_FUNCTION}{'s' * (len(named) > 1)} {', '.join(named)}: {said}" if named else said
        for said, named in names.items()
    )


_OF_A_FUNCTION: Final = "Lambda function"


def lambda_declaration(
    declared: LambdaFunctionDeclaration, arn: str, package: Path
) -> LambdaDeclaration:
    """A published version as the runtime wants it."""
    return LambdaDeclaration(
        name=declared.name,
        handler=declared.handler,
        runtime=declared.runtime,
        package=package,
        timeout_s=declared.timeout_s,
        memory_mb=declared.memory_mb,
        version=arn.rpartition(":")[2],
        source=declared.path,
    )


async def _syntax_problem(declared: LambdaFunctionDeclaration) -> str:
    return await asyncio.to_thread(
        syntax_problem, declared.path, declared.handler, declared.runtime, node=which("node")
    )


def problems_of(declared: TemplateDeclarations, settings: LocalSettings) -> list[Finding]:
    """What would fail at run time, and origins without a place; found without running anything."""
    problems = []
    for function in declared.functions:
        shown, code = _source(function)
        problems += [
            error(f"It would fail when it runs: {problem.message}", _place(shown, problem))
            for problem in check(code, function.runtime)
        ]
    said = {*settings.origins, *settings.folders, *settings.remotes}
    urls = {url.domain_name for url in declared.function_urls}
    for distribution in declared.distributions:
        for origin in distribution.origins.values():
            if origin.id in said or origin.kind is OriginKind.S3 or origin.domain_name in urls:
                continue
            try:
                _itself(origin)
            except ConfigError as wrong:
                problems.append(error(wrong.what, wrong.where, wrong.mend))
    return problems


def _source(function: FunctionDeclaration) -> tuple[str, str]:
    """A function's file name (or place in the template), and its code."""
    if function.path:
        return function.path.name, function.path.read_text(encoding="utf-8")
    return f"{function.logical_id}.FunctionCode", function.code


def _line(shown: str, problem: Problem) -> str:
    return f"{_place(shown, problem)}: {problem.message}"


def _place(shown: str, problem: Problem) -> str:
    return f"{shown}:{problem.line}:{problem.column}"


def _is_here(origin: Origin) -> bool:
    return origin.domain_name in ("localhost", "127.0.0.1")


def _nowhere(origin: Origin) -> LocalOrigin:
    """RFC 6761: names under `invalid` never resolve; the Trace shows what is to be mapped."""
    name = f"{origin.domain_name}.is-not-mapped-in-localpop-toml.invalid"
    return LocalOrigin(OriginAddress(name, origin.port, origin.https))


def _itself(origin: Origin) -> LocalOrigin:
    """A custom origin that is on this machine already needs no entry in localpop.toml."""
    if _is_here(origin):
        return LocalOrigin(OriginAddress(origin.domain_name, origin.port, origin.https))
    raise ConfigError(
        f"Where the origin {origin.id} ({origin.domain_name}) runs on this machine is not said.",
        where=FILE_NAME,
        mend=f'Add: [origins.{origin.id}] url = "http://127.0.0.1:8081"',
    )


def _require_functions(distribution: Distribution, functions: dict[str, EdgeFunction]) -> None:
    for behavior in distribution.behaviors:
        for association in behavior.functions:
            if association.arn not in functions:
                raise ConfigError(
                    f"{behavior.path_pattern} names the function {association.arn}, "
                    "which this template does not declare.",
                    where=f"behavior {behavior.path_pattern}",
                    mend="Refer to it with !GetAtt (CloudFront Function) or !Ref (Lambda version).",
                )
