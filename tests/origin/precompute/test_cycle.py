"""Cycles: users by the log, within the budget and the hours; real queue, bucket, bus and model."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import pytest
from starlette.types import Receive, Scope, Send

from origin.actions import TASKS
from origin.dataset import load_data_set
from origin.events import EventBus
from origin.model import Model
from origin.precompute.answering import Answering
from origin.precompute.artifact import parse_artifact
from origin.precompute.batch import BatchError, Batches
from origin.precompute.cycle import CycleError, CycleRunner, choose_actions, choose_users
from origin.precompute.queue import AnswerQueue, QueueError
from origin.prices import load_prices
from origin.request_log import RequestLog, read_log
from origin.schedules import Cycle, Inference, load_cycles
from origin.tasks import MadeBy
from tests.aws.endpoint import Endpoint, Options, client, running_endpoint
from tests.origin.aws_stand_in import ANSWER, eventually, serve

MODEL_ID = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
DATA = load_data_set()
NIGHT_S = datetime(2026, 11, 20, 1, 30, tzinfo=UTC).timestamp()
NOON_S = datetime(2026, 11, 20, 12, 0, tzinfo=UTC).timestamp()
CYCLE = Cycle("15min", "rate(15 minutes)", "UTC", Inference.ON_DEMAND, 3, 2, 1.0)
BATCH = Cycle("6h", "rate(6 hours)", "UTC", Inference.BATCH, 50, 2, 1.0)
LOG = read_log(
    json.dumps({"at": at, "session": user, "user_id": user, "action": "ticket-digest"})
    for at, user in enumerate(["user-007", "user-009", "user-007", "user-999"])
)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """AWS's endpoint, with a model that does not make anybody wait."""
    path = tmp_path_factory.mktemp("endpoint") / "stores.sqlite"
    with running_endpoint(path, Options(control=True)) as endpoint:
        yield endpoint


@dataclass
class Jobs:
    """Bedrock's API of batch jobs: a job is over when a test says so (ASGI)."""

    s3: Any
    status: str = "InProgress"
    requests: list[dict[str, Any]] = field(default_factory=list)
    spoil: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda record: record

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer CreateModelInvocationJob and GetModelInvocationJob."""
        if scope["type"] != "http":
            return
        body = (await receive())["body"]
        if scope["method"] == "POST":
            self.requests.append(json.loads(body))
            arn = "arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/abcdefghijkl"
            answer = {"jobArn": arn}
        else:
            assert unquote(scope["path"]).endswith("abcdefghijkl")
            answer = {"status": self.status, "message": "because", "jobArn": "x"}
        head = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    def finish(self) -> None:
        """Write what Bedrock writes, and say that the job is over."""
        asked = self.requests[-1]
        where = asked["inputDataConfig"]["s3InputDataConfig"]["s3Uri"].split("/", 3)
        out = asked["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"].split("/", 3)[3]
        lines = self.s3.get_object(Bucket=where[2], Key=where[3])["Body"].read().splitlines()
        done = [self.spoil(_answered(json.loads(line))) for line in lines]
        text = "\n".join(json.dumps(record) for record in done if record)
        for name, body in (("input.jsonl.out", text), ("manifest.json.out", "{}")):
            self.s3.put_object(Bucket=where[2], Key=f"{out}abcdefghijkl/{name}", Body=body)
        self.status = "Completed"


def _answered(record: dict[str, Any]) -> dict[str, Any]:
    output = {
        "content": [{"type": "text", "text": ANSWER}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 400, "output_tokens": 60},
    }
    return {**record, "modelOutput": output}


@dataclass
class World:
    """Everything that a run touches."""

    runner: CycleRunner
    jobs: Jobs
    sqs: Any
    s3: Any
    queue_url: str
    events_url: str

    def sent(self) -> list[dict[str, Any]]:
        """The messages on the queue, taken off it."""
        return _take(self.sqs, self.queue_url)

    def told(self) -> list[dict[str, Any]]:
        """The events on the bus."""
        found: list[dict[str, Any]] = []
        while not found:
            answer = self.sqs.receive_message(QueueUrl=self.events_url, WaitTimeSeconds=10)
            found = [json.loads(one["Body"]) for one in answer.get("Messages", ())]
        return found

    def keys(self, prefix: str) -> list[str]:
        """What lies in the bucket."""
        listed = self.s3.list_objects_v2(Bucket="batches", Prefix=prefix)
        return [one["Key"] for one in listed.get("Contents", ())]


def _take(sqs: Any, url: str) -> list[dict[str, Any]]:
    bodies = []
    while got := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in got:
            bodies.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return bodies


@pytest.fixture
def world(endpoint: Endpoint, request: pytest.FixtureRequest) -> Iterator[World]:
    """A queue and a bus of the test's own, and the runner, at night."""
    name = f"t{abs(hash(request.node.name))}"
    sqs, s3, events = (client(one, endpoint.url) for one in ("sqs", "s3", "events"))
    fifo = {"FifoQueue": "true"}
    queue_url = sqs.create_queue(QueueName=f"{name}.fifo", Attributes=fifo)["QueueUrl"]
    events_url = sqs.create_queue(QueueName=f"{name}-told")["QueueUrl"]
    events.create_event_bus(Name=name)
    events.put_rule(Name="all", EventBusName=name, EventPattern='{"source":["localpop.answers"]}')
    target = {"Id": "1", "Arn": f"arn:aws:sqs:us-east-1:123456789012:{name}-told"}
    events.put_targets(Rule="all", EventBusName=name, Targets=[target])
    s3.create_bucket(Bucket="batches")
    for one in s3.list_objects_v2(Bucket="batches").get("Contents", ()):
        s3.delete_object(Bucket="batches", Key=one["Key"])
    jobs = Jobs(s3)
    runtime = client("bedrock-runtime", endpoint.url)
    with serve(jobs) as authority, ThreadPoolExecutor(8) as threads:
        bedrock = client("bedrock", f"http://{authority}")
        answering = Answering(Model(runtime, MODEL_ID), DATA, load_prices(MODEL_ID), threads)
        runner = CycleRunner(
            answering=replace(answering, now_s=lambda: NIGHT_S),
            queue=AnswerQueue(sqs, queue_url),
            batches=Batches(bedrock, s3, "batches", "arn:aws:iam::123456789012:role/b", MODEL_ID),
            bus=EventBus(events, name),
            now_s=lambda: NIGHT_S,
        )
        yield World(runner, jobs, sqs, s3, queue_url, events_url)
        for one in (bedrock, runtime, sqs, s3, events):
            one.close()


def run(world: World, cycle: Cycle, log: RequestLog = LOG, **changes: Any) -> Any:
    """Run a cycle now."""
    runner = replace(world.runner, **changes)
    return runner.run(cycle, log, scheduled_at="2026-11-20T01:30:00Z", remaining_s=60)


def test_a_cycle_makes_its_tasks_for_the_most_active(world: World) -> None:
    """The users of the log come first; each one's answers are one message of the queue."""
    report = run(world, CYCLE)

    sent = world.sent()
    assert {one["user_id"] for one in sent} == {"user-007", "user-009", "user-001"}
    assert {one["event_id"] for one in sent} == {"cycle-15min-2026-11-20T01:30:00Z"}
    made = [parse_artifact(shape) for one in sent for shape in one["answers"]]
    assert {one.action_id for one in made} == {"deployment-summary"}
    assert (report.users_done, report.users_left, report.answers) == (3, 0, 3)
    assert (report.problems, report.usd > 0) == ([], True)


def test_delivered_twice_is_stored_once(world: World) -> None:
    """A schedule that fires twice for one moment makes the same messages; the queue keeps one."""
    run(world, CYCLE)
    run(world, CYCLE)

    assert len(world.sent()) == 3


def test_at_peak_fewer_are_served(world: World) -> None:
    """Outside of the quiet hours only the most active users are served, or nobody."""
    quiet = replace(CYCLE, off_peak="20:00-07:00", at_peak_users=1)

    assert run(world, quiet).users_done == 3
    report = run(world, quiet, now_s=lambda: NOON_S)
    assert (report.users_done, report.off_peak) == (1, False)
    assert run(world, replace(quiet, at_peak_users=0), now_s=lambda: NOON_S).users_done == 0


def test_the_budget_stops_generation(world: World) -> None:
    """No prompt is sent that could go over the limit; who is left is counted, an event says so."""
    # One summary costs at most some 0.0026 USD: enough for two, not for three at once.
    cheap = replace(CYCLE, max_users=50, concurrency=1, spend_limit_usd=0.005)

    report = run(world, cheap)

    assert 0 < report.usd <= 0.005
    assert report.users_done + report.users_left == 50
    assert report.users_left > 40
    assert len(world.sent()) == report.users_done
    (event,) = world.told()
    assert event["detail-type"] == "GenerationBudgetSpent"
    assert event["detail"]["cycle"] == "15min"
    assert event["detail"]["spent_usd"] == pytest.approx(report.usd)
    assert event["detail"]["users_left"] == report.users_left


def test_an_outage_ends_the_run(world: World, endpoint: Endpoint) -> None:
    """A model that refuses everybody is asked once, and the run fails for Lambda to try again."""
    wrong = Model(client("bedrock-runtime", endpoint.url), "anthropic.no-such-model")

    with pytest.raises(CycleError, match="ModelRefused: user-007: deployment-summary: refused"):
        run(world, CYCLE, answering=replace(world.runner.answering, model=wrong))
    wrong.close()
    assert world.sent() == []


def test_a_batch_job_from_end_to_end(world: World) -> None:
    """Submitted at once, collected when it is over: a message for each user, at half the price."""
    # 50 users with one task each are too few for a job: asked one by one.
    assert run(world, BATCH).job == ""
    world.sent()

    wanted = replace(BATCH, name="15min")
    many = replace(world.runner.answering.data, users=_doubled())
    answering = replace(world.runner.answering, data=many)
    report = run(world, replace(wanted, max_users=100), answering=answering)

    assert (report.job, report.users_done) == ("cycle-15min-2026-11-20T01-30-00Z", 100)
    (asked,) = world.jobs.requests
    assert (asked["jobName"], asked["modelId"]) == (report.job, MODEL_ID)
    assert world.sent() == []
    assert world.keys("pending/") == [f"pending/{report.job}.json"]

    # Still under way: nothing to collect.
    assert run(world, replace(CYCLE, spend_limit_usd=0.0), answering=answering).collected == 0
    world.jobs.spoil = _spoil
    world.jobs.finish()
    report = run(world, replace(CYCLE, spend_limit_usd=0.0), answering=answering)

    sent = world.sent()
    assert (report.collected, len(sent)) == (97, 97)
    assert all(parse_artifact(one["answers"][0]).answer == ANSWER for one in sent)
    assert len(report.problems) == 3
    assert "InternalServerException: try later" in " ".join(report.problems)
    assert "no record of it" in " ".join(report.problems)
    # 98 answers were paid for: 400 tokens at 1.10 and 60 at 5.50 USD a million, and half of it.
    assert report.usd == pytest.approx(98 * (400 * 1.1 + 60 * 5.5) / 2e6)
    assert world.keys("pending/") == []


def _doubled() -> dict[str, Any]:
    twins = {
        f"{name}-twin": replace(user, user_id=f"{name}-twin") for name, user in DATA.users.items()
    }
    return {**DATA.users, **twins}


def _spoil(record: dict[str, Any]) -> dict[str, Any] | None:
    """One record is lost, one failed, one holds garbage."""
    if record["recordId"] == "R0000000003":
        return None
    if record["recordId"] == "R0000000004":
        del record["modelOutput"]
        error = {"errorCode": "InternalServerException", "errorMessage": "try later"}
        return {**record, "error": error}
    if record["recordId"] == "R0000000005":
        record["modelOutput"]["content"][0]["text"] = "\x00"
    return record


def test_a_batch_job_at_the_endpoint(world: World, endpoint: Endpoint) -> None:
    """The same against the endpoint's own batch jobs, which ask the model that the others ask."""
    many = replace(world.runner.answering.data, users=_doubled())
    answering = replace(world.runner.answering, data=many)
    stood_in = world.runner.batches
    assert stood_in is not None
    with contextlib.closing(client("bedrock", endpoint.url)) as bedrock:
        batches = replace(stood_in, bedrock=bedrock)
        cycle = replace(BATCH, name="15min", max_users=100)
        run(world, cycle, answering=answering, batches=batches)
        nothing = replace(CYCLE, spend_limit_usd=0.0)
        reports = [run(world, nothing, answering=answering, batches=batches)]

        def is_over() -> bool:
            reports.append(run(world, nothing, answering=answering, batches=batches))
            return bool(reports[-1].collected)

        eventually(is_over)

    assert (reports[-1].collected, reports[-1].problems) == (100, [])
    assert len(world.sent()) == 100
    assert world.keys("pending/") == []


def test_a_job_that_failed_is_kept_with_its_reason(world: World) -> None:
    """Nothing disappears: the note of a job that gave nothing lies under failed/."""
    many = replace(world.runner.answering.data, users=_doubled())
    answering = replace(world.runner.answering, data=many)
    job = run(world, replace(BATCH, name="15min", max_users=100), answering=answering).job
    world.jobs.status = "Failed"

    report = run(world, replace(CYCLE, spend_limit_usd=0.0))

    assert report.problems[0] == f"batch job {job}: Failed: because"
    assert (world.keys("pending/"), world.keys("failed/")) == ([], [f"failed/{job}.json"])


def test_a_death_between_queue_and_note_loses_nothing(world: World) -> None:
    """Killed after sending, before forgetting: the next run sends the same, and the queue knows."""
    many = replace(world.runner.answering.data, users=_doubled())
    answering = replace(world.runner.answering, data=many)
    run(world, replace(BATCH, name="15min", max_users=100), answering=answering)
    world.jobs.finish()

    class _DiesForgetting(Batches):
        def forget(self, collected: object) -> None:
            raise BatchError("killed")

    old = world.runner.batches
    assert old is not None
    dying = _DiesForgetting(old.bedrock, old.s3, old.bucket, old.role_arn, old.model_id)
    nothing = replace(CYCLE, spend_limit_usd=0.0)
    with pytest.raises(BatchError):
        run(world, nothing, answering=answering, batches=dying)
    report = run(world, nothing, answering=answering)

    assert report.collected == 100
    assert len(world.sent()) == 100


def test_a_queue_that_is_gone_is_said(world: World) -> None:
    """Answers that cannot be sent are an error, not a silence."""
    lost = replace(world.runner.queue, url=world.queue_url.replace(".fifo", "x.fifo"))

    with pytest.raises(QueueError, match="no message reached"):
        run(world, CYCLE, queue=lost)


def test_warming_replays_what_is_popular(world: World) -> None:
    """The most popular shared paths are asked for once, no answers, and no more than allowed."""
    seen = []

    async def distribution(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["raw_path"].decode())
        cached = b"Hit from cloudfront" if scope["path"] == "/a b" else b"Miss from cloudfront"
        status = 404 if scope["path"] == "/gone" else 302 if scope["path"] == "/away" else 200
        head = [(b"x-cache", cached), (b"location", b"http://192.0.2.1/")]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": b"x"})

    rows = ["/a%20b"] * 4 + ["/"] * 3 + ["/answers/ticket-digest"] * 9 + ["/gone", "/away", "/late"]
    fields = "#Fields: date time c-ip cs-uri-stem cs-uri-query"
    lines = [f"2026-11-20\t01:00:0{n % 10}\t192.0.2.7\t{row}\t-" for n, row in enumerate(rows)]
    cycle = replace(CYCLE, spend_limit_usd=0.0, warm_requests=4, warm_rate_per_s=100)
    with serve(distribution) as authority:
        report = run(
            world,
            cycle,
            read_log([fields, *lines]),
            distribution_url=f"http://{authority}",
            sleep=lambda seconds: None,
        )

    assert seen == ["/a%20b", "/", "/gone", "/away"]
    assert report.warmed == {"asked": 4, "hits": 1, "misses": 1, "failed": 2}


def test_users_without_a_log() -> None:
    """Nobody has asked yet: the users in the order of the data set."""
    assert choose_users(RequestLog(()), DATA, 2) == ["user-001", "user-002"]


def test_what_somebody_never_asks_for_is_not_made() -> None:
    """Twenty requests say so; before that, everything is made, as likely as the log has it."""
    line = '{{"at": {0}, "session": "{1}", "user_id": "user-001", "action": "ticket-digest"}}'
    actions = ["ticket-digest", "deployment-summary", "recommendation-candidates"]

    few = read_log(line.format(n, f"s{n}") for n in range(9))
    assert choose_actions(few, "user-001", actions) == {
        "ticket-digest": 0.95,
        "deployment-summary": 0.05,
        "recommendation-candidates": 0.05,
    }
    assert choose_actions(few, "user-002", actions)["ticket-digest"] == 0.5
    many = read_log(line.format(n, f"s{n}") for n in range(20))
    assert set(choose_actions(many, "user-001", actions)) == {
        "ticket-digest",
        "recommendation-candidates",
    }


def test_a_user_who_wants_nothing_of_a_cycle_costs_nothing(world: World) -> None:
    """Twenty requests for other things only: no answer is made for this user."""
    line = '{{"at": {0}, "session": "s{0}", "user_id": "user-007", "action": "ticket-digest"}}'
    log = read_log(line.format(n) for n in range(20))

    run(world, CYCLE, log)

    assert {one["user_id"] for one in world.sent()} == {"user-001", "user-002"}


def test_shipped_cycles_can_make_every_task() -> None:
    """Each shipped cycle exists, and a batch cycle has prompts only, which a job can hold."""
    cycles = load_cycles()

    assert set(cycles) == {"15min", "1h", "6h", "daily"}
    assert cycles["6h"].inference is Inference.BATCH
    in_batch = [one for one in TASKS.values() if one.refresh_cycle == "6h"]
    assert [one.task_id for one in in_batch] == ["morning-briefing"]
    assert {one.made_by for one in in_batch} == {MadeBy.MODEL}
