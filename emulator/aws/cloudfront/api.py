"""CloudFront's control API behind the endpoint: routes and shapes come from CloudFront's model."""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp

from emulator.aws.answers import Answer
from emulator.aws.call import ApiCall
from emulator.aws.cloudfront.control_plane import ControlPlane, Operation
from emulator.aws.cloudfront.distributions import Distributions
from emulator.aws.cloudfront.functions import Functions
from emulator.aws.cloudfront.invalidations import Invalidations
from emulator.aws.cloudfront.policies import SORTS, Configurations
from emulator.aws.cloudfront.tags import Tags
from emulator.aws.key_value_store_control_api import KeyValueStoreControlApi
from emulator.aws.models import LazyModel
from emulator.errors import ApiError, NotEmulated
from emulator.quotas import KB
from emulator.rules.edge_associations import LambdaLookup
from emulator.runtimes.cloudfront_functions.engine import CloudFrontFunctions
from emulator.stores.key_value_stores import KeyValueStores
from emulator.wire.service_model_words import ErrorWords

_STORES: Final = "/2020-05-31/key-value-store"
_BODY_MAX_BYTES: Final = 512 * KB


class CloudFrontApi:
    """The service `cloudfront`, API version 2020-05-31.

    Args:
        plane: The account.
        store_api: The key value stores' part, which needs no model.
        stores: The account's key value stores.
        engine: Runs TestFunction.
        lambda_version: The Lambda version of an ARN.
    """

    def __init__(
        self,
        plane: ControlPlane,
        store_api: KeyValueStoreControlApi,
        stores: KeyValueStores,
        engine: CloudFrontFunctions,
        lambda_version: LambdaLookup,
    ) -> None:
        self._store_api = store_api
        self.functions = Functions(plane, stores, engine)
        distributions = Distributions(plane, self.functions.is_live, lambda_version)
        self._operations: dict[str, Operation] = {
            **self.functions.operations,
            **distributions.operations,
            **Invalidations(plane).operations,
            **Tags(plane).operations,
        }
        for sort in SORTS:
            self._operations |= Configurations(plane, sort).operations
        self._model = LazyModel("cloudfront", ErrorWords("MalformedInput", "InvalidArgument"))

    async def __call__(self, call: ApiCall) -> ASGIApp:
        """Answer a call.

        Raises:
            ApiError: Any of the API's errors.
            NotEmulated: An operation that is not there, by its name.
        """
        if call.path == _STORES or call.path.startswith(f"{_STORES}/"):
            return await self._store_api(call)
        model = await self._model.get()
        matched = model.match(call.method, call.path, call.query)
        if matched is None:
            raise NotEmulated(f"The AWS operation cloudfront:{call.method} {call.path}")
        operation = self._operations.get(matched.operation)
        if operation is None:
            raise NotEmulated(f"The AWS operation cloudfront:{matched.operation}")
        body = await call.body(_BODY_MAX_BYTES, _too_large)
        given = model.read_input(matched, call.query, call.headers, body)
        written = model.write_output(matched.operation, await operation(given))
        headers = dict(written.headers)
        if "ETtag" in headers:
            # The model spells UpdateFunction's header so, and boto3 reads no other (facts 8.1).
            headers["ETag"] = headers["ETtag"]
        return Answer(
            written.status, written.body, content_type=written.content_type, headers=headers
        )


def _too_large() -> ApiError:
    return ApiError(413, "RequestEntityTooLarge", "The request body is too large")
