"""A stack's resources: which there are, what Ref and GetAtt answer, and where their code is.

AWS: the "Return values" of each resource in the CloudFormation template reference, read 2026-11-20.
What AWS makes up (ids, domains) is made up here, the same at every start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from emulator.errors import ConfigError
from emulator.project import identifiers
from emulator.project.intrinsics import Elsewhere, Resolver
from emulator.project.reading import Notes, Section
from emulator.project.stacks import Stack
from emulator.rules.key_value_store import store_arn

ASSET_PATH: Final = "aws:asset:path"
PACKAGED_FOLDERS: Final = "localpop:packaged-folders"
EXPORT_WRITER: Final = "Custom::CrossRegionExportWriter"
_EXPORT_READER: Final = "Custom::CrossRegionExportReader"
_EDGE_FUNCTION_READER: Final = "Custom::CrossRegionStringParameterReader"
# The shortest of the limits: a bucket's 63, a function's 64.
_NAME_MAX_CHARS: Final = 63
_POLICY_KINDS: Final = frozenset(
    {"CachePolicy", "OriginRequestPolicy", "ResponseHeadersPolicy", "KeyGroup"}
)


@dataclass(slots=True)
class Resources:
    """One stack's resources.

    Args:
        stack: The stack.
        overrides: Parameter values from localpop.toml.
        elsewhere: Other stacks and the parameter store.
        notes: Where mistakes go.
        nested: The resources of its nested stacks, by logical id.
    """

    stack: Stack
    overrides: Mapping[str, str]
    elsewhere: Elsewhere
    notes: Notes
    nested: dict[str, Resources] = field(default_factory=dict)
    resolver: Resolver = field(init=False)

    def __post_init__(self) -> None:
        self.resolver = Resolver(
            self.stack.document,
            self.overrides,
            self.attribute,
            self.stack.label,
            self.elsewhere,
            self.stack.name,
            self.stack.region,
        )

    # --- what there is ----------------------------------------------------------------------

    def of(self, kind: str) -> list[str]:
        """Logical ids of the resources of one kind whose condition holds."""
        return [
            logical_id
            for logical_id, resource in self.stack.document["Resources"].items()
            if isinstance(resource, dict)
            and resource.get("Type") == kind
            and ("Condition" not in resource or self.resolver.condition(resource["Condition"]))
        ]

    def raw(self, logical_id: str) -> Mapping[str, Any]:
        """A resource as the template has it; empty when there is none."""
        resource = self.stack.document["Resources"].get(logical_id)
        return resource if isinstance(resource, dict) else {}

    def properties(self, logical_id: str) -> Section:
        """A resource's properties, resolved as far as they can be."""
        place = f"Resources.{logical_id}.Properties"
        resolved = self.resolver.resolve_parts(self.raw(logical_id).get("Properties") or {}, place)
        where = f"{self.stack.label}: {place}"
        if not isinstance(resolved, dict):
            self.notes.error("Properties must be a mapping.", where, "Mend the template.")
            resolved = {}
        return Section(resolved, where, self.notes)

    def unresolved(self, logical_id: str) -> Mapping[str, Any]:
        """A resource's properties as the template has them."""
        properties = self.raw(logical_id).get("Properties")
        return properties if isinstance(properties, dict) else {}

    def metadata(self, logical_id: str) -> Mapping[str, Any]:
        """A resource's Metadata, as the template has it."""
        metadata = self.raw(logical_id).get("Metadata")
        return metadata if isinstance(metadata, dict) else {}

    def name(self, logical_id: str, name_property: str) -> str:
        """A resource's own name; CloudFormation makes one from the stack's when it has none."""
        named = self._property(logical_id, name_property)
        return str(named) if named else self._made_up(logical_id)

    def _made_up(self, logical_id: str) -> str:
        """As CloudFormation does: stack and logical id, cut to fit, then letters to stay unique."""
        name = f"{self.stack.name}-{logical_id}"
        if len(name) <= _NAME_MAX_CHARS:
            return name
        letters = identifiers.letters(f"name:{self.stack.seed(logical_id)}", 12)
        return f"{self.stack.name[:24]}-{logical_id[:24]}-{letters}"

    def own_property(self, logical_id: str, name: str) -> Any:
        """One property, resolved; None when it is not there."""
        return self._property(logical_id, name)

    def _property(self, logical_id: str, name: str) -> Any:
        """One property, resolved; None when it is not there."""
        properties = self.unresolved(logical_id)
        if name not in properties:
            return None
        place = f"Resources.{logical_id}.Properties.{name}"
        return self.resolver.resolve(properties[name], place)

    # --- Ref and GetAtt ---------------------------------------------------------------------

    def attribute(self, logical_id: str, attribute: str) -> Any:
        """What a resource answers to Ref (an empty attribute) and GetAtt."""
        kind = str(self.raw(logical_id).get("Type", ""))
        service, _, resource = kind.removeprefix("AWS::").partition("::")
        match service:
            case "CloudFront":
                answer = self._cloudfront(logical_id, resource, attribute)
            case "Lambda":
                answer = self._lambda(logical_id, resource, attribute)
            case "S3" if resource == "Bucket":
                answer = self._bucket(logical_id, attribute)
            case "StepFunctions" if resource == "StateMachine":
                answer = self._state_machine(logical_id, attribute)
            case "ApiGateway" | "ApiGatewayV2" | "SSM":
                answer = self._service(logical_id, resource, attribute)
            case "CloudFormation" if attribute.startswith("Outputs."):
                answer = self._nested_output(logical_id, attribute.removeprefix("Outputs."))
            case "SQS" | "DynamoDB" | "Logs" | "Events" | "Scheduler":
                answer = self._background(logical_id, kind, attribute)
            case "Custom":
                answer = self._custom(logical_id, kind, attribute)
            case _:
                answer = None
        if answer is not None:
            return answer
        # The edge needs no other attribute's true value; it only has to be one text.
        return f"{logical_id}.{attribute}" if attribute else logical_id

    def _cloudfront(self, logical_id: str, resource: str, attribute: str) -> str | None:
        seed = self.stack.seed(logical_id)
        match resource, attribute:
            case "KeyValueStore", "Arn":
                return store_arn(self.name(logical_id, "Name"))
            case "KeyValueStore", "Id":
                return store_arn(self.name(logical_id, "Name")).rpartition("/")[2]
            case "KeyValueStore", "":
                return self.name(logical_id, "Name")
            case "Function", "" | "FunctionARN" | "FunctionMetadata.FunctionARN":
                return identifiers.function_arn(self.name(logical_id, "Name"))
            case "Distribution", "" | "Id":
                return self.identity(logical_id)[0]
            case "Distribution", "DomainName":
                return self.identity(logical_id)[1]
            case _, "" | "Id" if resource in _POLICY_KINDS:
                return identifiers.policy_id(seed)
            case "OriginAccessControl" | "CloudFrontOriginAccessIdentity", "" | "Id":
                return identifiers.access_id(seed)
            case "PublicKey", "" | "Id":
                return identifiers.public_key_id(seed)
            case _:
                return None

    def identity(self, logical_id: str) -> tuple[str, str]:
        """A distribution's id and domain name."""
        seed = self.stack.seed(logical_id)
        return self.stack.identities.get(logical_id) or (
            identifiers.distribution_id(seed),
            identifiers.distribution_domain_name(seed),
        )

    def _lambda(self, logical_id: str, resource: str, attribute: str) -> str | None:
        match resource, attribute:
            case "Function", "":
                return self.name(logical_id, "FunctionName")
            case "Function", "Arn":
                return self.lambda_arn(logical_id)
            case "Version", "" | "FunctionArn":
                return self.version_arn(logical_id)
            case "Version", "Version":
                return self.version_arn(logical_id).rpartition(":")[2]
            case "Alias", "" | "AliasArn":
                named = str(self._property(logical_id, "FunctionName") or "")
                name = named.rpartition(":")[2]
                arn = identifiers.lambda_arn(name, self.stack.region)
                return f"{arn}:{self._property(logical_id, 'Name') or logical_id}"
            case "Url", "FunctionUrl":
                return f"https://{self.url_domain(logical_id)}/"
            case "Url", "FunctionArn" | "":
                return self.url_target(logical_id)
            case "EventSourceMapping", _:
                kind = "AWS::Lambda::EventSourceMapping"
                return self._background(logical_id, kind, attribute)
            case _:
                return None

    def lambda_arn(self, logical_id: str) -> str:
        """A Lambda function's ARN, without a version."""
        return identifiers.lambda_arn(self.name(logical_id, "FunctionName"), self.stack.region)

    def version_arn(self, logical_id: str) -> str:
        """`<function arn>:<n>`; versions are numbered in the order the template lists them."""
        named = str(self._property(logical_id, "FunctionName") or "")
        number = 0
        for other in self.of("AWS::Lambda::Version"):
            if str(self._property(other, "FunctionName") or "") == named:
                number += 1
            if other == logical_id:
                break
        name = named.rpartition(":")[2]
        return f"{identifiers.lambda_arn(name, self.stack.region)}:{number}"

    def lambda_qualifiers(self, logical_id: str, kind: str, attribute: str) -> list[str]:
        """The version numbers or aliases that the template gives a function."""
        name = self.name(logical_id, "FunctionName")
        return [
            str(self._lambda(one, kind.rpartition("::")[2], attribute)).rpartition(":")[2]
            for one in self.of(kind)
            if str(self._property(one, "FunctionName") or "").rpartition(":")[2] == name
        ]

    def url_domain(self, logical_id: str) -> str:
        """A function URL's domain."""
        label = identifiers.function_url_id(self.stack.seed(logical_id))
        return f"{label}.lambda-url.{self.stack.region}.on.aws"

    def url_target(self, logical_id: str) -> str:
        """The ARN of the function behind a function URL."""
        named = str(self._property(logical_id, "TargetFunctionArn") or "")
        if named.startswith("arn:"):
            return named
        return identifiers.lambda_arn(named, self.stack.region)

    def _background(self, logical_id: str, kind: str, attribute: str) -> str | None:
        # Down here, because that module needs this one.
        from emulator.project.background import background_attribute

        return background_attribute(self, logical_id, kind, attribute)

    def _state_machine(self, logical_id: str, attribute: str) -> str | None:
        match attribute:
            case "" | "Arn":
                return self.state_machine_arn(logical_id)
            case "Name":
                return self.name(logical_id, "StateMachineName")
            case _:
                return None

    def state_machine_arn(self, logical_id: str) -> str:
        """A state machine's ARN."""
        name = self.name(logical_id, "StateMachineName")
        return identifiers.state_machine_arn(name, self.stack.region)

    def _bucket(self, logical_id: str, attribute: str) -> str | None:
        name = self.bucket_name(logical_id)
        match attribute:
            case "":
                return name
            case "Arn":
                return f"arn:aws:s3:::{name}"
            case "DomainName":
                return f"{name}.s3.amazonaws.com"
            case "RegionalDomainName":
                return f"{name}.s3.{self.stack.region}.amazonaws.com"
            case "WebsiteURL":
                return f"http://{name}.s3-website-{self.stack.region}.amazonaws.com"
            case _:
                return None

    def bucket_name(self, logical_id: str) -> str:
        """A bucket's name; made-up ones are lower case, as S3 wants them."""
        named = self._property(logical_id, "BucketName")
        return str(named) if named else self._made_up(logical_id).lower()

    def _service(self, logical_id: str, resource: str, attribute: str) -> str | None:
        api = identifiers.rest_api_id(self.stack.seed(logical_id))
        match resource, attribute:
            case "RestApi" | "Api", "" | "RestApiId" | "ApiId":
                return api
            case "Api", "ApiEndpoint":
                return f"https://{api}.execute-api.{self.stack.region}.amazonaws.com"
            case "Stage", "":
                return str(self._property(logical_id, "StageName") or logical_id)
            case "Parameter", "":
                return self.name(logical_id, "Name")
            case "Parameter", "Value":
                return str(self._property(logical_id, "Value") or "")
            case _:
                return None

    def _nested_output(self, logical_id: str, name: str) -> Any:
        nested = self.nested.get(logical_id)
        outputs = nested.stack.document.get("Outputs") or {} if nested else {}
        if nested is None or not isinstance(outputs.get(name), dict):
            key = f"{logical_id}.Outputs.{name}"
            what = f"The nested stack {logical_id} is not here, or has no output {name}."
            return self.elsewhere.answered(key, what, self.stack.label)
        return nested.resolver.resolve(outputs[name].get("Value"), f"Outputs.{name}")

    def _custom(self, logical_id: str, kind: str, attribute: str) -> Any:
        """The custom resources with which CDK reads another Region's values."""
        place = f"{self.stack.label}: Resources.{logical_id}"
        if kind == _EXPORT_READER and attribute:
            return self.elsewhere.stored(f"ssm:{attribute}", place)
        if kind == _EDGE_FUNCTION_READER and attribute == "FunctionArn":
            name = self._property(logical_id, "ParameterName")
            return self.elsewhere.stored(f"ssm:{name}", place)
        return None

    # --- code -------------------------------------------------------------------------------

    def asset(self, logical_id: str, code: Section | None = None) -> Path | None:
        """Where a resource's code is on disk; None when the template does not say.

        Args:
            logical_id: The resource.
            code: Its `Code`; an S3Key of a CDK asset tells the path too.

        Raises:
            ConfigError: It says, and there is nothing.
        """
        named = self.metadata(logical_id).get(ASSET_PATH)
        if named is not None:
            where = f"{self.stack.label}: Resources.{logical_id}.Metadata.{ASSET_PATH}"
            return self._existing(self.stack.file.parent / str(named), str(named), where)
        key = code.text("S3Key") if code is not None and code.has("S3Key") else ""
        found = self.asset_of_key(key)
        return self._existing(found, found.name, code.where) if code and found else None

    def folders(self, logical_id: str) -> dict[str, Path]:
        """Folders that go into a function's package as well: name there to folder here.

        Raises:
            ConfigError: One of them is not there, or no folder.
        """
        named = self.metadata(logical_id).get(PACKAGED_FOLDERS) or {}
        where = f"{self.stack.label}: Resources.{logical_id}.Metadata.{PACKAGED_FOLDERS}"
        if not isinstance(named, dict):
            raise ConfigError(
                f"{PACKAGED_FOLDERS} must be a mapping.",
                where=where,
                mend="Write {name in the package: folder beside the template}.",
            )
        found = {}
        for name, path in named.items():
            folder = self._existing(self.stack.file.parent / str(path), str(path), where)
            if not folder.is_dir():
                raise ConfigError(f"{path} is no folder.", where=where, mend="Name a folder.")
            found[str(name)] = folder
        return found

    def asset_of_key(self, key: str) -> Path | None:
        """The file or folder of a CDK asset, by its key in the assets' bucket."""
        return self.stack.assets.get(key) if key else None

    def _existing(self, path: Path, shown: str, where: str) -> Path:
        if "\0" in str(path) or not path.resolve().exists():
            raise ConfigError(
                f"There is no {shown}.",
                where=where,
                mend="Create it, or mend the path (relative to the template).",
            )
        return path.resolve()
