"""A project's declarations turned into a Site: what `aws cloudformation deploy` is at AWS."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from emulator.edge.functions import CloudFrontFunction, EdgeFunction, LambdaFunction
from emulator.edge.site import OriginTarget, Site
from emulator.errors import ConfigError
from emulator.network.origins import OriginAddress, OriginTimeouts
from emulator.project.declarations import (
    FunctionDeclaration,
    LambdaFunctionDeclaration,
    TemplateDeclarations,
)
from emulator.project.local import FILE_NAME, LocalOrigin, LocalSettings
from emulator.runtimes.cloudfront_functions.checker import Problem, check
from emulator.runtimes.cloudfront_functions.engine import CloudFrontFunctions
from emulator.runtimes.lambda_edge import LambdaFunctions, LoadedLambda, build
from emulator.stores.key_value_stores import KeyValueStores
from emulator.values.distribution import Distribution, Origin
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
    """

    site: Site
    warnings: tuple[str, ...]
    files: tuple[Path, ...]


@dataclass(slots=True)
class Deployer:
    """Deploys declarations to this machine's edge.

    Args:
        settings: localpop.toml.
        stores: The account's key value stores.
        functions: The engine of CloudFront Functions.
        lambdas: The sandboxes of Lambda@Edge.
    """

    settings: LocalSettings
    stores: KeyValueStores
    functions: CloudFrontFunctions
    lambdas: LambdaFunctions
    _loaded: list[LoadedLambda] = field(default_factory=list)

    async def deploy(self, declared: TemplateDeclarations) -> Deployed:
        """Make what is declared; the edge still serves what it had.

        Raises:
            ConfigError: Something cannot be made; nothing has changed then but new stores.
        """
        for store in declared.stores:
            await self.stores.ensure(store.name, comment=store.comment)
        warnings: list[str] = []
        fresh: list[LoadedLambda] = []
        edge_functions: dict[str, EdgeFunction] = {}
        for function in declared.functions:
            edge_functions[function.arn] = self._cloudfront_function(function, warnings)
        for declaration in declared.lambdas:
            edge_functions |= self._lambda_function(declaration, fresh, warnings)
        for distribution in declared.distributions:
            _require_functions(distribution, edge_functions)
        origins = {
            (distribution.id, origin.id): self._target(origin)
            for distribution in declared.distributions
            for origin in distribution.origins.values()
        }
        for loaded in self._loaded:
            # Requests under way keep their environment; idle ones end.
            self.lambdas.unload(loaded)
        self._loaded = fresh
        site = Site(declared.distributions, edge_functions, origins)
        return Deployed(site, tuple(warnings), self._files(declared))

    def _cloudfront_function(
        self, declared: FunctionDeclaration, warnings: list[str]
    ) -> CloudFrontFunction:
        """Broken code deploys, and fails when it runs, as at AWS; we only say so at once."""
        shown, code = _source(declared)
        loaded = self.functions.load(declared.name, code, declared.runtime)
        warnings += [f"would fail when it runs: {_line(shown, one)}" for one in loaded.problems]
        return CloudFrontFunction(declared.name, loaded, declared.store_arn, self._copy)

    def _copy(self, arn: str, location: EdgeLocation) -> StoreSnapshot:
        """The version of a store that an edge server holds; writes arrive at once."""
        return self.stores.snapshot(arn)

    def _lambda_function(
        self,
        declared: LambdaFunctionDeclaration,
        fresh: list[LoadedLambda],
        warnings: list[str],
    ) -> dict[str, EdgeFunction]:
        target = self.settings.state / "packages" / declared.name
        package = build(declared.path, target, declared.baked)
        made: dict[str, EdgeFunction] = {}
        for arn in declared.versions:
            loaded = self.lambdas.load(
                LambdaDeclaration(
                    name=declared.name,
                    handler=declared.handler,
                    runtime=declared.runtime,
                    package=package,
                    timeout_s=declared.timeout_s,
                    memory_mb=declared.memory_mb,
                    version=arn.rpartition(":")[2],
                )
            )
            made[arn] = LambdaFunction(declared.name, loaded)
            fresh.append(loaded)
            warnings += loaded.warnings
        return made

    def _target(self, origin: Origin) -> OriginTarget:
        local = self.settings.origins.get(origin.id) or _itself(origin)
        timeouts = OriginTimeouts(
            origin.connection_attempts,
            origin.connection_timeout_s,
            origin.read_timeout_s,
            origin.keepalive_timeout_s,
        )
        return OriginTarget(local.address, local.region, local.front, timeouts)

    def _files(self, declared: TemplateDeclarations) -> tuple[Path, ...]:
        paths = [self.settings.template, self.settings.folder / FILE_NAME]
        paths += [function.path for function in declared.functions if function.path]
        for declaration in declared.lambdas:
            paths += sorted(path for path in declaration.path.rglob("*") if path.is_file())
        return tuple(path for path in paths if "__pycache__" not in path.parts)


def problems_of(declared: TemplateDeclarations, settings: LocalSettings) -> list[str]:
    """What would fail at run time, found without running anything.

    Raises:
        ConfigError: An origin of the template has no place on this machine.
    """
    problems = []
    for function in declared.functions:
        shown, code = _source(function)
        problems += [_line(shown, problem) for problem in check(code, function.runtime)]
    for distribution in declared.distributions:
        for origin in distribution.origins.values():
            if origin.id not in settings.origins:
                _itself(origin)
    return problems


def _source(function: FunctionDeclaration) -> tuple[str, str]:
    """A function's file name (or place in the template), and its code."""
    if function.path:
        return function.path.name, function.path.read_text(encoding="utf-8")
    return f"{function.logical_id}.FunctionCode", function.code


def _line(shown: str, problem: Problem) -> str:
    return f"{shown}:{problem.line}:{problem.column}: {problem.message}"


def _itself(origin: Origin) -> LocalOrigin:
    """A custom origin that is on this machine already needs no entry in localpop.toml."""
    if origin.domain_name in ("localhost", "127.0.0.1"):
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
