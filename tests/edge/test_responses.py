"""What viewers get beside the object: policies, pages, timing, logs."""

from __future__ import annotations

import pytest

from emulator.rules.response_headers_policy import MANAGED_RESPONSE_HEADERS_POLICIES
from emulator.values.access_log import AccessRecord
from emulator.values.distribution import (
    GeoRestriction,
    ResponseHeadersPolicy,
    ViewerProtocolPolicy,
)
from emulator.values.functions import EventType, FunctionEvent
from emulator.values.messages import Request, Response
from tests.edge.world import CACHE, Doing, asked, at, behavior, read, running, says, viewer

pytestmark = pytest.mark.anyio
OPTIMIZED = CACHE["CachingOptimized"]
POLICIES = {policy.name: policy for policy in MANAGED_RESPONSE_HEADERS_POLICIES.values()}
SECURE = POLICIES["SecurityHeadersPolicy"]


@pytest.mark.conformance("CF-106")
async def test_security_headers_keep_the_origins_but_for_nosniff() -> None:
    """Override is off for all of them except X-Content-Type-Options."""
    chosen = behavior(OPTIMIZED, response_headers_policy=SECURE)
    async with running(chosen) as world:
        world.origin.script = says("x", X_Frame_Options="DENY", X_Content_Type_Options="sniff")
        answers = [await world.get("/a") for _ in range(2)]

        assert [one.x_cache for one in answers] == ["Miss", "Hit"]
        for answer in answers:
            assert answer.headers.get_all("x-frame-options") == ("DENY",)
            assert answer.headers.get_all("x-content-type-options") == ("nosniff",)
            assert "strict-transport-security" in answer.headers


@pytest.mark.conformance("CF-107")
async def test_a_removed_server_header_is_cloudfronts_own() -> None:
    """`Server: CloudFront`."""
    hiding = ResponseHeadersPolicy("hide", remove=("server",))
    async with running(behavior(OPTIMIZED, response_headers_policy=hiding)) as world:
        answer = await world.get("/a")

        assert answer.headers.get_all("server") == ("CloudFront",)


@pytest.mark.conformance("CF-108")
async def test_the_policy_is_on_cloudfronts_own_pages_and_seen_by_viewer_response() -> None:
    """A 403 page carries it; a viewer-response function may change it."""

    def act(event: FunctionEvent) -> Request | Response:
        assert event.response is not None
        changed = event.response.headers.with_set("X-Frame-Options", "changed")
        return Response(200, headers=changed, body=event.response.body)

    function = Doing(act)
    chosen = behavior(
        OPTIMIZED, response_headers_policy=SECURE, functions=(at(EventType.VIEWER_RESPONSE),)
    )
    async with running(chosen, functions={EventType.VIEWER_RESPONSE: function}) as world:
        refused = await world.get("/a", "POST")
        changed = await world.get("/a")
        seen = function.events[0].response

        assert refused.status == 403
        assert "strict-transport-security" in refused.headers
        assert seen is not None
        assert "strict-transport-security" in seen.headers
        assert changed.headers.get("x-frame-options") == "changed"


@pytest.mark.conformance("CF-109")
async def test_server_timing_on_request() -> None:
    """`Pragma: server-timing` yields the documented metrics, on a miss and on a hit."""
    timed = ResponseHeadersPolicy("timed", server_timing_rate=0.0)
    async with running(behavior(OPTIMIZED, response_headers_policy=timed)) as world:
        silent = await world.get("/b")
        miss = (await world.get("/a", Pragma="server-timing")).headers.get("server-timing")
        hit = (await world.get("/a", Pragma="server-timing")).headers.get("server-timing")

        assert "server-timing" not in silent.headers
        assert [part.strip().split(";")[0] for part in miss.split(",")] == [
            "cdn-upstream-layer",
            "cdn-upstream-dns",
            "cdn-upstream-connect",
            "cdn-upstream-fbl",
            "cdn-cache-miss",
            "cdn-pop",
            "cdn-rid",
            "cdn-downstream-fbl",
        ]
        assert [part.strip().split(";")[0] for part in hit.split(",")] == [
            "cdn-cache-hit",
            "cdn-pop",
            "cdn-rid",
            "cdn-hit-layer",
            "cdn-downstream-fbl",
        ]


async def test_geo_restriction_goes_by_the_viewers_place() -> None:
    """A blocked country gets 403 with its sentence."""
    async with running(
        behavior(OPTIMIZED),
        geo_restriction=GeoRestriction.BLOCK,
        geo_locations=frozenset({"JP"}),
    ) as world:
        tokyo = await world.get("/a", X_Localpop_Viewer="NRT/fibre")
        london = await world.get("/a")

        assert (tokyo.status, london.status) == (403, 200)
        assert b"block access from your country" in tokyo.body


async def test_a_redirect_to_https_names_the_local_port() -> None:
    """443 at AWS; here the port that really listens."""
    chosen = behavior(OPTIMIZED, viewer_protocol_policy=ViewerProtocolPolicy.REDIRECT_TO_HTTPS)
    async with running(chosen) as world:
        world.edge.settings.https_port = 8443
        answer = await world.get("/a?b=1", host="localhost:8080")

        assert answer.headers.get("location") == "https://localhost:8443/a?b=1"


@pytest.mark.parametrize("http3", [True, False])
async def test_alt_svc_says_whether_the_distribution_speaks_http_3(http3: bool) -> None:
    """Only when HttpVersion includes it."""
    async with running(behavior(OPTIMIZED), http3=http3) as world:
        answer = await world.get("/a")

        assert ("alt-svc" in answer.headers) is http3


@pytest.mark.conformance("CF-103", "CF-112")
async def test_the_access_log_tells_of_each_finished_request() -> None:
    """Its request id is the viewer's and the function's; a replaced error stays an Error."""
    records: list[AccessRecord] = []
    function = Doing(lambda event: event.request)
    chosen = behavior(OPTIMIZED, functions=(at(EventType.VIEWER_REQUEST),))
    async with running(chosen, functions={EventType.VIEWER_REQUEST: function}) as world:
        world.edge.access_log = records.append
        delivery = await world.edge.deliver(asked("/a?b=1", User_Agent="test 1"), viewer())
        got = await read(delivery)
        delivery.journey.finished(len(got.body), 100)

        request_id = got.headers.get("x-amz-cf-id")
        assert (len(request_id), request_id[-2:]) == (56, "==")
        assert records[0].request_id == request_id == function.events[0].request_id
        assert (records[0].uri, records[0].query, records[0].result_type) == ("/a", "b=1", "Miss")
        assert records[0].response_bytes == len(got.body) + 100
