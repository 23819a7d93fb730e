"""The Locust file: viewers all over the world ask for answers, on a schedule that waits for nobody.

    locust -f loadtests/locustfile.py --host http://127.0.0.1:8080 --headless -u 1 -t 30s
    locust -f loadtests/locustfile.py --host http://127.0.0.1:8080    # http://localhost:8089

Theory of operation. A Locust "user" here is not a viewer but a *driver*: one greenlet that walks
down a seeded schedule and spawns a greenlet per arrival. Each request's latency counts from the
moment it was meant to start, so neither a frozen server nor a lagging generator can hide (a closed
loop would simply stop asking: measured with a server that froze 2 s in 10, its p95 said 6 ms and
the truth was 1,500). `-u 2` means two drivers that share the rate. With `--closed-loop` a user is a
viewer after all, who asks, waits and asks again.

In several processes (`--processes N -u N`, or `--master` and `--worker`) each worker has a driver,
and sends its samples to the master, which writes them (`collecting.py`).

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
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, time
from typing import Any, ClassVar

import gevent
import locust.stats
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

from loadtests.arrivals import Arrival, Session, crowd, load_sessions, schedule
from loadtests.collecting import (
    END,
    SAMPLES,
    SHARE,
    STOP,
    Collector,
    Share,
    WorkerSamples,
    dump_share,
    parse_share,
)
from loadtests.errors import BadInputError
from loadtests.profiles import DEFAULT_PROFILE, profile_text
from loadtests.samples import (
    TIMED_OUT,
    DeliveryPath,
    Sample,
    SampleWriter,
    ServerTrace,
    classify,
    is_event_stream,
    is_expired,
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
FLUSH_EVERY_S = 0.5
"""How often a worker sends its samples."""

COLLECT_GRACE_S = 6.0
"""How long the master waits for the last samples beyond the requests' own time."""

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
    is_stale: bool | None = None


class Run:
    """One process's part of a load run: what its drivers share, from first arrival to last sample.

    Args:
        environment: Locust's.
        settings: The run's options.
        host: The server.
        sessions: The viewers.
        share: This process's part.
        sink: Where samples go; None when nobody wants them.
    """

    def __init__(
        self,
        environment: Environment,
        settings: Settings,
        host: str,
        sessions: tuple[Session, ...],
        share: Share,
        sink: SampleWriter | WorkerSamples | None,
    ) -> None:
        self.environment, self.settings, self.host = environment, settings, host
        self.sessions, self.share, self.sink = sessions, share, sink
        self.clients = {place: self._client() for place in settings.places}
        self.drivers = 0
        self.stopping = False
        self.in_flight = Group()
        self.lags_ms: list[float] = []
        self.started = perf_counter()
        if isinstance(sink, WorkerSamples):
            gevent.spawn(self._send_samples, sink)

    def elapsed_s(self) -> float:
        """Seconds since the run began."""
        return perf_counter() - self.started

    def drive(self) -> None:
        """Walk down one driver's share of the schedule until the run stops."""
        own, self.drivers = self.drivers, self.drivers + 1
        number = self.share.driver_number(own)
        if self.settings.closed_loop:
            self._ask_in_turn(number)
            return
        arrivals = schedule(
            self.settings.profile,
            self.sessions,
            self.settings.seed,
            start_s=self.elapsed_s(),
            driver=number,
            drivers=self.share.drivers,
        )
        for arrival in arrivals:
            # Always yield, also when late: who hogs the loop starves the answers under way.
            gevent.sleep(max(0.0, arrival.at_s - self.elapsed_s()))
            if self.stopping:
                return
            self.in_flight.start(gevent.Greenlet(self.ask, arrival))

    def _ask_in_turn(self, number: int) -> None:
        """A closed loop: one viewer asks, waits for the answer, and asks again."""
        people = crowd(self.settings.profile, self.sessions, self.settings.seed, number)
        while not self.stopping:
            for arrival in people.login(0.0):
                if self.stopping:
                    return
                asked = gevent.Greenlet(self.ask, replace(arrival, at_s=self.elapsed_s()))
                self.in_flight.start(asked)
                asked.join()
                gevent.sleep(self.settings.think_s)

    def _send_samples(self, sink: WorkerSamples) -> None:
        while not self.stopping:
            gevent.sleep(FLUSH_EVERY_S)
            sink.flush()

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
        is_early = is_too_early(self.share.run_time_s, self.elapsed_s())
        if not self.stopping:
            self.stopping = True
            drain_s = self.settings.drain_s
            self.in_flight.join(timeout=min(EARLY_DRAIN_S, drain_s) if is_early else drain_s)
        unfinished = len(self.in_flight)
        # Given up, they are recorded as errors: dropped, the slowest answers would be missing.
        self.in_flight.kill(block=True, timeout=1)
        if self.sink:
            self.sink.close(
                {
                    "elapsed_s": round(self.elapsed_s(), 3),
                    "unfinished": unfinished,
                    "stopped_early": is_early,
                }
            )
        for client in self.clients.values():
            client.close()

    def judge(self) -> None:
        """Make the run void when the generator lagged; a worker leaves that to its master."""
        if not isinstance(self.sink, WorkerSamples):
            judge_lags(self.environment, self.settings, self.lags_ms)

    def _client(self) -> HTTPClient:
        return HTTPClient.from_url(
            self.host,
            concurrency=CONNECTIONS_PER_PLACE,
            connection_timeout=self.settings.timeout_s,
            network_timeout=self.settings.timeout_s,
            # Left out for plain HTTP by from_url itself.
            ssl_options={"ca_certs": str(self.settings.ca_file)} if self.settings.ca_file else None,
        )

    def _exchange(self, arrival: Arrival, outcome: Outcome) -> str | None:
        """Ask and read the whole answer into `outcome`; return what went wrong, if anything."""
        headers = {
            "Accept": "text/event-stream" if arrival.wants_stream else "application/json",
            "X-Localpop-Viewer": arrival.place,
        }
        if arrival.session.token:
            headers["Cookie"] = f"session={arrival.session.token}"
        pool = self._client() if arrival.on_new_connection else self.clients[arrival.place]
        try:
            response = pool.request("GET", arrival.target, headers=headers)
            try:
                return self._read(response, outcome)
            finally:
                # Gives the connection back when the answer is whole, closes it when it is not.
                response.release()
        except (OSError, HTTPParseError) as error:
            return f"{type(error).__name__}: {error}"
        except gevent.GreenletExit:
            return "given up: the run was over"
        finally:
            if arrival.on_new_connection:
                pool.close()

    def _read(self, response: HTTPSocketPoolResponse, outcome: Outcome) -> str | None:
        outcome.first_byte_s = self.elapsed_s()
        outcome.status = response.status_code
        outcome.trace = parse_trace(_header(response, "x-localpop-trace"))
        timing = parse_server_timing(_header(response, "server-timing"))
        outcome.parts_ms = join_parts(outcome.trace, timing)
        outcome.is_stale = is_expired(
            _header(response, "x-answer-expires"), _header(response, "date"), now_s=time()
        )
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
        if self.sink:
            self.sink.add(
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
                    worker=self.share.worker,
                    is_new_connection=arrival.on_new_connection,
                    viewer=arrival.session.user_id,
                    is_stale=outcome.is_stale,
                )
            )
        if arrival.at_s >= self.settings.profile.warmup_s:
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


class Master:
    """The master's part of a run in several processes: hands out shares, takes in samples.

    Args:
        runner: Locust's.
        settings: The run's options.
        host: The server.
    """

    def __init__(self, runner: MasterRunner, settings: Settings, host: str) -> None:
        self.runner, self.settings = runner, settings
        sessions = load_sessions(settings.sessions)
        options = runner.environment.parsed_options
        self.run_time_s: float | None = getattr(options, "run_time", None)
        workers = list(runner.clients.ready)
        name = getattr(options, "load_profile", None) or DEFAULT_PROFILE
        share = Share(
            workers=len(workers),
            drivers=max(1, runner.target_user_count),
            run_time_s=self.run_time_s,
            profile_toml=profile_text(name),
            sessions=sessions,
        )
        facts = describe(settings, host, share)
        writer = SampleWriter(settings.samples, facts) if settings.samples else None
        self.collector = Collector(len(workers), writer)
        self.is_stopped = False
        self.started = perf_counter()
        for number, worker in enumerate(workers):
            runner.send_message(SHARE, dump_share(replace(share, worker=number)), worker.id)

    def stop(self) -> None:
        """Tell the workers to stop, and wait until every sample is here."""
        is_early = is_too_early(self.run_time_s, perf_counter() - self.started)
        wait_s = min(EARLY_DRAIN_S, self.settings.drain_s) if is_early else self.settings.drain_s
        self.runner.send_message(STOP)
        with gevent.Timeout(wait_s + COLLECT_GRACE_S, False):
            while not self.collector.is_whole:
                gevent.sleep(0.05)
        self.is_stopped = True
        self.collector.close()

    def judge(self) -> None:
        """Make the run void when a generator lagged, or when samples were lost."""
        warmup_s = self.settings.profile.warmup_s
        lags_ms = [lag_ms for at_s, lag_ms in self.collector.lags if at_s >= warmup_s]
        judge_lags(self.runner.environment, self.settings, lags_ms)
        # A signal comes here first; then it is too early to miss anything.
        if self.is_stopped and not self.collector.is_whole:
            logger.error("THIS RUN IS VOID: samples are missing: %s", self.collector.end())
            self.runner.environment.process_exit_code = VOID_EXIT_CODE


class Driver(User):
    """Locust's "user": one greenlet that lets viewers arrive."""

    run_now: ClassVar[Run | Master | None] = None
    share: ClassVar[Share | None] = None

    @task
    def drive(self) -> None:
        """Drive until the run stops."""
        run = Driver.run_now
        if run is None and isinstance(self.environment.runner, WorkerRunner):
            # Its master goes on without it, and says what is missing.
            raise StopUser
        if not isinstance(run, Run):
            raise StopTest("the load run could not begin, see above")
        run.drive()
        raise StopUser


def describe(settings: Settings, host: str, share: Share) -> dict[str, Any]:
    """What is meant to happen; the first line of a samples file."""
    profile = settings.profile.lasting(share.run_time_s or settings.profile.seconds)
    return {
        "host": host,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "run_time_s": share.run_time_s,
        "warmup_s": profile.warmup_s,
        "seed": settings.seed,
        "rate_per_s": profile.rate_per_s,
        "arrivals": "closed loop" if settings.closed_loop else profile.arrivals,
        "places": list(settings.places),
        "fallback_share": profile.miss_share,
        "lambda_share": round(profile.lambda_share, 4),
        "stream_share": profile.stream_share,
        "viewers": len(share.sessions),
        "max_lag_ms": settings.max_lag_ms,
        "profile": profile.name,
        "phases": [[one.seconds, one.from_times, one.to_times] for one in profile.phases],
        "place_weights": dict(profile.places),
        "path_weights": dict(profile.paths),
        "action_weights": {"hit": dict(profile.hit_actions), "miss": dict(profile.miss_actions)},
        "new_connection_share": profile.new_connection_share,
        "questions": profile.questions,
        "closed_loop": settings.closed_loop,
        "think_s": settings.think_s,
        "workers": share.workers,
    }


def is_too_early(run_time_s: float | None, elapsed_s: float) -> bool:
    """Whether somebody ends a run before its time."""
    return run_time_s is not None and elapsed_s < 0.9 * run_time_s - 1


def judge_lags(environment: Environment, settings: Settings, lags_ms: list[float]) -> None:
    """Make a run void, loudly and by its exit code, when the generator lagged."""
    lag_ms = percentile(sorted(lags_ms), 0.99) if lags_ms else 0.0
    if lag_ms > settings.max_lag_ms:
        logger.error(
            "THIS RUN IS VOID: the load generator itself was %.3g ms late at p99 (allowed: "
            "%g ms, --max-lag-ms). Lower --rate, or give Locust a core of its own.",
            lag_ms,
            settings.max_lag_ms,
        )
        environment.process_exit_code = VOID_EXIT_CODE


def declare_options(parser: LocustArgumentParser, **_: Any) -> None:
    """Add our options to Locust's own."""
    add_options(parser)


def refuse_early(environment: Environment, runner: Runner, **_: Any) -> None:
    """Refuse what cannot work before anything starts: exit code 2, one clear message."""
    listen(runner)
    options = environment.parsed_options
    if not isinstance(options, Namespace) or isinstance(runner, WorkerRunner):
        return
    # The loop still believes it is as early as before the imports; -t would end that much too soon.
    gevent.get_hub().loop.update_now()
    try:
        settings = Settings.from_options(options)
        # With the web page, the host and the sessions may still change until somebody starts.
        if options.headless:
            check_host(environment.host, settings.allow_remote)
            load_sessions(settings.sessions)
    except BadInputError as error:
        print(f"loadtests: {error}", file=sys.stderr)
        sys.exit(2)


def listen(runner: Runner) -> None:
    """Listen to what master and workers tell each other."""
    if isinstance(runner, WorkerRunner):
        runner.register_message(SHARE, take_share)
        # On a greenlet of its own: waiting for answers must not keep Locust's messages waiting.
        runner.register_message(STOP, finish_now, concurrent=True)
        # Before Locust's own listener (the last one comes first) tells the master that we are gone.
        quitting: Any = runner.environment.events.quitting
        quitting.add_listener(finish)
    elif isinstance(runner, MasterRunner):
        runner.register_message(SAMPLES, take_samples)
        runner.register_message(END, take_end)


def take_share(msg: Any, **_: Any) -> None:
    """A worker learns its part."""
    Driver.share = parse_share(msg.data)


def take_samples(msg: Any, **_: Any) -> None:
    """The master takes samples."""
    if isinstance(Driver.run_now, Master):
        Driver.run_now.collector.on_samples(msg.data)


def take_end(msg: Any, **_: Any) -> None:
    """The master takes a worker's count."""
    if isinstance(Driver.run_now, Master):
        Driver.run_now.collector.on_end(msg.data)


def finish_now(**_: Any) -> None:
    """A worker stops because its master says so."""
    finish()


def begin(environment: Environment, **_: Any) -> None:
    """Open the run, with the options as they are at this moment."""
    Driver.run_now = None
    options = environment.parsed_options
    if options is None:
        logger.error("This load test takes its options from Locust's command line.")
        return
    try:
        Driver.run_now = _begin(environment, options)
    except BadInputError as error:
        logger.error("%s", error)


def _begin(environment: Environment, options: Namespace) -> Run | Master:
    runner = environment.runner
    own = _own_share(runner, options)
    settings = Settings.from_options(options, own.profile_toml)
    host = check_host(environment.host, settings.allow_remote)
    if not is_local(HTTPClient.from_url(host).host) and settings.profile.lambda_share > 0:
        share = settings.profile.lambda_share
        logger.warning("%s. The share of Lambda@Edge is %g.", LOAD_TEST_RULE, share)
    if isinstance(runner, MasterRunner):
        return Master(runner, settings, host)
    if own.run_time_s:
        settings = replace(settings, profile=settings.profile.lasting(own.run_time_s))
    if isinstance(runner, WorkerRunner):
        worker_samples = WorkerSamples(own.worker, runner.send_message)
        return Run(environment, settings, host, own.sessions, own, worker_samples)
    own = replace(own, sessions=load_sessions(settings.sessions))
    facts = describe(settings, host, own)
    writer = SampleWriter(settings.samples, facts) if settings.samples else None
    return Run(environment, settings, host, own.sessions, own, writer)


def _own_share(runner: Runner | None, options: Namespace) -> Share:
    if not isinstance(runner, WorkerRunner):
        drivers = max(1, runner.target_user_count) if runner else 1
        return Share(drivers=drivers, run_time_s=getattr(options, "run_time", None))
    if Driver.share is None:
        raise BadInputError("This worker came when the run was under way, and sits it out.")
    return Driver.share


def finish(**_: Any) -> None:
    """End the run cleanly, before Locust ends its drivers."""
    Driver.share = None
    if Driver.run_now:
        Driver.run_now.stop()


def judge(**_: Any) -> None:
    """Set the exit code of a void run."""
    if Driver.run_now:
        Driver.run_now.judge()


def exact(response_time: float) -> Any:
    """Locust rounds times into buckets (142.7 ms becomes 140); its own percentiles need not."""
    return round(response_time, 2)


def _header(response: HTTPSocketPoolResponse, name: str) -> str | None:
    value = response.get(name)
    # A header that comes twice is a list; the first one is what CloudFront wrote.
    return value[0] if isinstance(value, list) else value


locust.stats.bucket_response_time = exact

# Locust's event hooks carry no types, so as decorators they would take ours away.
_hooks: Any = events
_hooks.init_command_line_parser.add_listener(declare_options)
_hooks.init.add_listener(refuse_early)
_hooks.test_start.add_listener(begin)
_hooks.test_stopping.add_listener(finish)
_hooks.quitting.add_listener(judge)
