"""Objects: from the caches, or fetched and kept.

A cacheable request asks the point of presence, then the regional edge cache, then (where it is on)
Origin Shield, each with its own contents; what comes back is kept in every tier it passed. Other
requests go from the point of presence to the origin.

AWS: "How CloudFront delivers content", "Request and response behavior for custom origins" and
"Manage how long content stays in the cache (expiration)", all read 2026-11-20.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

from emulator.edge.bodies import CompressedBody, SharedBody
from emulator.edge.fetching import Fetched, Fetcher
from emulator.edge.journey import Journey
from emulator.edge.passage import Passage
from emulator.errors import EdgeFunctionError, LocalpopError, OriginError, OriginFailure
from emulator.rules.cache_key import CacheKey, cache_key, object_path, uses_cache
from emulator.rules.collapsing import collapses, releases_waiters
from emulator.rules.compression import compress, compressed_headers, decide_compression
from emulator.rules.conditional import (
    VIEWER_CONDITIONS,
    is_not_modified,
    merge_not_modified,
    not_modified,
    revalidation_headers,
)
from emulator.rules.custom_errors import error_caching_min_ttl_s
from emulator.rules.freshness import (
    Freshness,
    Standing,
    Verdict,
    age_s,
    error_freshness,
    freshness,
    quiet_until_s,
    stale_stands_in_for,
    standing,
    storable,
)
from emulator.rules.invalidation import InvalidationPaths
from emulator.rules.ranges import (
    RangeOutcome,
    asks_for_parts,
    cut_kept_part,
    decide_range,
    is_one_part,
    partial,
    too_large_to_cache,
)
from emulator.rules.websocket import wants_websocket
from emulator.stores.object_cache import ObjectCache, StoredObject
from emulator.values.distribution import READ_METHODS
from emulator.values.headers import Headers
from emulator.values.messages import Request, Response, close_body
from emulator.values.trace import Component

_RANGE_HEADERS: Final = ("range", "if-range")
_ANSWERED_HERE: Final = (*VIEWER_CONDITIONS, *_RANGE_HEADERS)
# A part is no object, and a 304 has none.
_NEVER_KEPT: Final = frozenset({206, 304})

Stored = StoredObject[Freshness]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the caches or the origin gave.

    Args:
        response: On its way to the viewer.
        result: X-Cache without ` from cloudfront`.
        origin_status: The status that the origin itself sent; 0 when a function made the answer.
        layer: Where a hit was: `EDGE`, `REC` or `Origin Shield`; empty on a miss.
    """

    response: Response
    result: str
    origin_status: int
    layer: str = ""


@dataclass(frozen=True, slots=True)
class Tier:
    """One cache on the way to the origin.

    Args:
        name: Its name among the stored objects.
        layer: As Server-Timing calls it.
        place: A point of presence's code, or a Region.
    """

    name: str
    layer: str
    place: str


Entry = tuple[str, CacheKey]
"""A key in one tier."""


@dataclass(frozen=True, slots=True)
class _Shared:
    """What those who waited for a first request are given.

    Args:
        response: Its head.
        body: Its body, for any number of readers.
        origin_status: The status that the origin itself sent.
        tiers: The names of the caches that will keep it; who joins adds those on the way.
        leads: The first requests that end with it.
    """

    response: Response
    body: SharedBody
    origin_status: int
    tiers: list[str]
    leads: list[_Lead]


@dataclass(slots=True)
class _Lead:
    """A first request, and its promise to those who wait for it in each tier that it asked.

    Args:
        under_way: Every promise that is not kept yet.
    """

    under_way: dict[Entry, asyncio.Future[_Shared | None]]
    _promises: dict[Entry, asyncio.Future[_Shared | None]] = field(default_factory=dict)

    def take(self, entry: Entry) -> None:
        """Be the one that others wait for in a tier."""
        promise: asyncio.Future[_Shared | None] = asyncio.get_running_loop().create_future()
        self.under_way[entry] = self._promises[entry] = promise

    def share(self, shared: _Shared | None) -> None:
        """Keep the promises; None sends each of those who waited to the origin itself."""
        for promise in self._promises.values():
            if not promise.done():
                promise.set_result(shared)

    def end(self) -> None:
        """No one waits for it any more."""
        for entry, promise in self._promises.items():
            if self.under_way.get(entry) is promise:
                del self.under_way[entry]
        self.share(None)


@dataclass(slots=True)
class Objects:
    """The caches of every point of presence and Region, and the way through them.

    Args:
        cache: What is kept.
        fetcher: Asks origins.
    """

    cache: ObjectCache[Freshness] = field(default_factory=ObjectCache)
    fetcher: Fetcher = field(default_factory=Fetcher)
    _under_way: dict[Entry, asyncio.Future[_Shared | None]] = field(default_factory=dict)
    _quiet_until_s: dict[CacheKey, float] = field(default_factory=dict)
    _refreshes: dict[tuple[str, CacheKey], asyncio.Task[None]] = field(default_factory=dict)
    _boundaries: random.Random = field(default_factory=random.Random)

    async def get(self, request: Request, passage: Passage) -> Answer:
        """The object that a request asks for.

        Raises:
            OriginError: It is in no cache, and no origin answered.
            EdgeFunctionError: An origin function failed.
        """
        path = object_path(passage.distribution, request.uri)
        if path != request.uri:
            request = replace(request, uri=path)
        if not uses_cache(passage.behavior, request.method) or wants_websocket(request):
            pop = passage.journey.place.pop.code
            fetched = await self.fetcher.fetch(request, passage, pop, _range_of(request))
            return _missed(fetched, fetched.response)
        if "range" in request.headers and not asks_for_parts(request):
            request = replace(request, headers=request.headers.without(*_RANGE_HEADERS))
        key = cache_key(passage.distribution, passage.behavior, request)
        tiers = _tiers(passage)
        found = self._look(request, passage, key, tiers[0])
        if found is not None:
            return found
        if not collapses(passage.behavior, request.method) or "range" in request.headers:
            return await self._beyond(request, passage, key, tiers)
        return await self._collapsed(request, passage, key, tiers)

    def invalidate(self, paths: InvalidationPaths, domain_name: str) -> int:
        """Forget what an invalidation covers, in every tier; returns how many objects."""

        def covered(key: object, stored: Stored) -> bool:
            assert isinstance(key, CacheKey)
            return key.domain_name == domain_name and paths.cover(key)

        return self.cache.drop_where(covered)

    async def close(self) -> None:
        """End what goes on in the background."""
        refreshes = tuple(self._refreshes.values())
        for refresh in refreshes:
            refresh.cancel()
        await asyncio.gather(*refreshes, return_exceptions=True)

    # --- hits -------------------------------------------------------------------------------

    def _look(self, request: Request, passage: Passage, key: CacheKey, tier: Tier) -> Answer | None:
        """A hit in one tier, or None."""
        world = passage.world
        stored = self._stored(request, key, tier)
        now_s = world.clock.epoch_ms() / 1_000
        if stored is None:
            part = self._kept_part(request, key, tier, now_s)
            _looked(passage, tier, "Miss" if part is None else "Hit")
            return part
        verdict = self._standing(stored, key, now_s).verdict
        if verdict in (Verdict.REVALIDATE, Verdict.REFETCH):
            _looked(passage, tier, "expired")
            return None
        _looked(passage, tier, "Hit")
        if verdict is Verdict.STALE_SERVE_AND_REFRESH:
            self._refresh(request, passage, key)
        return self._hit(request, stored, now_s, "Hit", tier.layer)

    def _stored(self, request: Request, key: CacheKey, tier: Tier) -> Stored | None:
        """The tier's object, if it can answer this method: one of HEAD has no body for GET."""
        stored = self.cache.get(tier.name, key)
        if stored is None or (stored.method == "HEAD" and request.method != "HEAD"):
            return None
        return stored

    def _standing(self, stored: Stored, key: CacheKey, now_s: float) -> Standing:
        quiet_s = self._quiet_until_s.get(key, float("-inf"))
        return standing(stored.freshness, stored.fetched_s, now_s, quiet_s)

    def _hit(
        self, request: Request, stored: Stored, now_s: float, result: str, layer: str
    ) -> Answer:
        """A stored object as this viewer asked for it: whole, a part of it, or 304."""
        response = stored.response
        if is_not_modified(request, response):
            response = not_modified(response)
        elif "range" in request.headers:
            response = self._part(request, response)
        return self._aged(stored, response, now_s, result, layer)

    def _aged(
        self, stored: Stored, response: Response, now_s: float, result: str, layer: str
    ) -> Answer:
        """What is sent of a stored object, with its age."""
        aged = response.headers.without("age").with_added(
            "Age", str(age_s(stored.fetched_s, now_s))
        )
        shown = "Error" if response.status >= 400 else result
        aged_response = Response(response.status, response.reason, aged, response.body)
        return Answer(aged_response, shown, stored.origin_status, layer)

    def _kept_part(
        self, request: Request, key: CacheKey, tier: Tier, now_s: float
    ) -> Answer | None:
        """A part that an earlier request for a range left here, if it holds what is asked for."""
        if "range" not in request.headers:
            return None
        stored = self.cache.get(_part_of(tier.name), key)
        if stored is None or self._standing(stored, key, now_s).verdict is not Verdict.FRESH:
            return None
        cut = cut_kept_part(request, stored.response)
        return None if cut is None else self._aged(stored, cut, now_s, "Hit", tier.layer)

    def _part(self, request: Request, response: Response) -> Response:
        """What a Range header asks for; the whole where it cannot be had in parts."""
        body = response.body
        assert isinstance(body, bytes)
        decision = decide_range(request, response, len(body))
        if decision.outcome is RangeOutcome.WHOLE:
            return response
        boundary = f"CloudFront:{self._boundaries.getrandbits(128):032X}"
        return partial(response, body, decision, boundary)

    # --- beyond the point of presence -------------------------------------------------------

    async def _collapsed(
        self, request: Request, passage: Passage, key: CacheKey, tiers: list[Tier]
    ) -> Answer:
        """Wait for another request for the same object, or be the one that others wait for.

        At each cache layer: the first one there logs a miss, the others hits. Here it is the point
        of presence's; `_beyond` does the same at the regional edge cache and Origin Shield.
        """
        entry = (tiers[0].name, key)
        first = self._under_way.get(entry)
        if first is None:
            return await self._lead(request, passage, key, tiers)
        shared = await _wait_for(first, passage)
        if shared is None or not shared.body.is_joinable:
            found = self._look(request, passage, key, tiers[0])
            return found or await self._beyond(request, passage, key, tiers)
        return _joined(shared, passage, tiers[0])

    async def _join_beyond(
        self,
        request: Request,
        passage: Passage,
        key: CacheKey,
        tiers: list[Tier],
        tier: Tier,
        lead: _Lead,
    ) -> Answer | None:
        """The same in a farther tier, for a request that others wait for in the nearer ones.

        They are given what it is given, and the nearer tiers keep it too. None when it has to go
        on by itself.
        """
        first = self._under_way.get((tier.name, key))
        if first is None:
            lead.take((tier.name, key))
            return None
        shared = await _wait_for(first, passage)
        if shared is None or shared.body.is_finished or not shared.body.is_joinable:
            found = self._look(request, passage, key, tier)
            if found is not None:
                self._copy(key, tier, tiers)
            return found
        shared.tiers.extend(nearer.name for nearer in tiers[: tiers.index(tier)])
        shared.leads.append(lead)
        lead.share(shared)
        return _joined(shared, passage, tier)

    async def _lead(
        self,
        request: Request,
        passage: Passage,
        key: CacheKey,
        tiers: list[Tier],
        *,
        straight: bool = False,
    ) -> Answer:
        """Be the request that others wait for; `straight` asks the origin and no cache before."""
        lead = _Lead(self._under_way)
        lead.take((tiers[0].name, key))
        ask = self._from_origin if straight else self._beyond
        try:
            answer = await ask(request, passage, key, tiers, lead)
        except BaseException:
            lead.end()
            raise
        if isinstance(answer.response.body, bytes):
            # It is whole: those who waited find it in the cache, or each ask for themselves.
            lead.end()
        return answer

    async def _beyond(
        self,
        request: Request,
        passage: Passage,
        key: CacheKey,
        tiers: list[Tier],
        lead: _Lead | None = None,
    ) -> Answer:
        """Ask the next tiers, then the origin; keep what comes back in every tier passed."""
        journey = passage.journey
        for nearer, tier in pairwise(tiers):
            distance_ms = _distance_ms(passage, nearer, tier)
            journey.takes(f"{nearer.place} to {tier.place}", distance_ms, Component.NETWORK)
            found = self._look(request, passage, key, tier)
            if found is not None:
                self._copy(key, tier, tiers)
                return found
            if lead is not None:
                joined = await self._join_beyond(request, passage, key, tiers, tier, lead)
                if joined is not None:
                    return joined
        return await self._from_origin(request, passage, key, tiers, lead)

    async def _from_origin(
        self,
        request: Request,
        passage: Passage,
        key: CacheKey,
        tiers: list[Tier],
        lead: _Lead | None,
    ) -> Answer:
        """Ask the origin: whether an expired object changed, or for a new one."""
        candidate = self._newest(request, key, tiers)
        conditions = _range_of(request)
        if candidate is not None:
            asked = revalidation_headers(candidate.response, candidate.freshness, passage.behavior)
            conditions = Headers((*conditions, *asked))
        # The viewer's own conditions are answered from what is kept, not by the origin.
        unconditional = replace(request, headers=request.headers.without(*_ANSWERED_HERE))
        try:
            fetched = await self._fetch(unconditional, passage, tiers[-1].place, conditions)
        except OriginError:
            stale = self._stale(request, passage, key, candidate)
            if stale is None:
                raise
            return stale
        if too_large_to_cache(fetched.response):
            # "CloudFront closes the connection" (10.3); which page goes before it is UNVERIFIED.
            await close_body(fetched.response.body)
            passage.journey.closes = True
            raise OriginError(OriginFailure.INVALID, "an object over 50 GB, with caching on")
        if fetched.response.status == 304 and candidate is not None and not fetched.generated:
            return await self._refreshed(request, passage, key, tiers, candidate, fetched)
        if stale_stands_in_for(fetched.response.status):
            stale = self._stale(request, passage, key, candidate)
            if stale is not None:
                await close_body(fetched.response.body)
                return stale
        self._quiet_until_s.pop(key, None)
        return self._keep(request, passage, key, tiers, fetched, lead)

    async def _fetch(
        self, request: Request, passage: Passage, place: str, conditions: Headers
    ) -> Fetched:
        """Ask the origin, and once more for the whole when it sends a part in chunks.

        AWS: to a range request that is answered in chunks "CloudFront returns the entire object"
        (10.3); that it asks again for it is INFERRED.
        """
        fetched = await self.fetcher.fetch(request, passage, place, conditions)
        part = fetched.response
        if part.status != 206 or fetched.generated or "content-length" in part.headers:
            return fetched
        await close_body(part.body)
        return await self.fetcher.fetch(
            request, passage, place, conditions.without(*_RANGE_HEADERS)
        )

    def _newest(self, request: Request, key: CacheKey, tiers: list[Tier]) -> Stored | None:
        found = [
            stored for tier in tiers if (stored := self._stored(request, key, tier)) is not None
        ]
        return max(found, key=lambda stored: stored.fetched_s, default=None)

    def _copy(self, key: CacheKey, tier: Tier, tiers: list[Tier]) -> None:
        """Keep a farther tier's object in the nearer ones as well."""
        stored = self.cache.get(tier.name, key)
        if stored is not None:
            for nearer in tiers[: tiers.index(tier)]:
                self.cache.keep(nearer.name, key, stored)

    def _stale(
        self, request: Request, passage: Passage, key: CacheKey, stored: Stored | None
    ) -> Answer | None:
        """The expired object in place of an error, if it may stand in; the origin is left alone."""
        if stored is None:
            return None
        now_s = passage.world.clock.epoch_ms() / 1_000
        if not self._standing(stored, key, now_s).serves_on_error(now_s):
            return None
        self._quiet_until_s[key] = quiet_until_s(now_s)
        return self._hit(request, stored, now_s, "Hit", "EDGE")

    async def _refreshed(
        self,
        request: Request,
        passage: Passage,
        key: CacheKey,
        tiers: list[Tier],
        stored: Stored,
        fetched: Fetched,
    ) -> Answer:
        """The origin said that nothing changed: the object is as good as new."""
        await close_body(fetched.response.body)
        now_s = passage.world.clock.epoch_ms() / 1_000
        merged = merge_not_modified(stored.response, fetched.response)
        kept = freshness(merged, passage.behavior.cache_policy, now_s)
        renewed = replace(stored, response=merged, fetched_s=now_s, freshness=kept)
        self._quiet_until_s.pop(key, None)
        for tier in tiers:
            self.cache.keep(tier.name, key, renewed)
        return self._hit(request, renewed, now_s, "RefreshHit", "EDGE")

    def _keep(
        self,
        request: Request,
        passage: Passage,
        key: CacheKey,
        tiers: list[Tier],
        fetched: Fetched,
        lead: _Lead | None,
    ) -> Answer:
        """A fetched response, compressed where CloudFront compresses, kept once it is whole."""
        now_s = passage.world.clock.epoch_ms() / 1_000
        kept = self._freshness(passage, fetched.response, now_s)
        response = _compressed(request, fetched.response, passage)
        names = [tier.name for tier in tiers]
        leads = [] if lead is None else [lead]

        def keep(body: bytes | None) -> None:
            if body is not None:
                whole = storable(replace(response, body=body), kept)
                stored = StoredObject(whole, request.method, now_s, kept, fetched.origin_status)
                for name in names:
                    self.cache.keep(name, key, stored)
            for one in leads:
                one.end()

        if kept.must_not_store or response.status in _NEVER_KEPT:
            for tier in tiers:
                self.cache.drop(tier.name, key)
            keep(None)
            if kept.must_not_store or not is_one_part(response):
                return _missed(fetched, response)
            # A part is no object, but it can answer for itself.
            names = [_part_of(tier.name) for tier in tiers]
        else:
            for tier in tiers:
                self.cache.drop(_part_of(tier.name), key)
        if isinstance(response.body, bytes):
            keep(response.body)
            return _missed(fetched, response)
        limit_bytes = self.cache.object_limit_bytes
        shared = SharedBody(response.body, passage.world.clock, limit_bytes, keep)
        if lead is not None:
            released = releases_waiters(fetched.response, passage.behavior.cache_policy)
            made = _Shared(response, shared, fetched.origin_status, names, leads)
            lead.share(None if released else made)
        reader = shared.open(0.0, passage.journey)
        return _missed(fetched, replace(response, body=reader))

    def _freshness(self, passage: Passage, response: Response, now_s: float) -> Freshness:
        policy = passage.behavior.cache_policy
        if response.status < 400:
            return freshness(response, policy, now_s)
        least_s = error_caching_min_ttl_s(passage.distribution, response.status)
        origin = passage.distribution.origins.get(passage.behavior.target_origin_id)
        if origin is None:
            return error_freshness(response, policy, least_s)
        return error_freshness(response, policy, least_s, origin.kind)

    # --- in the background ------------------------------------------------------------------

    def _refresh(self, request: Request, passage: Passage, key: CacheKey) -> None:
        """Fetch a stale object anew while its viewer is already served; once at a time."""
        tiers = _tiers(passage)
        entry = (tiers[0].name, key)
        if entry in self._under_way or entry in self._refreshes:
            return
        journey = _unseen(passage)
        task = asyncio.create_task(
            self._refresh_now(request, replace(passage, journey=journey), key, tiers)
        )
        self._refreshes[entry] = task
        task.add_done_callback(lambda _: self._refreshes.pop(entry, None))

    async def _refresh_now(
        self, request: Request, passage: Passage, key: CacheKey, tiers: list[Tier]
    ) -> None:
        plain = replace(request, headers=request.headers.without(*_RANGE_HEADERS))
        try:
            answer = await self._lead(plain, passage, key, tiers, straight=True)
            if not isinstance(answer.response.body, bytes):
                async for _ in answer.response.body:
                    continue
        except (LocalpopError, EdgeFunctionError):
            # The viewer was served; the next one finds the object stale, and it is tried again.
            return


def _unseen(passage: Passage) -> Journey:
    """A journey that nobody waits for, for work in the background."""
    seen = passage.journey
    return Journey(
        passage.world.clock,
        trace_id=seen.trace_id,
        request_id=seen.request_id,
        request=seen.request,
        place=seen.place,
        pop=seen.pop,
        arrived_ms=passage.world.clock.now_ms(),
    )


def _compressed(request: Request, response: Response, passage: Passage) -> Response:
    """The response as CloudFront compresses it, if it does."""
    chosen = decide_compression(request, response, passage.behavior).format
    if chosen is None:
        return response
    body = response.body
    packed = compress(chosen, body) if isinstance(body, bytes) else CompressedBody(body, chosen)
    return replace(response, headers=compressed_headers(response.headers, chosen), body=packed)


async def _wait_for(first: asyncio.Future[_Shared | None], passage: Passage) -> _Shared | None:
    """Wait for another request's answer."""
    clock = passage.world.clock
    started_ms = clock.now_ms()
    shared = await asyncio.shield(first)
    waited_ms = clock.now_ms() - started_ms
    name = "another request's answer"
    passage.journey.waited(name, waited_ms, Component.CACHE, detail="collapsed")
    return shared


def _joined(shared: _Shared, passage: Passage, tier: Tier) -> Answer:
    """Another request's answer, from its first byte on."""
    shift_ms = max(0.0, passage.journey.deadline_ms - passage.world.clock.now_ms())
    body = shared.body.open(shift_ms, passage.journey)
    response = replace(shared.response, body=body)
    return Answer(response, "Hit", shared.origin_status, tier.layer)


def _part_of(tier_name: str) -> str:
    """Where a tier keeps parts: by themselves, and one of each object."""
    return f"part of {tier_name}"


def _missed(fetched: Fetched, response: Response) -> Answer:
    if fetched.generated:
        return Answer(response, "LambdaGeneratedResponse", 0)
    result = "Error" if response.status >= 400 else "Miss"
    return Answer(response, result, fetched.origin_status)


def _range_of(request: Request) -> Headers:
    """Range and If-Range, which go to the origin when the object is in no cache (10.3)."""
    if request.method not in READ_METHODS:
        return Headers()
    return Headers(pair for pair in request.headers if pair[0].lower() in _RANGE_HEADERS)


def _tiers(passage: Passage) -> list[Tier]:
    """The caches on the way: point of presence, regional edge cache, Origin Shield."""
    code = passage.journey.place.pop.code
    region = passage.server.location.region
    tiers = [Tier(f"pop:{code}", "EDGE", code), Tier(f"rec:{region}", "REC", region)]
    origin = passage.distribution.origins.get(passage.behavior.target_origin_id)
    if origin is not None and origin.shield_region and origin.shield_region != region:
        shield = origin.shield_region
        tiers.append(Tier(f"rec:{shield}", "Origin Shield", shield))
    return tiers


def _looked(passage: Passage, tier: Tier, detail: str) -> None:
    lookup_ms = passage.legs.cache_lookup_ms()
    passage.journey.takes(f"{tier.place} cache", lookup_ms, Component.CACHE, detail=detail)


def _distance_ms(passage: Passage, nearer: Tier, farther: Tier) -> float:
    if nearer.layer == "EDGE":
        return passage.legs.pop_to_region_ms(farther.place)
    return passage.legs.region_to_region_ms(nearer.place, farther.place)
