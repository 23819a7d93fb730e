"""The Locust file: viewers all over the world ask for answers, on a schedule that waits for nobody.

    locust -f loadtests/locustfile.py --host http://127.0.0.1:8080 --headless -u 1 -t 30s

Theory of operation. A Locust "user" here is not a viewer but a *driver*: one greenlet that walks
down a seeded schedule and spawns a greenlet per arrival. Each request's latency counts from the
moment it was meant to start, so neither a frozen server nor a lagging generator can hide (a closed
loop would simply stop asking: measured with a server that froze 2 s in 10, its p95 said 6 ms and
the truth was 1,500). `-u 2` means two drivers that share the rate.

Each place has a connection pool of its own, because a connection belongs to the viewers of one
place and CloudFront's set-up cost is paid per connection. The pools are geventhttpclient's, the
engine inside Locust's FastHttpUser; FastHttpUser itself would give all viewers one cookie jar and
follow redirects.
"""

from __future__ import annotations

import logging
import sys
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, time
from typing import Any, ClassVar

import gevent
from gevent.pool import Group
from geventhttpclient.client import HTTPClient
from geventhttpclient.response import HTTPParseError, HTTPSocketPoolResponse
from locust import User, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.exception import StopTest, StopUser
from locust.runners import MasterRunner, Runner, WorkerRunner

# Locust puts this file's folder on the path, not the folder above it, where `loadtests` is.
sys.path.append(str(Path(__file__).resolve().parents[1]))

from loadtests.arrivals import Arrival, load_sessions, schedule
from loadtests.errors import BadInputError
from loadtests.samples import (
    TIMED_OUT,
    DeliveryPath,
    Sample,
    SampleWriter,
    ServerTrace,
    classify,
    is_event_stream,
    join_parts,
    parse_server_timing,
    parse_trace,
)
from loadtests.settings import Settings, add_options
from loadtests.statistics import percentile
from loadtests.target import LOAD_TEST_RULE, check_host, is_local

logger = logging.getLogger("loadtests")

CONNECTIONS_PER_PLACE = 1_000
"""More than are ever open: in a full pool arrivals would wait in line, a closed loop by stealth."""

VOID_EXIT_CODE = 3
EARLY_DRAIN_S = 1.0
"""Who presses Ctrl-C does not want to wait for the slowest answer."""


@dataclass(slots=True)
class Outcome:
    """What is known of one request so far; a request that is cut off keeps what it had.

    Times are seconds since the run began.
    """

    path: DeliveryPath = DeliveryPath.ERROR
    status: int = 0
    error: str | None = None
    first_byte_s: float | None = None
    first_token_s: float | None = None
    body_bytes: int = 0
    trace: ServerTrace = field(default_factory=ServerTrace)
    parts_ms: Mapping[str, float] | None = None


class Run:
    """One load run: what its drivers share, from the first arrival to the last sample."""

    def __init__(self, environment: Environment, settings: Settings, host: str) -> None:
        self.environment = environment
        self.settings = settings
        self.host = host
        self.sessions = load_sessions(settings.sessions)
        self.clients = {place: self._client() for place in settings.places}
        self.drivers = 0
        self.stopping = False
        self.in_flight = Group()
        self.lags_ms: list[float] = []
        self.writer = SampleWriter(settings.samples, self._facts()) if settings.samples else None
        self.started = perf_counter()

    def elapsed_s(self) -> float:
        """Seconds since the run began."""
        return perf_counter() - self.started

    def drive(self, drivers: int) -> None:
        """Walk down one driver's share of the schedule until the run stops."""
        driver, self.drivers = self.drivers, self.drivers + 1
        arrivals = schedule(self.settings, self.sessions, self.elapsed_s(), driver, drivers)
        for arrival in arrivals:
            # Always yield, also when late: who hogs the loop starves the answers under way.
            gevent.sleep(max(0.0, arrival.at_s - self.elapsed_s()))
            if self.stopping:
                return
            self.in_flight.start(gevent.Greenlet(self.ask, arrival))

    def ask(self, arrival: Arrival) -> None:
        """Send one request, wait for its answer, and record both."""
        lag_ms = (self.elapsed_s() - arrival.at_s) * 1000
        outcome = Outcome(error=f"{TIMED_OUT} {self.settings.timeout_s:g} s")
        with gevent.Timeout(self.settings.timeout_s, False):
            outcome.error = self._exchange(arrival, outcome)
        self._record(arrival, lag_ms, outcome)

    def stop(self) -> None:
        """End the arrivals, let requests under way finish for a while, give up the rest.

        A second call, which is somebody's second Ctrl-C, gives them up at once.
        """
        run_time_s = getattr(self.environment.parsed_options, "run_time", None)
        is_early = run_time_s is not None and self.elapsed_s() < 0.9 * run_time_s - 1
        if not self.stopping:
            self.stopping = True
            drain_s = self.settings.drain_s
            self.in_flight.join(timeout=min(EARLY_DRAIN_S, drain_s) if is_early else drain_s)
        unfinished = len(self.in_flight)
        # Given up, they are recorded as errors: dropped, the slowest answers would be missing.
        self.in_flight.kill(block=True, timeout=1)
        if self.writer:
            self.writer.close(
                {
                    "elapsed_s": round(self.elapsed_s(), 3),
                    "unfinished": unfinished,
                    "stopped_early": is_early,
                }
            )
        for client in self.clients.values():
            client.close()

    def judge(self) -> None:
        """Make the run void, loudly and by its exit code, when the generator lagged."""
        lag_ms = percentile(sorted(self.lags_ms), 0.99) if self.lags_ms else 0.0
        if lag_ms > self.settings.max_lag_ms:
            logger.error(
                "THIS RUN IS VOID: the load generator itself was %.3g ms late at p99 (allowed: "
                "%g ms, --max-lag-ms). Lower --rate, or give Locust a core of its own.",
                lag_ms,
                self.settings.max_lag_ms,
            )
            self.environment.process_exit_code = VOID_EXIT_CODE

    def _client(self) -> HTTPClient:
        return HTTPClient.from_url(
            self.host,
            concurrency=CONNECTIONS_PER_PLACE,
            connection_timeout=self.settings.timeout_s,
            network_timeout=self.settings.timeout_s,
        )

    def _facts(self) -> dict[str, Any]:
        settings = self.settings
        return {
            "host": self.host,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "run_time_s": getattr(self.environment.parsed_options, "run_time", None),
            "warmup_s": settings.warmup_s,
            "seed": settings.seed,
            "rate_per_s": settings.rate_per_s,
            "arrivals": settings.arrivals,
            "places": list(settings.places),
            "fallback_share": settings.fallback_share,
            "lambda_share": settings.lambda_share,
            "stream_share": settings.stream_share,
            "viewers": len(self.sessions),
            "max_lag_ms": settings.max_lag_ms,
        }

    def _exchange(self, arrival: Arrival, outcome: Outcome) -> str | None:
        """Ask and read the whole answer into `outcome`; return what went wrong, if anything."""
        headers = {
            "Accept": "text/event-stream" if arrival.wants_stream else "application/json",
            "Cookie": f"session={arrival.session.token}",
            "X-Localpop-Viewer": arrival.place,
        }
        try:
            response = self.clients[arrival.place].request("GET", arrival.target, headers=headers)
            try:
                return self._read(response, outcome)
            finally:
                # Gives the connection back when the answer is whole, closes it when it is not.
                response.release()
        except (OSError, HTTPParseError) as error:
            return f"{type(error).__name__}: {error}"
        except gevent.GreenletExit:
            return "given up: the run was over"

    def _read(self, response: HTTPSocketPoolResponse, outcome: Outcome) -> str | None:
        outcome.first_byte_s = self.elapsed_s()
        outcome.status = response.status_code
        outcome.trace = parse_trace(_header(response, "x-localpop-trace"))
        timing = parse_server_timing(_header(response, "server-timing"))
        outcome.parts_ms = join_parts(outcome.trace, timing)
        x_cache = _header(response, "x-cache")
        content_type = _header(response, "content-type")
        outcome.path = classify(outcome.status, x_cache, content_type)
        if is_event_stream(content_type):
            problem = self._read_events(response, outcome)
        else:
            outcome.body_bytes = len(response.read())
            outcome.first_token_s = self.elapsed_s()
            problem = None if response.message_complete else "the answer broke off"
        if outcome.path is DeliveryPath.ERROR:
            return f"HTTP {outcome.status}, X-Cache: {x_cache or 'none'}"
        return problem

    def _read_events(self, response: HTTPSocketPoolResponse, outcome: Outcome) -> str | None:
        """Read server-sent events; a stream is whole when its `done` event has come."""
        is_done = False
        # geventhttpclient splits at CRLF unless told otherwise, and would wait for the whole body.
        while line := response.readline(b"\n"):
            outcome.body_bytes += len(line)
            if outcome.first_token_s is None and line.startswith(b"data:"):
                outcome.first_token_s = self.elapsed_s()
            is_done = is_done or line.split() == [b"event:", b"done"]
            if line.split() == [b"event:", b"error"]:
                return "the stream said error"
        return None if is_done else "the stream broke off"

    def _record(self, arrival: Arrival, lag_ms: float, outcome: Outcome) -> None:
        ended_s = self.elapsed_s()

        def since_meant(moment_s: float | None) -> float | None:
            return None if moment_s is None else (moment_s - arrival.at_s) * 1000

        total_ms = (ended_s - arrival.at_s) * 1000
        if self.writer:
            self.writer.add(
                Sample(
                    intended_s=arrival.at_s,
                    lag_ms=lag_ms,
                    place=arrival.place,
                    path=outcome.path,
                    target=arrival.target,
                    status=outcome.status,
                    error=outcome.error,
                    ttfb_ms=since_meant(outcome.first_byte_s),
                    first_token_ms=since_meant(outcome.first_token_s),
                    total_ms=total_ms,
                    bytes=outcome.body_bytes,
                    simulated_ms=outcome.trace.simulated_ms,
                    overhead_ms=outcome.trace.overhead_ms,
                    late_ms=outcome.trace.late_ms,
                    trace_id=outcome.trace.trace_id,
                    parts_ms=outcome.parts_ms,
                )
            )
        if arrival.at_s >= self.settings.warmup_s:
            self.lags_ms.append(lag_ms)
            self._tell_locust(arrival, total_ms, outcome)

    def _tell_locust(self, arrival: Arrival, total_ms: float, outcome: Outcome) -> None:
        request_event: Any = self.environment.events.request
        request_event.fire(
            request_type="GET",
            name=f"{outcome.path} @ {arrival.place}",
            response_time=total_ms,
            response_length=outcome.body_bytes,
            exception=RuntimeError(outcome.error) if outcome.error else None,
            context={},
            start_time=time() - total_ms / 1000,
            url=self.host + arrival.target,
            response=None,
        )


class Driver(User):
    """Locust's "user": one greenlet that lets viewers arrive."""

    run_now: ClassVar[Run | None] = None

    @task
    def drive(self) -> None:
        """Drive until the run stops."""
        run = Driver.run_now
        if run is None:
            raise StopTest("the load run could not begin, see above")
        runner = self.environment.runner
        run.drive(drivers=max(1, runner.target_user_count if runner else 1))
        raise StopUser


def declare_options(parser: LocustArgumentParser, **_: Any) -> None:
    """Add our options to Locust's own."""
    add_options(parser)


def refuse_early(environment: Environment, runner: Runner, **_: Any) -> None:
    """Refuse what cannot work before anything starts: exit code 2, one clear message."""
    options = environment.parsed_options
    if not isinstance(options, Namespace):
        return
    # The loop still believes it is as early as before the imports; -t would end that much too soon.
    gevent.get_hub().loop.update_now()
    try:
        settings = Settings.from_options(options)
        if isinstance(runner, MasterRunner | WorkerRunner):
            raise BadInputError(
                "--master, --worker, --processes: one process only, so far. Samples of several "
                "are not merged yet; start several runs with different --seed and --samples."
            )
        # With the web page, the host and the sessions may still change until somebody starts.
        if options.headless:
            check_host(environment.host, settings.allow_remote)
            load_sessions(settings.sessions)
    except BadInputError as error:
        print(f"loadtests: {error}", file=sys.stderr)
        sys.exit(2)


def begin(environment: Environment, **_: Any) -> None:
    """Open the run, with the options as they are at this moment."""
    Driver.run_now = None
    options = environment.parsed_options
    if options is None:
        logger.error("This load test takes its options from Locust's command line.")
        return
    try:
        settings = Settings.from_options(options)
        host = check_host(environment.host, settings.allow_remote)
        if not is_local(HTTPClient.from_url(host).host) and settings.lambda_share > 0:
            logger.warning("%s. --lambda-share is %g.", LOAD_TEST_RULE, settings.lambda_share)
        Driver.run_now = Run(environment, settings, host)
    except BadInputError as error:
        logger.error("%s", error)


def finish(**_: Any) -> None:
    """End the run cleanly, before Locust ends its drivers."""
    if Driver.run_now:
        Driver.run_now.stop()


def judge(**_: Any) -> None:
    """Set the exit code of a void run."""
    if Driver.run_now:
        Driver.run_now.judge()


def _header(response: HTTPSocketPoolResponse, name: str) -> str | None:
    value = response.get(name)
    # A header that comes twice is a list; the first one is what CloudFront wrote.
    return value[0] if isinstance(value, list) else value


# Locust's event hooks carry no types, so as decorators they would take ours away.
_hooks: Any = events
_hooks.init_command_line_parser.add_listener(declare_options)
_hooks.init.add_listener(refuse_early)
_hooks.test_start.add_listener(begin)
_hooks.test_stopping.add_listener(finish)
_hooks.quitting.add_listener(judge)
