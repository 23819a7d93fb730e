"""Everything that a project's stacks share, as one AWS account would.

Stacks name each other's resources by ARN, by id, by export and through the parameter store. What
none of them has is looked up among the answers of localpop.toml, and asked for in one line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from emulator.errors import ConfigError, LocalpopError
from emulator.project import policies
from emulator.project.api_shapes import config_from_api
from emulator.project.documents import read_document, read_json
from emulator.project.intrinsics import asks_for_import
from emulator.project.local import Answers
from emulator.project.reading import Notes, Section
from emulator.project.resources import EXPORT_WRITER, Resources
from emulator.project.stacks import Stack
from emulator.rules import policy_lint
from emulator.rules.managed_policies import MANAGED_CACHE_POLICIES, MANAGED_ORIGIN_REQUEST_POLICIES
from emulator.rules.response_headers_policy import MANAGED_RESPONSE_HEADERS_POLICIES
from emulator.values.distribution import (
    CachePolicy,
    OriginAccessControl,
    OriginRequestPolicy,
    ResponseHeadersPolicy,
    TrustedKey,
)

_MANAGED: Final[Mapping[str, Mapping[str, Any]]] = {
    "CachePolicy": MANAGED_CACHE_POLICIES,
    "OriginRequestPolicy": MANAGED_ORIGIN_REQUEST_POLICIES,
    "ResponseHeadersPolicy": MANAGED_RESPONSE_HEADERS_POLICIES,
}


@dataclass(slots=True)
class ProjectAccount:
    """The account; `Elsewhere` to its stacks, `Account` to their distributions.

    Args:
        stacks: The project's stacks.
        answers: What localpop.toml says.
        notes: Where mistakes go.
    """

    stacks: tuple[Stack, ...]
    answers: Answers
    notes: Notes
    resources: tuple[Resources, ...] = field(init=False)
    _by_id: dict[str, dict[str, Section]] = field(default_factory=dict)
    _parameters: dict[str, tuple[Resources, Any, str]] | None = None
    _policies: dict[tuple[str, str], Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        found: list[Resources] = []
        for stack in self.stacks:
            found += self._with_nested(Resources(stack, self.answers.parameters, self, self.notes))
        self.resources = tuple(found)

    def _with_nested(self, resources: Resources, above: tuple[Path, ...] = ()) -> list[Resources]:
        """A stack's resources, and those of its nested stacks whose templates are on disk."""
        found = [resources]
        above = (*above, resources.stack.file.resolve())
        for logical_id in _nested_stacks(resources):
            with self.notes.caught():
                file = _nested_template(resources, logical_id)
                if file is None:
                    continue
                if file.resolve() in above:
                    raise ConfigError(
                        f"The nested stack {logical_id} holds itself.",
                        where=resources.stack.label,
                        mend="Break the circle.",
                    )
                stack = replace(
                    resources.stack,
                    name=f"{resources.stack.name}-{logical_id}",
                    file=file,
                    document=read_document(file, needs_resources=False),
                    shown="",
                )
                passed = _Passed(resources, logical_id)
                nested = Resources(stack, passed, self, self.notes)
                resources.nested[logical_id] = nested
                found += self._with_nested(nested, above)
        return found

    @property
    def nested_files(self) -> tuple[Path, ...]:
        """Templates of nested stacks."""
        return tuple(
            nested.stack.file
            for resources in self.resources
            for nested in resources.nested.values()
        )

    # --- other stacks -----------------------------------------------------------------------

    def exported(self, name: str, place: str) -> Any:
        """What another stack exports under a name.

        Raises:
            ConfigError: None does; asks for one line in localpop.toml.
        """
        if name in self.answers.imports:
            return self.answers.imports[name]
        for resources in self.resources:
            outputs = resources.stack.document.get("Outputs") or {}
            for output_name, output in outputs.items():
                export = output.get("Export") if isinstance(output, dict) else None
                if not isinstance(export, dict):
                    continue
                at = f"Outputs.{output_name}"
                exported = resources.resolver.resolve_parts(export.get("Name"), at)
                if exported == name:
                    return resources.resolver.resolve(output.get("Value"), at)
        raise asks_for_import(f"No stack here exports {name!r}.", name, place)

    def stored(self, reference: str, place: str) -> str:
        """What a dynamic reference such as `ssm:/net/domain` stands for.

        Raises:
            ConfigError: Nothing here has it; asks for one line in localpop.toml.
        """
        if reference in self.answers.imports:
            return self.answers.imports[reference]
        service, _, name = reference.partition(":")
        found = self._stored_parameters().get(name.partition(":")[0])
        if service == "ssm" and found is not None:
            resources, value, at = found
            return str(resources.resolver.resolve(value, at))
        raise asks_for_import(f"Nothing here has {reference!r}.", reference, place)

    def answered(self, key: str, what: str, place: str) -> str:
        """What localpop.toml says under [imports].

        Raises:
            ConfigError: It does not; asks for the line.
        """
        if key in self.answers.imports:
            return self.answers.imports[key]
        raise asks_for_import(what, key, place)

    def _stored_parameters(self) -> dict[str, tuple[Resources, Any, str]]:
        """SSM parameters of every stack, and what CDK's export writers write, by name."""
        if self._parameters is None:
            # Set first: a parameter's name may lead back here.
            self._parameters = {}
            for resources in self.resources:
                self._parameters |= _ssm_parameters(resources) | _written_exports(resources)
        return self._parameters

    # --- by id ------------------------------------------------------------------------------

    def cache_policy(self, policy_id: str) -> CachePolicy | None:
        """A cache policy, managed or own."""
        found: CachePolicy | None = self._policy("CachePolicy", policy_id)
        return found

    def origin_request_policy(self, policy_id: str) -> OriginRequestPolicy | None:
        """An origin request policy, managed or own."""
        found: OriginRequestPolicy | None = self._policy("OriginRequestPolicy", policy_id)
        return found

    def response_headers_policy(self, policy_id: str) -> ResponseHeadersPolicy | None:
        """A response headers policy, managed or own."""
        found: ResponseHeadersPolicy | None = self._policy("ResponseHeadersPolicy", policy_id)
        return found

    def access_control(self, control_id: str) -> OriginAccessControl | None:
        """An origin access control."""
        config = self._config("OriginAccessControl", control_id)
        if config is None:
            return None
        return policies.read_origin_access_control(config, control_id)

    def trusted_keys(self, group_id: str) -> tuple[TrustedKey, ...] | None:
        """The public keys of a key group."""
        group = self._config("KeyGroup", group_id)
        if group is None:
            return None
        keys = []
        for key_id in group.texts("Items"):
            key = self._config("PublicKey", key_id)
            if key is None:
                self.notes.error(
                    f"No public key has the id {key_id!r}.",
                    group.place("Items"),
                    "!Ref an AWS::CloudFront::PublicKey, or add to localpop.toml, under"
                    f' [resources]: "{key_id}" = "<file by aws cloudfront get-public-key>"',
                )
            else:
                keys.append(TrustedKey(key_id, key.text("EncodedKey")))
        return tuple(keys)

    def names(self, kind: str) -> list[str]:
        """The managed policies' names of a kind."""
        return [entry.name for entry in _MANAGED[kind].values()]

    def _policy(self, kind: str, policy_id: str) -> Any:
        managed = _MANAGED[kind].get(policy_id)
        if managed is not None:
            return managed
        key = (kind, policy_id)
        if key not in self._policies:
            config = self._config(kind, policy_id)
            self._policies[key] = None if config is None else self._read(kind, config)
        return self._policies[key]

    def _read(self, kind: str, config: Section) -> Any:
        """A policy of the project's own, checked."""
        match kind:
            case "CachePolicy":
                cache = policies.read_cache_policy(config)
                self.notes.add(*policy_lint.check_cache_policy(cache, config.where))
                return cache
            case "OriginRequestPolicy":
                to_origin = policies.read_origin_request_policy(config)
                self.notes.add(*policy_lint.check_origin_request_policy(to_origin, config.where))
                return to_origin
            case _:
                headers = policies.read_response_headers_policy(config)
                own = len(config.section("CustomHeadersConfig").items("Items"))
                found = policy_lint.check_response_headers_policy(headers, own, config.where)
                self.notes.add(*found)
                return headers

    def _config(self, kind: str, identity: str) -> Section | None:
        """The `…Config` of a resource with an id, from a stack or from localpop.toml."""
        if kind not in self._by_id:
            self._by_id[kind] = {
                str(resources.attribute(logical_id, "")): resources.properties(logical_id).section(
                    f"{kind}Config"
                )
                for resources in self.resources
                for logical_id in resources.of(f"AWS::CloudFront::{kind}")
            }
        found = self._by_id[kind].get(identity)
        if found is None and identity in self.answers.resources:
            found = self._printed(kind, self.answers.resources[identity])
            self._by_id[kind][identity] = found
        return found

    def _printed(self, kind: str, file: Path) -> Section:
        """What `aws cloudfront get-…` printed: the resource, or only its configuration."""
        try:
            document = read_json(file)
        except ConfigError as error:
            self.notes.failure(error)
            document = {}
        inner = document.get(kind, document)
        config = inner.get(f"{kind}Config") if isinstance(inner, dict) else None
        if not isinstance(config, dict):
            self.notes.error(
                f"It holds no {kind}Config.",
                file.name,
                "Print it again with aws cloudfront get-….",
            )
            config = {}
        return Section(config_from_api(config), f"{file.name}: {kind}Config", self.notes)


class _Passed(Mapping[str, Any]):
    """The parameters that a stack passes to a nested one, resolved when they are read."""

    def __init__(self, parent: Resources, logical_id: str) -> None:
        said = parent.unresolved(logical_id).get("Parameters")
        self._raw: Mapping[str, Any] = said if isinstance(said, dict) else {}
        self._parent = parent
        self._place = f"Resources.{logical_id}.Properties.Parameters"

    def __getitem__(self, name: str) -> Any:
        return self._parent.resolver.resolve(self._raw[name], f"{self._place}.{name}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)


def _nested_stacks(resources: Resources) -> list[str]:
    try:
        return resources.of("AWS::CloudFormation::Stack")
    except LocalpopError:
        # The condition that cannot be resolved is reported where it is read.
        return []


def _nested_template(resources: Resources, logical_id: str) -> Path | None:
    """A nested stack's template: CDK's asset, or a local path; None when it is in S3."""
    path = resources.asset(logical_id)
    url = resources.unresolved(logical_id).get("TemplateURL")
    if path is None and isinstance(url, str) and not url.startswith("https://"):
        path = resources.stack.file.parent / url
    if path is None:
        resources.notes.warn(
            f"The nested stack {logical_id} is not read: its template is in S3.",
            f"{resources.stack.label}: Resources.{logical_id}.Properties.TemplateURL",
            "Name a local path, or list its template in localpop.toml.",
        )
    return path


def _ssm_parameters(resources: Resources) -> dict[str, tuple[Resources, Any, str]]:
    found = {}
    for logical_id in resources.of("AWS::SSM::Parameter"):
        properties = resources.unresolved(logical_id)
        at = f"Resources.{logical_id}.Properties"
        name = resources.resolver.resolve_parts(properties.get("Name"), f"{at}.Name")
        if isinstance(name, str):
            found[name] = (resources, properties.get("Value"), f"{at}.Value")
    return found


def _written_exports(resources: Resources) -> dict[str, tuple[Resources, Any, str]]:
    """What `Custom::CrossRegionExportWriter` puts into another Region's parameter store."""
    found = {}
    for logical_id in resources.of(EXPORT_WRITER):
        writes = resources.unresolved(logical_id).get("WriterProps")
        exports = writes.get("exports") if isinstance(writes, dict) else None
        at = f"Resources.{logical_id}.Properties.WriterProps.exports"
        for name, value in exports.items() if isinstance(exports, dict) else ():
            found[str(name)] = (resources, value, f"{at}.{name}")
    return found
