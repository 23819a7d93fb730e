"""The background end to end, through boto3 alone: event in, answer at the edge out."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from emulator.clock.real import RealClock
from emulator.rules.key_value_store import store_arn
from origin.actions import PRECOMPUTED_ACTION_IDS
from origin.precompute.messages import Message, dump_message
from origin.session import issue
from tests.app.running import ROOT, Answer, Localpop, free_port, localpop, project
from tests.origin.precompute.pipeline import artifact, put

CLOCK = RealClock()
ARN = store_arn("localpop-answers")
BUS = "localpop-answers"
PATHS = ("/answers", "/lambda-answers")
QUEUE = "answer-writes.fifo"
PATIENCE_S = 90.0


def now_s() -> float:
    """The wall clock."""
    return CLOCK.epoch_ms() / 1000


@dataclass
class Backend:
    """A running localpop, and what a backend has of AWS: boto3."""

    running: Localpop
    clients: dict[str, Any] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """An unmodified client."""
        if service not in self.clients:
            self.clients[service] = boto3.client(
                service,
                endpoint_url=self.running.aws_url,
                region_name="us-east-1",
                aws_access_key_id="local",
                aws_secret_access_key="local",
                config=Config(max_pool_connections=20),
            )
        return self.clients[service]

    def tell(self, detail_type: str, *details: dict[str, Any]) -> list[str]:
        """One PutEvents with up to ten events; returns their ids."""
        entries = [
            {
                "Source": "localpop.backend",
                "DetailType": detail_type,
                "Detail": json.dumps(detail),
                "EventBusName": BUS,
            }
            for detail in details
        ]
        answered = self.client("events").put_events(Entries=entries)
        assert answered["FailedEntryCount"] == 0
        return [entry["EventId"] for entry in answered["Entries"]]

    def login(self, *users: str) -> list[str]:
        """Users log in."""
        return self.tell(
            "UserLoggedIn", *({"user_id": one, "occurred_at": now_s()} for one in users)
        )

    def queue_url(self, name: str) -> str:
        """A queue's URL."""
        if name not in self.urls:
            self.urls[name] = self.client("sqs").get_queue_url(QueueName=name)["QueueUrl"]
        return self.urls[name]

    def push(self, *messages: Message | str) -> None:
        """Messages straight onto the queue of writes; the same one twice is delivered twice."""
        for number, message in enumerate(messages):
            self.client("sqs").send_message(
                QueueUrl=self.queue_url(QUEUE),
                MessageBody=message if isinstance(message, str) else dump_message(message),
                MessageGroupId="writer",
                MessageDeduplicationId=f"{now_s()}-{number}",
            )

    def listen(self, *detail_types: str) -> str:
        """A queue that gets these events of the pipeline from now on."""
        name = f"listener-{now_s():.6f}".replace(".", "-")
        url: str = self.client("sqs").create_queue(QueueName=name)["QueueUrl"]
        self.urls[name] = url
        pattern = {"source": ["localpop.answers"], "detail-type": list(detail_types)}
        events = self.client("events")
        events.put_rule(Name=name, EventBusName=BUS, EventPattern=json.dumps(pattern))
        arn = f"arn:aws:sqs:us-east-1:123456789012:{name}"
        events.put_targets(Rule=name, EventBusName=BUS, Targets=[{"Id": "q", "Arn": arn}])
        return name

    def letters(self, name: str) -> list[dict[str, Any]]:
        """What a queue has now, taken away."""
        url, taken = self.queue_url(name), []
        while True:
            got = self.client("sqs").receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=10,
                MessageAttributeNames=["All"],
                WaitTimeSeconds=0,
            )
            for message in got.get("Messages", ()):
                taken.append(message)
                handle = message["ReceiptHandle"]
                self.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=handle)
            if not got.get("Messages"):
                return taken

    def stored(self) -> dict[str, Any]:
        """Every answer in the store."""
        pages = self.client("cloudfront-keyvaluestore").get_paginator("list_keys")
        items = [
            item
            for page in pages.paginate(KvsARN=ARN, PaginationConfig={"PageSize": 50})
            for item in page.get("Items", ())
        ]
        return {one["Key"]: json.loads(one["Value"]) for one in items if "_" in one["Key"]}

    def ask(self, path: str, action: str, user: str, **headers: str) -> Answer:
        """A viewer's question at the edge."""
        return self.running.get(f"{path}/{action}", Cookie=self.session(user), **headers)

    def session(self, user: str) -> str:
        """A session cookie of the project's own key."""
        secrets = self.running.folder / ".localpop" / "secrets.json"
        key = json.loads(secrets.read_text())["SESSION_KEY"]
        return f"session={issue(user, key, now_s=int(now_s()), ttl_s=600)}"


def until(what: Callable[[], Any], said: str) -> Any:
    """Wait until it is true; how long does not matter, but that it comes."""
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s:
        found = what()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {PATIENCE_S:g} s: {said}")


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A whole localpop with an instant model; each test has users, or keys, of its own."""
    folder = tmp_path_factory.mktemp("background")
    with localpop(project(folder, origin_port=free_port()), "--latency", "off") as running:
        running.control("PUT", "/_localpop/bedrock", {"time_scale": 0})
        backend = Backend(running)
        yield backend
        for client in backend.clients.values():
            client.close()


def keys_of(*users: str) -> set[str]:
    """The keys of what a login has made."""
    return {f"{user}_{action}" for user in users for action in PRECOMPUTED_ACTION_IDS}


def test_a_login_puts_answers_to_the_edge(backend: Backend) -> None:
    """Both edge functions answer what the model said, without the origin."""
    backend.login("user-001")
    until(lambda: keys_of("user-001") <= set(backend.stored()), "three answers in the store")

    for path in PATHS:
        answer = backend.ask(path, "morning-briefing", "user-001")
        assert answer.headers["x-answer-source"] == "edge", path
        assert json.loads(answer.body)["action"] == "morning-briefing"
        assert len(json.loads(answer.body)["answer"]) > 20
        assert answer.headers["x-answer-version"]


def test_fifty_logins_at_once_lose_nothing_and_double_nothing(backend: Backend) -> None:
    """Fifty users at once: each answer is told of once, and is there."""
    users = [f"user-{number:03d}" for number in range(1, 51)]
    heard = backend.listen("AnswersStored")
    with ThreadPoolExecutor(10) as threads:
        logins = threads.map(lambda n: backend.login(*users[n : n + 5]), range(0, 50, 5))
        ids = {event_id for login in logins for event_id in login}
    until(lambda: keys_of(*users) <= set(backend.stored()), "150 answers in the store")

    told: list[tuple[str, str]] = []

    def all_told() -> bool:
        for letter in backend.letters(heard):
            for event in json.loads(letter["Body"])["detail"]["events"]:
                if event["event_id"] in ids:
                    told.extend((event["user_id"], action) for action in event["actions"])
        return len(told) >= 150

    until(all_told, "150 answers told of")
    assert sorted(told) == sorted((user, one) for user in users for one in PRECOMPUTED_ACTION_IDS)
    assert backend.letters("answer-events-dead") == []
    assert backend.letters("answer-writes-dead.fifo") == []


def test_a_state_change_takes_exactly_its_answers(backend: Backend) -> None:
    """Those that name it are gone from the store and the edge; the others stay."""
    subjects = {"a": ["deployment:1"], "b": ["deployment:2"], "c": ["deployment:1", "row:x/1"]}
    backend.push(*(put(artifact("exact", name, subjects=of)) for name, of in subjects.items()))
    backend.push(put(artifact("other", "a", subjects=["deployment:1"])))
    every = {"exact_a", "exact_b", "exact_c", "other_a"}
    until(lambda: every <= set(backend.stored()), "four answers in the store")
    before = set(backend.stored())

    detail = {"subject": "deployment:1", "change": "failed", "regenerate": False}
    backend.tell("StateChanged", {**detail, "occurred_at": now_s()})
    gone = {"exact_a", "exact_c", "other_a"}
    until(lambda: not gone & set(backend.stored()), "three answers gone")
    assert before - set(backend.stored()) == gone
    for path in PATHS[:1]:
        assert backend.ask(path, "b", "exact").headers["x-answer-source"] == "edge"
        assert backend.ask(path, "a", "exact").status == 404, "the origin knows no such action"


def test_answers_are_made_anew_when_a_change_asks_for_it(backend: Backend) -> None:
    """The same keys, generated after the change."""
    backend.login("user-002")
    until(lambda: keys_of("user-002") <= set(backend.stored()), "three answers in the store")
    key = "user-002_deployment-summary"
    registry = backend.client("dynamodb")
    item = registry.get_item(
        TableName="answer-registry", Key={"pk": {"S": f"answer#{key}"}, "sk": {"S": "record"}}
    )["Item"]
    subject = json.loads(item["full"]["S"])["subjects"][0]
    changed_s = now_s()
    backend.tell(
        "StateChanged",
        {"subject": subject, "change": "failed", "regenerate": True, "occurred_at": changed_s},
    )

    def is_new() -> bool:
        found = registry.get_item(
            TableName="answer-registry", Key={"pk": {"S": f"answer#{key}"}, "sk": {"S": "record"}}
        )["Item"]
        return "kind" in found and int(found["generated_ms"]["N"]) > changed_s * 1000

    until(is_new, "a newer answer in the registry")
    assert key in backend.stored()


def test_duplicates_and_disorder(backend: Backend) -> None:
    """The newest generation stays, whatever comes twice or late."""
    old, new = (
        put(artifact("twice", "a", text, generated_s=now_s() - age))
        for text, age in (("old", 30), ("new", 0))
    )
    end = put(artifact("twice", "end", "x"))
    backend.push(new, old, new, old, end)
    until(lambda: "twice_end" in backend.stored(), "the last message in the store")

    assert backend.stored()["twice_a"]["answer"] == "new"


LONG = "A long answer, ünï. " * 150


def test_a_long_answer_looks_like_any_other(backend: Backend) -> None:
    """JSON and events, both paths: the same body and headers as of an answer from the store."""
    backend.push(put(artifact("long", "a", LONG, version="v7"), artifact("long", "b", "short")))
    until(lambda: {"long_a", "long_b"} <= set(backend.stored()), "two answers in the store")
    pointer = backend.stored()["long_a"]
    assert "answer" not in pointer

    for path in PATHS:
        plain = backend.ask(path, "a", "long")
        short = backend.ask(path, "b", "long")
        assert plain.status == 200, plain
        assert json.loads(plain.body) == {"action": "a", "answer": LONG}
        expires = formatdate(pointer["expires"], usegmt=True)
        assert plain.headers["x-answer-expires"] == expires
        assert plain.headers["x-answer-version"] == "v7"
        assert int(plain.headers["x-answer-age"]) < 100
        for name in ("content-type", "cache-control", "x-answer-source"):
            assert plain.headers[name] == short.headers[name], (path, name)
        assert not {"etag", "last-modified"} & set(plain.headers)
        assert not [name for name in plain.headers if name.startswith("x-amz-meta")]
        streamed = backend.ask(path, "a", "long", Accept="text/event-stream")
        assert streamed.headers["content-type"] == "text/event-stream"
        events = streamed.body.decode().split("\n\n")
        assert json.loads(events[0].removeprefix("data: ")) == {"text": LONG}
        assert events[1] == 'event: done\ndata: {"action":"a"}'


def test_nobody_gets_a_long_answer_by_its_path(backend: Backend) -> None:
    """Not even who knows it: the origin answers there, for the session's own user."""
    text = "The secret of user-003. " * 80
    backend.push(put(artifact("user-003", "morning-briefing", text)))
    key = "user-003_morning-briefing"
    until(lambda: "body" in backend.stored().get(key, {}), "a pointer in the store")
    path = f"{backend.stored()[key]['body']}/json"
    assert b"The secret" in backend.ask("/answers", "morning-briefing", "user-003").body

    for _ in range(2):
        stranger = backend.ask(path, "morning-briefing", "user-004")
        assert stranger.headers["x-answer-source"] == "origin"
        assert b"secret" not in stranger.body
        assert backend.running.get(f"{path}/morning-briefing").status == 401
    for prefix in PATHS:
        assert b"secret" not in backend.ask(prefix + path, "morning-briefing", "user-004").body


def test_a_missing_body_falls_back_to_the_origin(backend: Backend) -> None:
    """The pointer leads nowhere: the viewer gets an answer all the same."""
    backend.push(put(artifact("user-005", "ticket-digest", LONG)))
    key = "user-005_ticket-digest"
    until(lambda: "body" in backend.stored().get(key, {}), "a pointer in the store")
    body = backend.stored()[key]["body"]
    s3 = backend.client("s3")
    [bucket] = [one["Name"] for one in s3.list_buckets()["Buckets"] if "bodies" in one["Name"]]
    for form in ("json", "sse"):
        s3.delete_object(Bucket=bucket, Key=f"{body[1:]}/{form}/ticket-digest")

    for path in PATHS:
        answer = backend.ask(path, "ticket-digest", "user-005")
        assert (answer.status, answer.headers["x-answer-source"]) == (200, "origin"), path
        assert json.loads(answer.body)["action"] == "ticket-digest"


def test_poison_events_end_as_dead_letters_with_their_reason(backend: Backend) -> None:
    """An unknown user; a login beside it is answered."""
    backend.tell("UserLoggedIn", {"user_id": "nobody", "occurred_at": now_s()})
    backend.login("user-006")
    until(lambda: keys_of("user-006") <= set(backend.stored()), "three answers in the store")

    dead: list[dict[str, Any]] = []

    def buried() -> Sequence[dict[str, Any]]:
        dead.extend(backend.letters("answer-events-dead"))
        return dead

    [letter] = until(buried, "one dead letter")
    attributes = {name: one["StringValue"] for name, one in letter["MessageAttributes"].items()}
    assert attributes["ERROR_CODE"] == "BadEvent"
    assert "there is no data about nobody" in attributes["ERROR_MESSAGE"]
    assert json.loads(letter["Body"])["user_id"] == "nobody"
    assert attributes["TARGET_ARN"].endswith(":stateMachine:answer-generation")


def test_a_model_without_room_delays_answers_and_loses_none(backend: Backend) -> None:
    """Nine calls are throttled, three of them for each answer; then all answers are there."""
    heard = backend.listen("AnswersStored")
    fault = {"service": "bedrock-runtime", "fault": "throttle", "count": 9}
    backend.running.control("POST", "/_localpop/faults", fault)
    [event_id] = backend.login("user-009")
    told: list[str] = []

    def all_told() -> bool:
        for letter in backend.letters(heard):
            for event in json.loads(letter["Body"])["detail"]["events"]:
                told.extend(event["actions"] if event["event_id"] == event_id else ())
        return len(told) >= len(PRECOMPUTED_ACTION_IDS)

    until(all_told, "three answers told of")
    assert sorted(told) == sorted(PRECOMPUTED_ACTION_IDS)
    assert keys_of("user-009") <= set(backend.stored())
    assert backend.letters("answer-events-dead") == []


def test_what_a_replay_adds_to_an_event_is_no_duplicate(backend: Backend) -> None:
    """An event's rest, asked for within five minutes of its first answers, is stored as well."""
    machine = "arn:aws:states:us-east-1:123456789012:stateMachine:answer-generation"
    request = {"event_id": f"rest-{now_s()}", "user_id": "user-011", "reason": "UserLoggedIn"}
    for action in PRECOMPUTED_ACTION_IDS:
        given = {**request, "actions": [action], "occurred_at": now_s()}
        backend.client("stepfunctions").start_execution(
            stateMachineArn=machine, input=json.dumps(given)
        )
    until(lambda: keys_of("user-011") <= set(backend.stored()), "three answers in the store")


def test_dead_letters_go_back_by_one_command(backend: Backend) -> None:
    """To the state machine, and to the queue of writes; what is still wrong comes back."""
    backend.tell("UserLoggedIn", {"user_id": "still-nobody", "occurred_at": now_s()})
    backend.push("poison")
    reasons: set[str] = set()

    def dead() -> list[tuple[str, str]]:
        letters = backend.running.control("GET", "/_localpop/dead-letters")["dead_letters"]
        assert all(one["replayable"] and one["reason"] for one in letters), letters
        reasons.update(one["reason"] for one in letters)
        return sorted((one["queue"], one["id"]) for one in letters)

    before = until(lambda: dead() if len(dead()) == 2 else None, "two dead letters")
    done = backend.running.control("POST", "/_localpop/dead-letters/replay", {"queue": ""})
    assert done == {"replayed": 2, "left": 0}
    after = until(lambda: dead() if len(dead()) == 2 else None, "two dead letters once more")
    assert [queue for queue, _ in after] == ["answer-events-dead", "answer-writes-dead.fifo"]
    assert not set(before) & set(after)
    assert "BadEvent: there is no data about still-nobody" in reasons
    for queue, _ in after:
        backend.letters(queue)


def test_a_functions_dead_letter_goes_back_to_the_function(backend: Backend) -> None:
    """It is sent to the function once more, which still takes nothing: a new dead letter."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("index.py", "def handler(event, context):\n    return event\n")
    functions, name = backend.client("lambda"), {"FunctionName": "takes-nothing"}
    functions.create_function(
        **name,
        Runtime="python3.13",
        Handler="index.handler",
        Role="arn:aws:iam::123456789012:role/any",
        Code={"ZipFile": code.getvalue()},
        DeadLetterConfig={"TargetArn": "arn:aws:sqs:us-east-1:123456789012:answer-events-dead"},
    )
    functions.put_function_concurrency(**name, ReservedConcurrentExecutions=0)
    functions.invoke(**name, InvocationType="Event", Payload=b'{"lost": false}')
    letters = "/_localpop/dead-letters"

    def dead() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = backend.running.control("GET", letters)["dead_letters"]
        return found

    [first] = until(dead, "a dead letter")
    done = backend.running.control("POST", f"{letters}/replay", {"queue": ""})
    [second] = until(dead, "a dead letter once more")
    backend.letters("answer-events-dead")
    functions.delete_function(**name)

    assert done == {"replayed": 1, "left": 0}
    assert first["id"] != second["id"]
    for letter in (first, second):
        assert letter["source"].endswith(":function:takes-nothing")
        assert (letter["reason"], letter["replayable"]) == ("429: Rate Exceeded.", True)
        assert json.loads(letter["body"]) == {"lost": False}


def test_the_backends_command_line(backend: Backend) -> None:
    """Told, and waited for: answers come, go, and come anew."""
    variables = {
        "AWS_ENDPOINT_URL": backend.running.aws_url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "us-east-1",
        "ANSWER_STORE_ARN": ARN,
        "ANSWER_BUS_NAME": BUS,
        "ANSWER_REGISTRY_TABLE": "answer-registry",
    }

    def run(*words: str) -> str:
        command = [sys.executable, "-m", "origin.backend", *words]
        environment = {**os.environ, **variables}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "6 of 6 answers are in the store" in run("login", "user-007", "user-008", "--wait")
    backend.push(put(artifact("user-007", "morning-briefing", subjects=["row:cli/1"])))
    key = "user-007_morning-briefing"
    until(lambda: backend.stored()[key]["answer"] == "Two tickets.", "the answer in the store")
    said = run("changed", "row:cli/1", "--change", "failed", "--wait")
    assert "1 of 1 answers that named it are gone" in said
    assert key not in backend.stored()
    assert "no answer names row:cli/1" in run("changed", "row:cli/1", "--wait")


def _sandboxes(pid: int) -> list[int]:
    """The processes of functions: what the fork server, a child of localpop's, has forked."""

    def children(parent: int) -> list[int]:
        path = Path(f"/proc/{parent}/task/{parent}/children")
        return [int(one) for one in path.read_text().split()] if path.exists() else []

    def is_fork_server(child: int) -> bool:
        return b"fork_server" in Path(f"/proc/{child}/cmdline").read_bytes()

    servers = [one for one in children(pid) if is_fork_server(one)]
    return [grandchild for server in servers for grandchild in children(server)]


def test_functions_killed_in_the_middle_of_a_push(backend: Backend) -> None:
    """Kill -9 for all of them while answers are written: all answers arrive."""
    # What a killed writer had comes again after these seconds, instead of three minutes.
    attributes = {"VisibilityTimeout": "15"}
    queue_url = backend.queue_url(QUEUE)
    backend.client("sqs").set_queue_attributes(QueueUrl=queue_url, Attributes=attributes)
    names = [f"killed-{number}" for number in range(20)]
    backend.push(*(put(artifact(name, "a")) for name in names))
    for pid in until(lambda: _sandboxes(backend.running.process.pid), "a function's process"):
        os.kill(pid, signal.SIGKILL)
    wanted = {f"{name}_a" for name in names}

    until(lambda: wanted <= set(backend.stored()), "all answers in the store")
    assert backend.letters("answer-writes-dead.fifo") == []
