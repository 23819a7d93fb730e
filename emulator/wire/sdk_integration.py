"""How Step Functions spells an SDK's operations: `aws-sdk:dynamodb:getItem`, all in PascalCase.

AWS: "Learning to use AWS service SDK integrations" (supported-services-awssdk, Step Functions
guide), read 2026-11-21: parameters and results in PascalCase, whatever the API's own spelling;
errors are those of the SDK for Java 2.x, `ServiceName.ErrorName` with `Exception` behind.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from botocore.model import ServiceModel

_WORD: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z]+|\d+")
CLIENT_NAMES: Final[Mapping[str, str]] = {
    "bedrockruntime": "bedrock-runtime",
    "cloudfrontkeyvaluestore": "cloudfront-keyvaluestore",
    "cloudwatchlogs": "logs",
    "eventbridge": "events",
    "sfn": "stepfunctions",
}
_SERVICES: Final[Mapping[str, str]] = {"stepfunctions": "states"}
ERROR_NAMES: Final[Mapping[str, str]] = {
    "bedrockruntime": "BedrockRuntime",
    "cloudfront": "CloudFront",
    "cloudfrontkeyvaluestore": "CloudFrontKeyValueStore",
    "cloudwatch": "CloudWatch",
    "cloudwatchlogs": "CloudWatchLogs",
    "dynamodb": "DynamoDb",
    "eventbridge": "EventBridge",
    "secretsmanager": "SecretsManager",
}


class UnknownIntegrationError(ValueError):
    """There is no such service or operation in any SDK."""


class SdkOperation:
    """One operation of an SDK integration. Make it with `sdk_operation`.

    Args:
        service: The service, as the endpoint calls it.
        name: The operation, as its API spells it.
        error_prefix: What the names of its errors begin with.
    """

    def __init__(self, service: str, name: str, error_prefix: str, model: ServiceModel) -> None:
        self.service, self.name, self.error_prefix = service, name, error_prefix
        self._model, self._operation = model, model.operation_model(name)

    def request(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters as the API spells them; JSON for texts and blobs that were given as values."""
        shape = self._operation.input_shape
        return dict(_to_api(shape, parameters)) if shape is not None else dict(parameters)

    def response(self, output: Mapping[str, Any]) -> Any:
        """An output as Step Functions spells it."""
        return _to_states(self._operation.output_shape, output)

    def error_name(self, code: str) -> str:
        """What Step Functions calls an error of the service."""
        known = self._model.shape_for_error_code(code)
        name = known.name if known is not None else self.error_prefix
        return f"{self.error_prefix}.{name if name.endswith('Exception') else name + 'Exception'}"


@lru_cache(maxsize=256)
def sdk_operation(service: str, action: str) -> SdkOperation:
    """An operation by the names in a Task's Resource, such as `dynamodb` and `getItem`.

    Raises:
        UnknownIntegrationError: There is none.
    """
    from botocore.exceptions import UnknownServiceError

    client = CLIENT_NAMES.get(service, service)
    try:
        model = _model(client)
    except UnknownServiceError:
        raise UnknownIntegrationError(f"There is no service {service}") from None
    names = {name.lower(): name for name in model.operation_names}
    name = names.get(action.lower())
    if name is None:
        raise UnknownIntegrationError(f"The service {service} has no action {action}")
    prefix = ERROR_NAMES.get(service, service[:1].upper() + service[1:])
    return SdkOperation(_SERVICES.get(client, client), name, prefix, model)


@lru_cache(maxsize=32)
def _model(client: str) -> ServiceModel:
    # Not at the top: botocore takes its time, and most state machines need none of it.
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    return ServiceModel(Loader().load_service_model(client, "service-2"), client)


def pascal_case(name: str) -> str:
    """`stateMachineArn` as `StateMachineArn`, `MD5OfBody` as `Md5OfBody`."""
    return "".join(word[0].upper() + word[1:].lower() for word in _WORD.findall(name))


def _to_api(shape: Any, value: Any) -> Any:
    match shape.type_name:
        case "structure" if isinstance(value, Mapping):
            members = {pascal_case(name): name for name in shape.members}
            made = {}
            for key, one in value.items():
                name = members.get(pascal_case(key))
                made[name or key] = _to_api(shape.members[name], one) if name else one
            return made
        case "list" if isinstance(value, list):
            return [_to_api(shape.member, one) for one in value]
        case "map" if isinstance(value, Mapping):
            return {key: _to_api(shape.value, one) for key, one in value.items()}
        case "string" if value is not None and not isinstance(value, str):
            return compact(value)
        case "blob" if not isinstance(value, bytes):
            return value.encode() if isinstance(value, str) else compact(value).encode()
    return value


def _to_states(shape: Any, value: Any) -> Any:
    kind = shape.type_name if shape is not None else ""
    if kind == "structure" and isinstance(value, Mapping):
        return {
            pascal_case(key): _to_states(shape.members.get(key), one) for key, one in value.items()
        }
    if kind == "list" and isinstance(value, list):
        return [_to_states(shape.member, one) for one in value]
    if kind == "map" and isinstance(value, Mapping):
        return {key: _to_states(shape.value, one) for key, one in value.items()}
    if kind == "timestamp" and isinstance(value, (int, float)):
        moment = datetime.datetime.fromtimestamp(value / 1_000, datetime.UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return plain(value)


def plain(value: Any) -> Any:
    """A value of a client's answer as JSON has it."""
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items() if key != "ResponseMetadata"}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode(errors="replace")
    if hasattr(value, "read"):
        return plain(value.read())
    return value


def compact(value: Any) -> str:
    """A value's JSON without white space."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)
