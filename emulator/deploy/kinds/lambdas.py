"""Lambda functions for the edge, and their numbered versions (facts/lambda-at-edge.md 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from emulator.deploy.desired import (
    Code,
    Declared,
    Packager,
    Template,
    is_unknown,
    stand_ins,
)
from emulator.deploy.kinds.kind import Actual, Desired, own_tags, property_changes
from emulator.deploy.ledger import Entry
from emulator.deploy.plan import Change
from emulator.deploy.sdk import error_code
from emulator.deploy.shapes import to_api
from emulator.deploy.target import Target
from emulator.errors import ConfigError

# A new role is not known everywhere at once (facts/local-aws.md section 6).
_ROLE_MOST_S: Final = 90.0
_ACTIVE_MOST_S: Final = 300.0
_NOT_COMPARED: Final = frozenset({"Tags", "FunctionName"})


class ReplicasLeftError(ConfigError):
    """Lambda still has replicas at the edge and deletes the function later."""


class Lambdas:
    """`AWS::Lambda::Function`.

    Args:
        target: The account.
        tags: Whose resources they are.
        package: Makes zips; None when nothing is going to be made.
    """

    def __init__(
        self, target: Target, tags: Mapping[str, str], package: Packager | None = None
    ) -> None:
        self._target, self._tags, self._package = target, tags, package

    @property
    def _lambda(self) -> Any:
        return self._target.client("lambda")

    def desire(self, template: Template, one: Declared) -> Desired:
        """Configuration and zip; the zip's hash is only known once what is baked into it is.

        Raises:
            ConfigError: Lambda@Edge would refuse the package.
        """
        function = template.lambda_function(one)
        said = template.properties(one)
        said.pop("Environment", None)
        own = own_tags(said)
        said.pop("Tags", None)
        shape = self._lambda.meta.service_model.operation_model("CreateFunction").input_shape
        wanted = to_api({**said, "FunctionName": function.name}, shape, template.place(one))
        # localpop.toml may name another handler or runtime than the template.
        wanted |= {"Handler": function.handler, "Runtime": function.runtime}
        wanted.setdefault("Timeout", function.timeout_s)
        wanted.setdefault("MemorySize", function.memory_mb)
        assert self._package is not None
        code = self._package(replace(function, baked=stand_ins(function.baked)))
        if is_unknown(function.baked):
            code = replace(code, code_sha256="")
        tags = {**own, **self._tags, "localpop:resource": one.key}
        return Desired(one.key, function.name, wanted, code, tags)

    def read(self, identity: str) -> Actual | None:
        """A function by its name, or a version by its ARN."""
        client = self._lambda
        try:
            says = client.get_function_configuration(FunctionName=identity)
        except client.exceptions.ResourceNotFoundException:
            return None
        arn = str(says["FunctionArn"])
        attributes = {"": str(says["FunctionName"]), "Arn": arn}
        return Actual(identity, says, attributes, str(says.get("RevisionId", "")))

    def find(self, desired: Desired, entry: Entry | None) -> Actual | None:
        """A function of the name, with its tags."""
        found = self.read(desired.name)
        if found is None:
            return None
        tags = self._lambda.list_tags(Resource=found.attributes["Arn"]).get("Tags") or {}
        return replace(found, tags=tags)

    def changes(self, desired: Desired, actual: Actual, entry: Entry) -> Iterator[Change]:
        """Code and configuration."""
        code: Code = desired.body
        if code.code_sha256 != actual.properties["CodeSha256"]:
            after = code.code_sha256 or "packaged again when its values are known"
            yield Change("Code", actual.properties["CodeSha256"], after)
        yield from property_changes(_compared(desired), actual)

    def create(self, desired: Desired, entry: Entry) -> Actual:
        """Make it; waits for a role that Lambda does not know yet."""
        code: Code = desired.body

        def attempt() -> Any:
            return self._lambda.create_function(
                **desired.properties,
                Code={"ZipFile": code.file.read_bytes()},
                Tags=dict(desired.tags),
            )

        until_assumable(attempt, self._target)
        return self._settled(desired.name)

    def change(self, desired: Desired, actual: Actual, entry: Entry) -> Actual:
        """Code and configuration, each only when it differs; RevisionId is Lambda's If-Match."""
        code: Code = desired.body
        revision = actual.etag
        if code.code_sha256 != actual.properties["CodeSha256"]:
            self._lambda.update_function_code(
                FunctionName=desired.name, ZipFile=code.file.read_bytes(), RevisionId=revision
            )
            revision = self._settled(desired.name).etag
        changed = {
            one.path.partition(".")[0] for one in property_changes(_compared(desired), actual)
        }
        if changed:
            given = {name: desired.properties[name] for name in changed}

            def attempt() -> Any:
                return self._lambda.update_function_configuration(
                    FunctionName=desired.name, RevisionId=revision, **given
                )

            until_assumable(attempt, self._target)
        return self._settled(desired.name)

    def _settled(self, name: str) -> Actual:
        """The function once Lambda is done with it."""
        self._lambda.get_waiter("function_active_v2").wait(
            FunctionName=name, WaiterConfig={"Delay": 1, "MaxAttempts": int(_ACTIVE_MOST_S)}
        )
        self._lambda.get_waiter("function_updated_v2").wait(
            FunctionName=name, WaiterConfig={"Delay": 1, "MaxAttempts": int(_ACTIVE_MOST_S)}
        )
        found = self.read(name)
        assert found is not None
        return found

    def delete(self, identity: str) -> None:
        """Delete it with every version.

        Raises:
            ReplicasLeftError: There are replicas; AWS deletes them "within a few hours".
        """
        client = self._lambda
        try:
            client.delete_function(FunctionName=identity)
        except client.exceptions.ResourceNotFoundException:
            return
        except client.exceptions.InvalidParameterValueException as error:
            if "replicated function" not in str(error):
                raise
            raise ReplicasLeftError(
                f"Lambda still has replicas of {identity} at the edge; AWS deletes them within a "
                "few hours after the last distribution let go of it.",
                where=identity,
                mend="Run the same command again later (or with --wait): it goes on from here.",
            ) from error


class Versions:
    """`AWS::Lambda::Version`: published when the function changes; earlier ones stay.

    Args:
        target: The account.
        lambdas: The functions.
    """

    def __init__(self, target: Target, lambdas: Lambdas) -> None:
        self._target, self._lambdas = target, lambdas

    def desire(self, template: Template, one: Declared) -> Desired:
        """The function's code and configuration, in a version."""
        function = self._lambdas.desire(template, template.versioned(one))
        said = template.properties(one)
        wanted = dict(function.properties)
        if said.get("Description"):
            wanted["Description"] = said["Description"]
        return Desired(one.key, "", {**wanted, "FunctionName": function.name}, function.body)

    def read(self, identity: str) -> Actual | None:
        """A version by its ARN."""
        found = self._lambdas.read(identity)
        if found is None:
            return None
        number = str(found.properties["Version"])
        return replace(found, attributes={"": identity, "FunctionArn": identity, "Version": number})

    def find(self, desired: Desired, entry: Entry | None) -> Actual | None:
        """Publishing gives the same version again when nothing has changed: nothing to find."""
        return None

    def changes(self, desired: Desired, actual: Actual, entry: Entry) -> Iterator[Change]:
        """What makes another version necessary."""
        return self._lambdas.changes(desired, actual, entry)

    def create(self, desired: Desired, entry: Entry) -> Actual:
        """Publish what `$LATEST` is; CodeSha256 makes sure that it is ours."""
        client = self._target.client("lambda")
        code: Code = desired.body
        says = client.publish_version(
            FunctionName=desired.properties["FunctionName"],
            CodeSha256=code.code_sha256,
            Description=desired.properties.get("Description", ""),
        )
        arn = str(says["FunctionArn"])
        client.get_waiter("published_version_active").wait(
            FunctionName=arn, WaiterConfig={"Delay": 1, "MaxAttempts": int(_ACTIVE_MOST_S)}
        )
        found = self.read(arn)
        assert found is not None
        return found

    def change(self, desired: Desired, actual: Actual, entry: Entry) -> Actual:
        """A version never changes: another one is published."""
        return self.create(desired, entry)

    def delete(self, identity: str) -> None:
        """Versions go with their function; until then viewers can be taken back to them."""


def until_assumable(attempt: Callable[[], Any], target: Target) -> Any:
    """Do it as soon as Lambda may assume the role.

    Raises:
        ConfigError: It still may not after a minute and a half.
    """
    from botocore.exceptions import ClientError

    last: list[ClientError] = []

    def look() -> Any:
        try:
            return attempt()
        except ClientError as error:
            if error_code(error) != "InvalidParameterValueException" or "role" not in str(error):
                raise
            last[:] = [error]
            return None

    try:
        return target.wait_for(look, "the role, to Lambda", most_s=_ROLE_MOST_S)
    except ConfigError:
        raise last[0] if last else ConfigError("Lambda did not answer.") from None


def _compared(desired: Desired) -> Desired:
    kept = {name: one for name, one in desired.properties.items() if name not in _NOT_COMPARED}
    return replace(desired, properties=kept)
