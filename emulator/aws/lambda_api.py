"""Lambda's API, as far as it makes functions for the edge (facts/lambda-at-edge.md section 6).

A function is a zip; its `$LATEST` changes, its numbered versions do not, and only those go to the
edge. Invoke runs the real zip in a sandbox, without CloudFront's laws, as AWS's own does.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import unquote

import orjson
from starlette.types import ASGIApp

from emulator import quotas
from emulator.aws.answers import Answer
from emulator.aws.call import ApiCall
from emulator.aws.cloudfront.control_plane import ACCOUNT_ID, ControlPlane, Operation, Shape
from emulator.aws.key_value_store_control_api import FetchObject, no_s3
from emulator.aws.lambda_invocations import CallService, Invocations, Invokable
from emulator.aws.lambda_settings import LambdaSettings, event_invoke_config
from emulator.aws.models import LazyModel
from emulator.errors import ApiError, ConfigError, NotEmulated
from emulator.project.declarations import EventInvokeConfig, LambdaFunctionDeclaration
from emulator.quotas import MB
from emulator.rules.edge_associations import LambdaConfiguration
from emulator.rules.lambda_lint import environment_problem
from emulator.runtimes.lambda_edge import LambdaFunctions, LoadedLambda
from emulator.stores.journal import Journal
from emulator.stores.lambda_packages import LambdaPackages
from emulator.values.account import Kind, Record
from emulator.values.lambda_edge import LambdaDeclaration
from emulator.wire.dates import iso_date
from emulator.wire.service_model_words import ErrorWords

LATEST: Final = "$LATEST"
PACKAGES_PATH: Final = "/_localpop/lambda-packages/"
_REGION: Final = "us-east-1"
# The zip in base64 and what is around it.
_BODY_MAX_BYTES: Final = 80 * MB
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAMED = re.compile(
    r"(?:(?:arn:aws:lambda:[a-z0-9-]+:)?\d{12}:function:)?([A-Za-z0-9_-]{1,64})(?::(.+))?"
)
_SCOPE = re.compile(r"Credential=[^/]+/\d+/([a-z0-9-]+)/")
_EDGE_PRINCIPALS: Final = frozenset({"lambda.amazonaws.com", "edgelambda.amazonaws.com"})
_CHANGEABLE: Final = (
    "Description",
    "Environment",
    "EphemeralStorage",
    "Handler",
    "Layers",
    "MemorySize",
    "Role",
    "Runtime",
    "Timeout",
    "TracingConfig",
    "VpcConfig",
    "DeadLetterConfig",
    "KMSKeyArn",
)
_DEFAULTS: Final[Mapping[str, Any]] = {
    "Description": "",
    "Timeout": 3,
    "MemorySize": 128,
    "TracingConfig": {"Mode": "PassThrough"},
    "EphemeralStorage": {"Size": 512},
    "PackageType": "Zip",
    "Architectures": ["x86_64"],
    "State": "Active",
    "LastUpdateStatus": "Successful",
    "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
}


async def nobody_else(service: str, operation: str, given: Shape) -> dict[str, Any]:
    """There is no other service."""
    raise NotEmulated(f"The AWS operation {service}:{operation}")


class LambdaApi:
    """The service `lambda`.

    Args:
        plane: The account.
        packages: Where zips are kept.
        lambdas: The sandboxes, for Invoke.
        fetch_object: Reads code that is in S3.
        trusted_principals: Who may assume a role; None for a role that nobody made here.
        declared_function: A function of the project's template, ready to run, by its ARN.
        call_service: The other services, for dead letters and destinations.
        more_operations: Operations that somebody else does: event source mappings.
        journal: Keeps events under way.
    """

    def __init__(
        self,
        plane: ControlPlane,
        packages: LambdaPackages,
        lambdas: LambdaFunctions,
        fetch_object: FetchObject = no_s3,
        trusted_principals: Callable[[str], frozenset[str] | None] = lambda role: None,
        declared_function: Callable[[str], LoadedLambda | None] = lambda arn: None,
        call_service: CallService = nobody_else,
        more_operations: Mapping[str, Operation] | None = None,
        journal: Journal | None = None,
    ) -> None:
        self._plane, self._account = plane, plane.account
        self._trusted_principals = trusted_principals
        self._packages, self._lambdas, self._fetch_object = packages, lambdas, fetch_object
        self._model = LazyModel(
            "lambda", ErrorWords("InvalidRequestContentException", "InvalidParameterValueException")
        )
        self._kept: dict[tuple[str, str], LoadedLambda] = {}
        self._declared_function = declared_function
        self._invocations = Invocations(
            plane.clock, call_service, plane.background, journal=journal
        )
        self._operations: Mapping[str, Operation] = {
            "CreateFunction": self._create,
            "GetFunction": self._get,
            "GetFunctionConfiguration": self._get_configuration,
            "UpdateFunctionCode": self._update_code,
            "UpdateFunctionConfiguration": self._update_configuration,
            "PublishVersion": self._publish,
            "ListFunctions": self._list,
            "ListVersionsByFunction": self._list_versions,
            "DeleteFunction": self._delete,
            "AddPermission": self._add_permission,
            "RemovePermission": self._remove_permission,
            "GetPolicy": self._get_policy,
            "ListTags": self._list_tags,
            **(more_operations or {}),
            **LambdaSettings(self).operations,
        }

    async def __call__(self, call: ApiCall) -> ASGIApp:
        """Answer a call.

        Raises:
            ApiError: Any of Lambda's errors.
            NotEmulated: An operation that is not there, by its name.
        """
        model = await self._model.get()
        matched = model.match(call.method, call.path, call.query)
        if matched is None:
            raise NotEmulated(f"The AWS operation lambda:{call.method} {call.path}")
        body = await call.body(_BODY_MAX_BYTES, _too_large)
        if matched.operation == "Invoke":
            given = model.read_input(matched, call.query, call.headers, body)
            return await self._invoke(given)
        operation = self._operations.get(matched.operation)
        if operation is None:
            raise NotEmulated(f"The AWS operation lambda:{matched.operation}")
        if matched.operation == "CreateFunction":
            _require_region(call)
        given = model.read_input(matched, call.query, call.headers, body)
        result = await operation({**given, "_host": call.headers.get("host", "")})
        written = model.write_output(matched.operation, result)
        return Answer(
            written.status,
            written.body,
            content_type=written.content_type,
            headers=dict(written.headers),
        )

    # --- for CloudFront -----------------------------------------------------------------------

    def configuration(self, arn: str) -> LambdaConfiguration | None:
        """What CloudFront looks at in the version of an ARN; None when there is none."""
        _, _, named = arn.partition(":function:")
        name, _, version = named.partition(":")
        record = self._find(name, version)
        if record is None or record.document["FunctionArn"] != arn:
            return None
        document = record.document
        return LambdaConfiguration(
            arn,
            document["Runtime"],
            document["Timeout"],
            document["MemorySize"],
            document["CodeSize"],
            bool((document.get("Environment") or {}).get("Variables")),
            tuple(_unsupported(document)),
            document["Role"] if self._is_not_for_the_edge(document["Role"]) else "",
        )

    def _is_not_for_the_edge(self, role: str) -> bool:
        principals = self._trusted_principals(role)
        return principals is not None and not principals >= _EDGE_PRINCIPALS

    # --- operations ---------------------------------------------------------------------------

    async def _create(self, given: Shape) -> dict[str, Any]:
        name = _function_name(given["FunctionName"])
        code = given.get("Code") or {}
        if given.get("PackageType", "Zip") != "Zip" or code.get("ImageUri"):
            raise NotEmulated("A Lambda function from a container image", where=name)
        for needed in ("Handler", "Runtime"):
            if not given.get(needed):
                raise _invalid(
                    f"{needed} is mandatory for functions created with deployment package"
                )
        body = await self._code(code)
        sha256 = await asyncio.to_thread(self._packages.keep, body)
        async with self._account.exclusive():
            if self._find(name, LATEST) is not None:
                raise ApiError(409, "ResourceConflictException", f"Function already exist: {name}")
            document = {
                **_DEFAULTS,
                **{key: given[key] for key in _CHANGEABLE if key in given},
                "Architectures": given.get("Architectures") or ["x86_64"],
                "FunctionName": name,
                "FunctionArn": function_arn(name),
                "CodeSize": len(body),
                "CodeSha256": sha256,
                "Version": LATEST,
                "RevisionId": self._plane.new_uuid(),
                "LastVersion": 0,
                "Policy": {},
                "Tags": given.get("Tags") or {},
            }
            _require_limits(document)
            _require_environment(document)
            record = self._account.new(Kind.LAMBDA, name, document)
            kept = [record]
            if given.get("Publish"):
                kept = [*self._published(record, "")]
            await self._account.save(*kept)
        await self._plane.deploy_changed()
        return self._shape(kept[-1])

    async def _get(self, given: Shape) -> dict[str, Any]:
        record = self._named(given)
        hexadecimal = base64.b64decode(record.document["CodeSha256"]).hex()
        shape: dict[str, Any] = {
            "Configuration": self._shape(record),
            "Code": {
                "RepositoryType": "S3",
                "Location": f"http://{given['_host']}{PACKAGES_PATH}{hexadecimal}.zip",
            },
        }
        if record.document.get("Tags"):
            shape["Tags"] = record.document["Tags"]
        return shape

    async def _get_configuration(self, given: Shape) -> dict[str, Any]:
        return self._shape(self._named(given))

    async def _update_code(self, given: Shape) -> dict[str, Any]:
        if given.get("ImageUri"):
            raise NotEmulated("A Lambda function from a container image")
        body = await self._code(given)
        if given.get("DryRun"):
            return self._shape(self._named(given))
        sha256 = await asyncio.to_thread(self._packages.keep, body)
        async with self._account.exclusive():
            record = self._own(given)
            self._require_revision(record, given)
            more: dict[str, Any] = {"CodeSha256": sha256, "CodeSize": len(body)}
            if given.get("Architectures"):
                more["Architectures"] = given["Architectures"]
            record = self._with(record, more)
            kept = [*self._published(record, "")] if given.get("Publish") else [record]
            await self._account.save(*kept)
        await self._plane.deploy_changed()
        return self._shape(kept[-1])

    async def _update_configuration(self, given: Shape) -> dict[str, Any]:
        async with self._account.exclusive():
            record = self._own(given)
            self._require_revision(record, given)
            more = {key: given[key] for key in _CHANGEABLE if key in given}
            _require_limits({**record.document, **more})
            _require_environment(more)
            record = self._with(record, more)
            await self._account.save(record)
        return self._shape(record)

    async def _publish(self, given: Shape) -> dict[str, Any]:
        async with self._account.exclusive():
            record = self._own(given)
            self._require_revision(record, given)
            wanted = given.get("CodeSha256")
            if wanted and wanted != record.document["CodeSha256"]:
                raise _invalid(
                    f"CodeSHA256 ({wanted}) is different from current CodeSHA256 in $LATEST "
                    f"({record.document['CodeSha256']}). Please try again with the CodeSHA256 in "
                    "$LATEST."
                )
            kept = [*self._published(record, given.get("Description") or "")]
            await self._account.save(*kept)
        await self._plane.deploy_changed()
        return self._shape(kept[-1])

    async def _list(self, given: Shape) -> dict[str, Any]:
        records: list[Record] = []
        for record in self._everything():
            records.append(record)
            if given.get("FunctionVersion") == "ALL":
                records += self._versions(record.document["FunctionName"])
        shape: dict[str, Any] = {}
        found = _page(records, given, shape)
        shape["Functions"] = [self._shape(record, is_listed=True) for record in found]
        return shape

    async def _list_versions(self, given: Shape) -> dict[str, Any]:
        latest = self._named(given)
        records = [latest, *self._versions(latest.document["FunctionName"])]
        shape: dict[str, Any] = {}
        found = _page(records, given, shape)
        shape["Versions"] = [self._shape(record, is_listed=True) for record in found]
        return shape

    async def _delete(self, given: Shape) -> dict[str, Any]:
        name, qualifier = _named(given)
        async with self._account.exclusive():
            latest = self._own({"FunctionName": name})
            versions = [
                record
                for record in self._versions(name)
                if qualifier in (None, record.document["Version"])
            ]
            if qualifier == LATEST:
                raise _invalid("$LATEST version cannot be deleted without deleting the function.")
            if qualifier is not None and not versions:
                return {}
            for version in versions:
                self._require_no_replicas(version.document["FunctionArn"])
            gone = [(Kind.LAMBDA_VERSION, version.id) for version in versions]
            if qualifier is None:
                gone.append((Kind.LAMBDA, latest.id))
            await self._account.save(deletes=gone)
        await self._plane.deploy_changed()
        return {}

    async def call(self, operation: str, given: Shape) -> dict[str, Any]:
        """Do an operation without HTTP (`in_process`).

        Raises:
            ApiError: Any of Lambda's errors.
            NotEmulated: An operation that is not there.
        """
        if operation == "Invoke":
            return await self._invoked(given)
        known = self._operations.get(operation)
        if known is None:
            raise NotEmulated(f"The AWS operation lambda:{operation}")
        return await known({**given, "_host": "127.0.0.1"})

    async def _invoke(self, given: Shape) -> ASGIApp:
        output = await self._invoked(given)
        headers = {
            name: output[member]
            for name, member in (
                ("X-Amz-Executed-Version", "ExecutedVersion"),
                ("X-Amz-Function-Error", "FunctionError"),
                ("X-Amz-Log-Result", "LogResult"),
            )
            if member in output
        }
        return Answer(output["StatusCode"], output["Payload"], headers=headers)

    async def _invoked(self, given: Shape) -> dict[str, Any]:
        """Invoke's output; `Payload` is bytes."""
        return await self._invocations.invoke(self._invokable(given), given)

    # --- for settings -------------------------------------------------------------------------

    def find(self, given: Shape) -> Record:
        """The function that an input names, wherever it was made."""
        return self._named({"FunctionName": _named(given)[0]})

    async def change(
        self, given: Shape, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    ) -> Record:
        """Change a function that was made through the API."""
        async with self._account.exclusive():
            record = self._own(given)
            record = self._with(record, change(record.document))
            await self._account.save(record)
        return record

    def arn(self, given: Shape, qualifier: str) -> str:
        """The ARN of the function that an input names."""
        return function_arn(_named(given)[0], qualifier)

    def has_version(self, given: Shape, version: str) -> bool:
        """Whether the function has this version."""
        return self._find(_named(given)[0], version) is not None

    # --- permissions --------------------------------------------------------------------------

    async def _add_permission(self, given: Shape) -> dict[str, Any]:
        async with self._account.exclusive():
            record = self._own(given)
            name, qualifier = _named(given)
            statement = {
                "Sid": given["StatementId"],
                "Effect": "Allow",
                "Principal": {"Service": given["Principal"]},
                "Action": given["Action"],
                "Resource": function_arn(name, qualifier),
            }
            if given.get("SourceArn"):
                statement["Condition"] = {"ArnLike": {"AWS:SourceArn": given["SourceArn"]}}
            policy = dict(record.document.get("Policy") or {})
            if statement["Sid"] in policy:
                raise ApiError(
                    409,
                    "ResourceConflictException",
                    f"The statement id ({statement['Sid']}) provided already exists. Please provide"
                    " a new statement id, or remove the existing statement.",
                )
            policy[statement["Sid"]] = statement
            await self._account.save(self._with(record, {"Policy": policy}))
        return {"Statement": orjson.dumps(statement).decode()}

    async def _remove_permission(self, given: Shape) -> dict[str, Any]:
        async with self._account.exclusive():
            record = self._own(given)
            policy = dict(record.document.get("Policy") or {})
            if policy.pop(given["StatementId"], None) is None:
                raise _no_policy()
            await self._account.save(self._with(record, {"Policy": policy}))
        return {}

    async def _get_policy(self, given: Shape) -> dict[str, Any]:
        record = self._named(given)
        statements = list((record.document.get("Policy") or {}).values())
        if not statements:
            raise _no_policy()
        policy = {"Version": "2012-10-17", "Id": "default", "Statement": statements}
        return {
            "Policy": orjson.dumps(policy).decode(),
            "RevisionId": record.document["RevisionId"],
        }

    async def _list_tags(self, given: Shape) -> dict[str, Any]:
        record = self._named({"FunctionName": unquote(given["Resource"])})
        return {"Tags": record.document.get("Tags") or {}}

    # --- its parts ----------------------------------------------------------------------------

    async def _code(self, code: Shape) -> bytes:
        body: bytes | None = code.get("ZipFile")
        if body is None:
            if not code.get("S3Bucket") or not code.get("S3Key"):
                raise _invalid("Please provide a source for function code.")
            try:
                body = await self._fetch_object(code["S3Bucket"], code["S3Key"])
            except ApiError as error:
                raise _invalid(
                    "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: "
                    f"{error.message}"
                ) from error
        if len(body) > quotas.LAMBDA_CODE_MAX_BYTES:
            raise ApiError(
                413,
                "RequestEntityTooLargeException",
                f"Request must be smaller than {quotas.LAMBDA_CODE_MAX_BYTES} bytes for the "
                "UpdateFunctionCode operation",
            )
        return body

    def _published(self, record: Record, description: str) -> tuple[Record, ...]:
        """`$LATEST` and the new version; only the last one when nothing has changed since."""
        name, number = record.document["FunctionName"], record.document["LastVersion"]
        last = self._account.find(Kind.LAMBDA_VERSION, f"{name}:{number}")
        if last is not None and last.document["PublishedFrom"] == _content(record.document):
            return (last,) if record.version > 1 and self._is_kept(record) else (record, last)
        number += 1
        latest = self._with(record, {"LastVersion": number})
        version = {
            **record.document,
            "FunctionArn": function_arn(name, str(number)),
            "Version": str(number),
            "RevisionId": self._plane.new_uuid(),
            "PublishedFrom": _content(record.document),
        }
        if description:
            version["Description"] = description
        return latest, self._account.new(Kind.LAMBDA_VERSION, f"{name}:{number}", version)

    def _is_kept(self, record: Record) -> bool:
        return self._account.find(Kind.LAMBDA, record.id) is record

    def _with(self, record: Record, more: Mapping[str, Any]) -> Record:
        document = {**record.document, **more, "RevisionId": self._plane.new_uuid()}
        changed = self._account.changed(record, document)
        # A record that is not kept yet stays in its first version.
        return changed if self._is_kept(record) else replace(changed, version=record.version)

    def _invokable(self, given: Shape) -> Invokable:
        """What Invoke runs.

        Raises:
            ApiError: 404, there is no such function, version or alias.
        """
        name, qualifier = _named(given)
        record = self._find(name, qualifier or LATEST) or self._aliased(name, qualifier)
        if record is None:
            raise _not_found(name, qualifier)
        latest = self._find(name, LATEST) or record
        settings = latest.document
        return Invokable(
            name,
            function_arn(name, qualifier),
            record.document["Version"],
            self._loaded(record),
            settings.get("Concurrency"),
            (record.document.get("DeadLetterConfig") or {}).get("TargetArn") or "",
            event_invoke_config((settings.get("EventInvoke") or {}).get(qualifier or LATEST)),
        )

    def _aliased(self, name: str, alias: str | None) -> Record | None:
        """The version that an alias of the account points at."""
        latest = self._account.find(Kind.LAMBDA, name)
        kept = ((latest.document.get("Aliases") or {}) if latest else {}).get(alias)
        return None if kept is None else self._find(name, kept["FunctionVersion"])

    def _loaded(self, record: Record) -> LoadedLambda:
        """The function ready to run; kept for as long as its code and configuration are."""
        document = record.document
        if "Path" in document:
            return self._loaded_from_template(document)
        key = (document["FunctionArn"], document["RevisionId"])
        if key not in self._kept:
            for old in [old for old in self._kept if old[0] == key[0]]:
                self._lambdas.unload(self._kept.pop(old))
            try:
                self._kept[key] = self._lambdas.load(
                    LambdaDeclaration(
                        name=document["FunctionName"],
                        handler=document["Handler"],
                        runtime=document["Runtime"],
                        package=self._packages.folder(document["CodeSha256"]),
                        timeout_s=document["Timeout"],
                        memory_mb=document["MemorySize"],
                        version=document["Version"],
                        regional=True,
                        environment=(document.get("Environment") or {}).get("Variables") or {},
                    )
                )
            except ConfigError as error:
                raise _invalid(str(error)) from error
        return self._kept[key]

    def _loaded_from_template(self, document: Mapping[str, Any]) -> LoadedLambda:
        loaded = self._declared_function(document["RunsAs"])
        if loaded is None:
            raise NotEmulated(
                "Invoking a function that cannot run here (the start said why)",
                where=document["FunctionName"],
            )
        return loaded

    def _require_no_replicas(self, arn: str) -> None:
        distributions = [
            *self._plane.reader.distributions(),
            *self._plane.declared().distributions,
        ]
        for distribution in distributions:
            for behavior in distribution.behaviors:
                if any(association.arn == arn for association in behavior.functions):
                    raise _invalid(
                        f"Lambda was unable to delete {arn} because it is a replicated function. "
                        "Please see our documentation for Deleting Lambda@Edge Functions and "
                        "Replicas."
                    )

    def _require_revision(self, record: Record, given: Shape) -> None:
        wanted = given.get("RevisionId")
        if wanted and wanted != record.document["RevisionId"]:
            raise ApiError(
                412,
                "PreconditionFailedException",
                "The Revision Id provided does not match the latest Revision Id. Call the "
                "GetFunction/GetAlias API to retrieve the latest Revision Id",
            )

    # --- reading ------------------------------------------------------------------------------

    def _everything(self) -> Sequence[Record]:
        declared = [_declared(one, LATEST) for one in self._plane.declared().all_lambdas]
        return [*declared, *self._account.all(Kind.LAMBDA)]

    def _versions(self, name: str) -> Sequence[Record]:
        declared = [
            _declared(one, version)
            for one in self._plane.declared().all_lambdas
            if one.name == name
            for version in _numbers(one)
        ]
        made = [
            record
            for record in self._account.all(Kind.LAMBDA_VERSION)
            if record.document["FunctionName"] == name
        ]
        return declared or sorted(made, key=lambda record: int(record.document["Version"]))

    def _find(self, name: str, qualifier: str) -> Record | None:
        for declared in self._plane.declared().all_lambdas:
            if declared.name == name:
                found = qualifier in (LATEST, *_numbers(declared), *declared.aliases)
                return _declared(declared, qualifier) if found else None
        if qualifier == LATEST:
            return self._account.find(Kind.LAMBDA, name)
        return self._account.find(Kind.LAMBDA_VERSION, f"{name}:{qualifier}")

    def _named(self, given: Shape) -> Record:
        name, qualifier = _named(given)
        record = self._find(name, qualifier or LATEST)
        if record is None:
            raise _not_found(name, qualifier)
        return record

    def _own(self, given: Shape) -> Record:
        name, qualifier = _named(given)
        record = self._account.find(Kind.LAMBDA, name)
        if record is None:
            if self._find(name, LATEST) is not None:
                raise _invalid(
                    f"The function {name} is declared in the project's template. Change it there; "
                    "localpop deploys the template when it is saved."
                )
            raise _not_found(name, qualifier)
        return record

    def _shape(self, record: Record, *, is_listed: bool = False) -> dict[str, Any]:
        """A FunctionConfiguration; lists leave the state out, as AWS's do."""
        hidden = ("State", "LastUpdateStatus") if is_listed else ()
        shape = {key: value for key, value in record.document.items() if key not in hidden}
        shape["LastModified"] = _date(record.modified_ms)
        if is_listed and record.document["Version"] == LATEST:
            shape["FunctionArn"] = function_arn(record.document["FunctionName"])
        return shape


def function_arn(name: str, qualifier: str | None = None) -> str:
    """A function's ARN, with its version if one is given."""
    arn = f"arn:aws:lambda:{_REGION}:{ACCOUNT_ID}:function:{name}"
    return f"{arn}:{qualifier}" if qualifier else arn


def _named(given: Shape) -> tuple[str, str | None]:
    """The function and the qualifier that an input names; an ARN may bring a qualifier."""
    match = _NAMED.fullmatch(unquote(given["FunctionName"]))
    if match is None:
        raise _bad_name(given["FunctionName"])
    return match[1], given.get("Qualifier") or match[2]


def _function_name(given: str) -> str:
    match = _NAMED.fullmatch(given)
    if match is None or not _NAME.fullmatch(match[1]):
        raise _bad_name(given)
    return match[1]


def _content(document: Mapping[str, Any]) -> str:
    """What makes a new version differ from the one before: the code and the configuration."""
    kept = {key: document.get(key) for key in (*_CHANGEABLE, "CodeSha256", "Architectures")}
    return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS).decode()


def _unsupported(document: Mapping[str, Any]) -> list[str]:
    """What Lambda@Edge does not have (facts/lambda-at-edge.md 4.4)."""
    found = []
    if document.get("Layers"):
        found.append("layers")
    if (document.get("VpcConfig") or {}).get("SubnetIds"):
        found.append("a VPC configuration")
    if (document.get("DeadLetterConfig") or {}).get("TargetArn"):
        found.append("a dead-letter queue")
    if (document.get("TracingConfig") or {}).get("Mode") == "Active":
        found.append("X-Ray tracing")
    if document.get("KMSKeyArn"):
        found.append("a customer managed key")
    if (document.get("Architectures") or ["x86_64"]) != ["x86_64"]:
        found.append("another architecture than x86_64")
    if (document.get("EphemeralStorage") or {}).get("Size", 512) > 512:
        found.append("more than 512 MB of ephemeral storage")
    return found


def _require_limits(document: Mapping[str, Any]) -> None:
    """Lambda's own limits, in the words of its validation."""
    for name, least, most in (("Timeout", 1, 900), ("MemorySize", 128, 10_240)):
        value = document[name]
        if not least <= value <= most:
            bound = "greater" if value < least else "less"
            limit = least if value < least else most
            raise ApiError(
                400,
                "ValidationException",
                f"1 validation error detected: Value '{value}' at '{name[0].lower()}{name[1:]}' "
                f"failed to satisfy constraint: Member must have value {bound} than or equal to "
                f"{limit}",
            )


def _require_environment(document: Mapping[str, Any]) -> None:
    problem = environment_problem((document.get("Environment") or {}).get("Variables") or {})
    if problem:
        raise _invalid(problem)


def _require_region(call: ApiCall) -> None:
    match = _SCOPE.search(call.headers.get("authorization", ""))
    if match is not None and match[1] != _REGION:
        raise NotEmulated(f"A Lambda function in {match[1]} (Lambda@Edge's are in {_REGION})")


def _numbers(declared: LambdaFunctionDeclaration) -> tuple[str, ...]:
    """The numbers of a template's versions of a function."""
    published = tuple(arn.rpartition(":")[2] for arn in declared.versions)
    return published or tuple(one for one in declared.aliases if one.isdecimal())


def _declared(declared: LambdaFunctionDeclaration, qualifier: str) -> Record:
    """A function of the template; an alias is what its newest version is."""
    numbers = _numbers(declared)
    if qualifier != LATEST and qualifier not in numbers:
        qualifier = numbers[-1] if numbers else LATEST
    kind = Kind.LAMBDA if qualifier == LATEST else Kind.LAMBDA_VERSION
    arn = f"{declared.arn}:{qualifier}"
    document: dict[str, Any] = {
        **_DEFAULTS,
        "Description": "Declared in the project's template",
        "FunctionName": declared.name,
        "FunctionArn": declared.arn if qualifier == LATEST else arn,
        "Runtime": declared.runtime,
        "Handler": declared.handler,
        "Role": f"arn:aws:iam::{ACCOUNT_ID}:role/localpop-template",
        "Timeout": declared.timeout_s,
        "MemorySize": declared.memory_mb,
        "CodeSize": 0,
        "CodeSha256": base64.b64encode(b"template").decode(),
        "Version": qualifier,
        "RevisionId": "template",
        "Path": str(declared.path),
        # A version at the edge is loaded by its own ARN, any other function by its name's.
        "RunsAs": (arn if arn in declared.versions else declared.versions[-1])
        if declared.versions
        else declared.arn,
        "Concurrency": declared.reserved_concurrency,
        "EventInvoke": {
            name: _event_invoke_shape(one) for name, one in declared.asynchronous.items()
        },
    }
    if declared.environment:
        document["Environment"] = {"Variables": dict(declared.environment)}
    if declared.dead_letter_arn:
        document["DeadLetterConfig"] = {"TargetArn": declared.dead_letter_arn}
    return Record(kind, declared.name, document, 1, 0.0, 0.0)


def _event_invoke_shape(config: EventInvokeConfig) -> dict[str, Any]:
    told = {"OnSuccess": config.on_success, "OnFailure": config.on_failure}
    return {
        "MaximumRetryAttempts": config.retries,
        "MaximumEventAgeInSeconds": config.max_age_s,
        "DestinationConfig": {name: {"Destination": arn} for name, arn in told.items() if arn},
    }


def _page(records: Sequence[Record], given: Shape, shape: dict[str, Any]) -> Sequence[Record]:
    """One page; the marker of the next one goes into the answer."""
    most = int(given.get("MaxItems") or 50)
    arns = [record.document["FunctionArn"] for record in records]
    marker = given.get("Marker")
    start = arns.index(marker) + 1 if marker in arns else 0
    found = records[start : start + most]
    if start + most < len(records):
        shape["NextMarker"] = found[-1].document["FunctionArn"]
    return found


def _date(epoch_ms: float) -> str:
    # Lambda writes the zone without a colon and no Z.
    return iso_date(epoch_ms).replace("Z", "+0000")


def _not_found(name: str, qualifier: str | None) -> ApiError:
    return ApiError(
        404, "ResourceNotFoundException", f"Function not found: {function_arn(name, qualifier)}"
    )


def _no_policy() -> ApiError:
    return ApiError(
        404, "ResourceNotFoundException", "No policy is associated with the given resource."
    )


def _bad_name(name: str) -> ApiError:
    return _invalid(f"{name[:170]!r} is neither a function's name nor its ARN")


def _invalid(message: str) -> ApiError:
    return ApiError(400, "InvalidParameterValueException", message)


def _too_large() -> ApiError:
    return ApiError(
        413, "RequestTooLargeException", f"Request must be smaller than {_BODY_MAX_BYTES} bytes"
    )
