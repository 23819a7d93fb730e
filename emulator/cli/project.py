"""`localpop validate` and `localpop show`: a project's templates, without running anything."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from emulator.app.deploy import problems_of
from emulator.project.declarations import TemplateDeclarations
from emulator.project.local import LocalSettings
from emulator.project.not_emulated import find_not_emulated
from emulator.project.template import Inspection, inspect_templates
from emulator.values.distribution import (
    CacheBehavior,
    CachePolicy,
    Distribution,
    GeoRestriction,
    Names,
    Origin,
    OriginKind,
    Selection,
)
from emulator.values.findings import Finding, Severity

_COLUMNS: Final = 100
_LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1"})


def validate_project(settings: LocalSettings) -> int:
    """Print everything that is wrong or surprising; 1 when something is wrong.

    Raises:
        ConfigError: A template is none at all.
        NotEmulated: It needs a macro that only runs at AWS.
    """
    inspection = _inspect(settings)
    findings = [*inspection.findings, *problems_of(inspection.declared, settings)]
    for distribution in inspection.declared.distributions:
        findings += find_not_emulated(distribution, inspection.places[distribution.id])
    findings = sorted(dict.fromkeys(findings), key=lambda one: one.severity is Severity.WARNING)
    for finding in findings:
        print(_shown(finding))
    errors = sum(one.severity is Severity.ERROR for one in findings)
    print(_summary(inspection.declared, settings))
    print(f"{errors} error(s), {len(findings) - errors} warning(s)")
    return 1 if errors else 0


def _inspect(settings: LocalSettings) -> Inspection:
    today = datetime.now(UTC).date()
    return inspect_templates(settings.templates, settings.answers, today)


def _shown(finding: Finding) -> str:
    head = f"{finding.severity}: {finding.where}" if finding.where else f"{finding.severity}:"
    words = " ".join(part for part in (finding.what, finding.mend) if part)
    # AWS's messages hold long ARNs, which must stay whole to be searched for.
    body = textwrap.wrap(words, _COLUMNS - 4, break_long_words=False, break_on_hyphens=False)
    return "\n".join([head, *(f"    {line}" for line in body)])


def _summary(declared: TemplateDeclarations, settings: LocalSettings) -> str:
    behaviors = sum(len(distribution.behaviors) for distribution in declared.distributions)
    names = ", ".join(path.name for path in settings.templates)
    regional = declared.regional_lambdas
    return (
        f"{names}: {len(declared.distributions)} distribution(s), {behaviors} behaviors, "
        f"{len(declared.functions)} CloudFront Function(s), "
        f"{len(declared.lambdas)} Lambda@Edge function(s), {len(declared.stores)} store(s)"
        + (f", {len(regional)} regional Lambda function(s)" if regional else "")
        + (f", {len(declared.state_machines)} state machine(s)" if declared.state_machines else "")
        + _background_summary(declared)
    )


def _background_summary(declared: TemplateDeclarations) -> str:
    """Such as `, 2 SQS Queue(s), 1 Events Rule(s)`; nothing when there is nothing."""
    kinds = Counter(one.kind for one in declared.background)
    return "".join(
        f", {count} {kind.removeprefix('AWS::').replace('::', ' ')}(s)"
        for kind, count in kinds.items()
    )


# --- show ---------------------------------------------------------------------------------------


def show_project(settings: LocalSettings, *, as_json: bool) -> int:
    """Print what was understood; 1 when something could not be.

    Raises:
        ConfigError: A template is none at all.
        NotEmulated: It needs a macro that only runs at AWS.
    """
    inspection = _inspect(settings)
    view = _View(inspection.declared, settings)
    shown = [view.distribution(one) for one in inspection.declared.distributions]
    if as_json:
        document = {
            "distributions": shown,
            "functions": view.functions(),
            "stores": [
                {"name": one.name, "arn": one.arn, "imports": len(one.entries or {})}
                for one in inspection.declared.stores
            ],
            "background": view.background(),
            "errors": [str(one) for one in inspection.errors],
        }
        print(json.dumps(document, indent=2))
    else:
        for one in shown:
            print("\n".join(_lines(one)))
        _print_functions(view)
        _print_background(view)
        for finding in inspection.errors:
            print(_shown(finding))
    return 1 if inspection.errors else 0


def _says(properties: Mapping[str, Any]) -> str:
    """The gist of a rule, schedule or mapping; empty for what its name says."""
    when = properties.get("ScheduleExpression") or properties.get("EventPattern") or ""
    targets = [*properties.get("Targets", [])]
    if isinstance(properties.get("Target"), dict):
        targets.append(properties["Target"])
    to = ", ".join(str(target["Arn"]).rpartition(":")[2] for target in targets)
    if properties.get("EventSourceArn"):
        source = str(properties["EventSourceArn"]).rpartition(":")[2]
        return f"{source} -> {properties.get('FunctionName', '')}"
    return f"{when} -> {to}" if when else ""


def _print_background(view: _View) -> None:
    found = view.background()
    if found:
        print("\nbehind the viewers' back")
    for one in found:
        kind = one["kind"].removeprefix("AWS::").replace("::", " ")
        says = textwrap.shorten(one["says"], _COLUMNS, placeholder=" …")
        print(f"  {kind:<28} {one['name']}" + (f"\n      {says}" if says else ""))


@dataclass(frozen=True, slots=True)
class _View:
    """What was understood, in the words of AWS and ready for JSON."""

    declared: TemplateDeclarations
    settings: LocalSettings

    def distribution(self, one: Distribution) -> dict[str, Any]:
        return {
            "id": one.id,
            "domain_name": one.domain_name,
            "aliases": list(one.aliases),
            "enabled": one.enabled,
            "settings": _settings_of(one),
            "behaviors": [self._behavior(behavior) for behavior in one.behaviors],
            "origins": [self._origin(origin) for origin in one.origins.values()],
            "origin_groups": [
                {
                    "id": group.id,
                    "members": [group.primary, group.secondary],
                    "status_codes": sorted(group.status_codes),
                }
                for group in one.origin_groups.values()
            ],
            "not_emulated": [finding.what for finding in find_not_emulated(one)],
        }

    def _behavior(self, behavior: CacheBehavior) -> dict[str, Any]:
        to_origin, headers = behavior.origin_request_policy, behavior.response_headers_policy
        return {
            "path_pattern": behavior.path_pattern,
            "target_origin_id": behavior.target_origin_id,
            "viewer_protocol_policy": str(behavior.viewer_protocol_policy),
            "allowed_methods": sorted(behavior.allowed_methods),
            "functions": [
                {
                    "event_type": str(one.event_type),
                    "kind": str(one.kind),
                    "name": self._name(one.arn),
                    "include_body": one.include_body,
                }
                for one in behavior.functions
            ],
            "cache_policy": _cache(behavior.cache_policy),
            "origin_request_policy": to_origin.name if to_origin else None,
            "response_headers_policy": headers.name if headers else None,
            "trusted_keys": [key.id for key in behavior.trusted_keys],
            "compress": behavior.compress,
        }

    def _name(self, arn: str) -> str:
        for function in self.declared.functions:
            if function.arn == arn:
                return function.name
        for declared in self.declared.lambdas:
            if arn in declared.versions:
                return f"{declared.name}:{arn.rpartition(':')[2]}"
        return arn

    def _origin(self, origin: Origin) -> dict[str, Any]:
        return {
            "id": origin.id,
            "domain_name": origin.domain_name,
            "kind": "vpc" if origin.vpc else str(origin.kind),
            "path": origin.path,
            "access": origin.access_control.signing_behavior if origin.access_control else None,
            "shield_region": origin.shield_region,
            "local": self._local(origin),
        }

    def _local(self, origin: Origin) -> str:
        """Where an origin is on this machine."""
        local = self.settings.origins.get(origin.id)
        if local is not None:
            return str(local.address)
        if origin.id in self.settings.folders:
            return f"folder {self.settings.folders[origin.id].name}"
        if origin.id in self.settings.remotes:
            return "where it really is"
        if origin.kind is OriginKind.S3:
            return f"bucket {origin.domain_name.partition('.s3')[0]} of the AWS endpoint"
        urls = {one.domain_name: one.function.name for one in self.declared.function_urls}
        if origin.domain_name in urls:
            return f"function {urls[origin.domain_name]}"
        if origin.domain_name in _LOCAL_NAMES:
            return f"{'https' if origin.https else 'http'}://{origin.domain_name}:{origin.port}"
        return f'nowhere; add [origins.{origin.id}] url = "http://127.0.0.1:8081"'

    def background(self) -> list[dict[str, Any]]:
        return [
            {"kind": one.kind, "name": one.name, "says": _says(one.properties)}
            for one in self.declared.background
        ] + [
            {
                "kind": "AWS::StepFunctions::StateMachine",
                "name": one.name,
                "says": f"{one.kind}, {one.file.name if one.file else 'in the template'}",
            }
            for one in self.declared.state_machines
        ]

    def functions(self) -> list[dict[str, str]]:
        """Edge functions and where their code is."""
        stores = {store.arn: store.name for store in self.declared.stores}
        return [
            {
                "name": one.name,
                "runtime": one.runtime,
                "code": one.path.name if one.path else "inline",
                "store": stores.get(one.store_arn, one.store_arn),
            }
            for one in self.declared.functions
        ] + [
            {"name": one.name, "runtime": one.runtime, "code": one.path.name, "store": ""}
            for one in self.declared.all_lambdas
        ]


def _settings_of(one: Distribution) -> list[str]:
    said = [
        (f"default root object {one.default_root_object}", bool(one.default_root_object)),
        ("HTTP/3", one.http3),
        ("access logs", one.logs),
        (
            f"geo {one.geo_restriction} {', '.join(sorted(one.geo_locations))}",
            one.geo_restriction is not GeoRestriction.NONE,
        ),
        *(
            (
                f"error {error.error_code} -> {error.response_code or 'as it is'}"
                f" {error.response_page_path}".rstrip(),
                True,
            )
            for error in one.custom_errors.values()
        ),
    ]
    return [text for text, is_said in said if is_said]


def _cache(policy: CachePolicy) -> dict[str, Any]:
    return {
        "name": policy.name,
        "ttl_s": [policy.min_ttl_s, policy.default_ttl_s, policy.max_ttl_s],
        "key": [
            f"{what} {_chosen(names)}"
            for what, names in (
                ("headers", policy.headers),
                ("cookies", policy.cookies),
                ("query strings", policy.query_strings),
            )
            if names.selection is not Selection.NONE
        ],
    }


def _chosen(names: Names) -> str:
    listed = ", ".join(sorted((*names.names, *names.patterns)))
    match names.selection:
        case Selection.WHITELIST:
            return listed
        case Selection.ALL_EXCEPT:
            return f"all but {listed}"
        case other:
            return str(other)


def _lines(one: Mapping[str, Any]) -> Iterable[str]:
    """A distribution in at most 100 columns."""
    names = ", ".join([one["domain_name"], *one["aliases"]])
    yield from _wrapped("", f"distribution {one['id']}{'' if one['enabled'] else ' (disabled)'}")
    yield from _wrapped("  ", names)
    for text in one["settings"]:
        yield from _wrapped("  ", text)
    yield ""
    yield "  behaviors, in the order in which they are tried"
    for behavior in one["behaviors"]:
        yield from _behavior_lines(behavior)
    yield ""
    yield "  origins"
    for origin in one["origins"]:
        yield from _wrapped("    ", f"{origin['id']}: {origin['domain_name']}{origin['path']}")
        kind = f"{origin['kind']}{', signed ' + origin['access'] if origin['access'] else ''}"
        yield from _wrapped("      ", f"{kind} -> {origin['local']}")
    for group in one["origin_groups"]:
        codes = ", ".join(map(str, group["status_codes"]))
        yield from _wrapped("    ", f"{group['id']}: {' then '.join(group['members'])} on {codes}")
    for text in one["not_emulated"]:
        yield from _wrapped("  ! ", text)
    yield ""


def _behavior_lines(behavior: Mapping[str, Any]) -> Iterable[str]:
    yield from _wrapped("    ", f"{behavior['path_pattern']}  ->  {behavior['target_origin_id']}")
    cache = behavior["cache_policy"]
    ttl = " / ".join(map(str, cache["ttl_s"]))
    key = f", key: {'; '.join(cache['key'])}" if cache["key"] else ""
    yield from _wrapped("      ", f"cache policy {cache['name']} ({ttl} s{key})")
    for name in ("origin_request_policy", "response_headers_policy"):
        if behavior[name]:
            yield from _wrapped("      ", f"{name.replace('_', ' ')} {behavior[name]}")
    for one in behavior["functions"]:
        body = ", with body" if one["include_body"] else ""
        yield from _wrapped("      ", f"{one['event_type']}: {one['name']} ({one['kind']}{body})")
    methods = " ".join(behavior["allowed_methods"])
    more = ", compress" if behavior["compress"] else ""
    signed = f", signed by {', '.join(behavior['trusted_keys'])}" * bool(behavior["trusted_keys"])
    yield from _wrapped("      ", f"{behavior['viewer_protocol_policy']}, {methods}{more}{signed}")


def _print_functions(view: _View) -> None:
    functions = view.functions()
    if functions:
        print("functions")
    for one in functions:
        reads = f", reads the store {one['store']}" if one["store"] else ""
        for line in _wrapped("  ", f"{one['name']}: {one['runtime']}, {one['code']}{reads}"):
            print(line)
    for store in view.declared.stores:
        imports = f", imports {len(store.entries)} key(s)" if store.entries else ""
        print(f"store {store.name}{imports}")


def _wrapped(indent: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        _COLUMNS,
        initial_indent=indent,
        subsequent_indent=" " * (len(indent) + 2),
        break_on_hyphens=False,
    )
