"""The AWS endpoint as one ASGI application.

A request's way: the guard (no foreign hosts, no foreign web sites), the prefix that tells where the
caller is, the classification, the service. Whatever goes wrong, the answer has AWS's shape and an
`x-amzn-RequestId`.
"""

from __future__ import annotations

import logging
import random
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator.aws.answers import error_answer
from emulator.aws.background import Background
from emulator.aws.bedrock_runtime import BedrockRuntime
from emulator.aws.call import ApiCall, Service, call_from
from emulator.aws.cloudfront.api import CloudFrontApi
from emulator.aws.cloudfront.control_plane import ControlPlane, nothing_changed
from emulator.aws.cloudfront.tags import Tags
from emulator.aws.controls import CONTROLS_PATH, LocalControls
from emulator.aws.dispatch import (
    BEDROCK_RUNTIME,
    CLOUDFRONT,
    KEY_VALUE_STORE,
    Protocol,
    Target,
    classify,
    is_signed,
    query_action,
    split_region,
)
from emulator.aws.guard import require_local
from emulator.aws.in_process import InProcess
from emulator.aws.key_value_store_api import KeyValueStoreApi
from emulator.aws.key_value_store_control_api import (
    FetchObject,
    KeyValueStoreControlApi,
    StoreInUse,
    no_s3,
)
from emulator.aws.lambda_api import LambdaApi
from emulator.aws.other_services import OtherServices
from emulator.clock import Clock
from emulator.errors import ApiError, LocalpopError, NotEmulated
from emulator.network.faults import FaultPlan
from emulator.quotas import KB
from emulator.runtimes.cloudfront_functions.engine import CloudFrontFunctions
from emulator.runtimes.lambda_edge import LambdaFunctions, LoadedLambda
from emulator.stores.journal import Journal
from emulator.stores.key_value_stores import KeyValueStores
from emulator.stores.lambda_packages import LambdaPackages

DistanceMs = Callable[[str], float]
"""The round trip in ms between a Region and the endpoint's own, us-east-1.

Raises a `LocalpopError` or `LookupError` for a Region it does not know.
"""

_FORM_MAX_BYTES = 64 * KB
_UNKNOWN = Target("", "", "", Protocol.REST_JSON)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CloudFrontControl:
    """What CloudFront's control API and Lambda's API need beside the stores.

    Args:
        plane: The account.
        functions: The engine of CloudFront Functions.
        lambdas: The sandboxes of Lambda@Edge.
        packages: Where Lambda's zips are kept.
        others: Every service that localpop does not emulate itself.
        reset: Makes everything as it was at the first start, for `localpop reset`.
        in_process: Where the services call each other; they are added to it.
        declared_function: A Lambda function of the project's template, by its ARN.
        background: Events and queues.
        journal: Keeps events under way that Lambda functions are to get.
    """

    plane: ControlPlane
    functions: CloudFrontFunctions
    lambdas: LambdaFunctions
    packages: LambdaPackages
    others: OtherServices
    reset: Callable[[], Awaitable[None]] = nothing_changed
    in_process: InProcess = field(default_factory=InProcess)
    declared_function: Callable[[str], LoadedLambda | None] = lambda arn: None
    background: Background | None = None
    journal: Journal | None = None


def create_app(
    stores: KeyValueStores,
    bedrock: BedrockRuntime,
    clock: Clock,
    *,
    control: CloudFrontControl | None = None,
    distance_ms: DistanceMs = lambda region: 0.0,
    store_in_use: StoreInUse = lambda arn: False,
    fetch_object: FetchObject = no_s3,
    require_auth: bool = False,
    chance: random.Random | None = None,
    plan: FaultPlan | None = None,
) -> ASGIApp:
    """Join the services into one endpoint.

    Args:
        stores: The account's key value stores.
        bedrock: The stand-in for Amazon Bedrock's runtime; `/_localpop/` controls it.
        clock: What the simulated distance is waited on.
        control: What distributions and functions need; without it there are only stores.
        distance_ms: The round trip from a Region, for callers under `/from-region/{region}`.
        store_in_use: Whether a function is associated with the store of an ARN.
        fetch_object: Reads the S3 object that a new store imports.
        require_auth: Refuse requests without a signature (whether it is right is not checked).
        chance: Where request ids come from.
        plan: The edge's faults; `/_localpop/faults` plans and clears them.
    """
    plan = plan or FaultPlan()
    services: dict[str, Service] = {
        KEY_VALUE_STORE: KeyValueStoreApi(stores, bedrock.faults),
        BEDROCK_RUNTIME: bedrock,
    }
    if control is None:
        services[CLOUDFRONT] = KeyValueStoreControlApi(
            stores, in_use=store_in_use, fetch_object=fetch_object
        )
    else:
        control.in_process.add(BEDROCK_RUNTIME, bedrock.call)
        services |= _control_services(control, stores, store_in_use)
    return AwsEndpoint(
        services,
        LocalControls(
            bedrock,
            reset=control.reset if control else None,
            package=control.packages.read if control else lambda name: None,
            plan=plan,
            clock=clock,
            invalidate=control.plane.on_invalidation if control else None,
            background=control.background if control else None,
        ),
        clock,
        others=control.others if control else None,
        distance_ms=distance_ms,
        require_auth=require_auth,
        chance=chance or random.Random(),
        plan=plan,
    )


def _control_services(
    control: CloudFrontControl,
    stores: KeyValueStores,
    store_in_use: StoreInUse,
) -> dict[str, Service]:
    fetch_object = control.others.fetch_object
    lambda_api = LambdaApi(
        control.plane,
        control.packages,
        control.lambdas,
        fetch_object,
        control.others.trusted_principals,
        control.declared_function,
        control.in_process.call,
        control.background.mappings.operations if control.background is not None else None,
        control.journal,
    )

    def in_use(arn: str) -> bool:
        return store_in_use(arn) or cloudfront.functions.store_in_use(arn)

    store_api = KeyValueStoreControlApi(
        stores,
        in_use=in_use,
        fetch_object=fetch_object,
        keep_tags=Tags(control.plane).replace,
    )
    cloudfront = CloudFrontApi(
        control.plane, store_api, stores, control.functions, lambda_api.configuration
    )
    control.in_process.add("lambda", lambda_api.call)
    services: dict[str, Service] = {CLOUDFRONT: cloudfront, "lambda": lambda_api}
    if control.background is not None:
        services |= control.background.services()
    return services


class AwsEndpoint:
    """Every AWS service of the emulator behind one address. Make it with `create_app`.

    Args:
        services: By their name in `dispatch.Target`.
        controls: What answers under `/_localpop/`.
        clock: What the simulated distance is waited on.
        others: Answers for every other service; None when nobody does.
        distance_ms: The round trip from a Region.
        require_auth: Whether a signature must be there.
        chance: Where request ids come from.
        plan: Says when the key value stores' data API is throttled.
    """

    def __init__(
        self,
        services: Mapping[str, Service],
        controls: Service,
        clock: Clock,
        *,
        others: OtherServices | None,
        distance_ms: DistanceMs,
        require_auth: bool,
        chance: random.Random,
        plan: FaultPlan,
    ) -> None:
        self._services, self._controls, self._clock = services, controls, clock
        self._others, self._plan = others, plan
        self._distance_ms, self._require_auth, self._chance = distance_ms, require_auth, chance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = str(uuid.UUID(int=self._chance.getrandbits(128), version=4)).encode()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-amzn-RequestId", request_id)]
            await send(message)

        try:
            answer = await self._answer(call_from(scope, receive))
        except ClientDisconnect:
            return
        await answer(scope, receive, send_with_id)

    async def _answer(self, call: ApiCall) -> ASGIApp:
        target = _UNKNOWN
        try:
            require_local(call.headers)
            if call.path.startswith(CONTROLS_PATH):
                return await self._controls(call)
            region, path = split_region(call.path)
            target = classify(call.method, path, call.query, call.headers)
            if region is not None:
                await self._clock.sleep_ms(self._region_distance_ms(region))
            if target.service == KEY_VALUE_STORE and self._plan.kvs_throttled(
                region or "", self._clock.now_ms()
            ):
                # The service's model names no throttling error; every SDK retries this one.
                raise ApiError(429, "ThrottlingException", "Rate exceeded")
            if (
                self._require_auth
                and target.service != "s3"
                and not is_signed(call.query, call.headers)
            ):
                raise ApiError(403, "AccessDeniedException", "Missing Authentication Token")
            return await self._call_service(target, replace(call, path=target.path))
        except ApiError as error:
            return error_answer(error, target)
        except NotEmulated as error:
            return error_answer(ApiError(501, "NotEmulated", str(error)), target)
        except ClientDisconnect:
            raise
        except Exception:
            _log.exception("%s %s failed", call.method, call.path)
            return error_answer(
                ApiError(500, "InternalServerException", "localpop failed; its log has the reason"),
                target,
            )

    async def _call_service(self, target: Target, call: ApiCall) -> ASGIApp:
        service = self._services.get(target.service)
        if service is not None:
            return await service(call)
        if self._others is not None:
            return await self._others.serve(target.service, call)
        operation = target.operation
        if target.protocol is Protocol.QUERY:
            body = await call.body(_FORM_MAX_BYTES, _form_too_large)
            operation = query_action(body) or operation
        raise NotEmulated(f"The AWS operation {target.service}:{operation}")

    def _region_distance_ms(self, region: str) -> float:
        try:
            return self._distance_ms(region)
        except (LocalpopError, LookupError) as error:
            raise ApiError(
                400, "ValidationException", f"/from-region/{region}: no such Region. {error}"
            ) from error


def _form_too_large() -> ApiError:
    return ApiError(413, "RequestEntityTooLarge", "The form of a query request is too large")


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
            return
