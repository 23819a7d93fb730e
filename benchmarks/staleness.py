"""How long is a wrong answer still served? From a state change to the last stale answer, by place.

Run: `python -m benchmarks.staleness` (two minutes, most of it waiting). A real `localpop up` with
this repository's template for each propagation profile: PutEvents -> rule -> answer-invalidator ->
queue -> answer-writer -> store -> edge servers. Viewers at four places ask all the time, each time
over a new connection, so all servers of a point of presence are met. What closes the window:

    deleted               the key is deleted, and nothing else
    deleted, expires      the value expires soon after the change, as a short-lived answer does
    version tag           `version/<scope>` changes; the answers themselves stay
    long answer           the body in S3 is deleted before the pointer
    Lambda@Edge           reads the store's source, and remembers an answer for 5 s
    Lambda@Edge, tag      the same with a version tag, which it remembers for 1 s

docs/freshness.md tells what the figures mean.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3

from origin.precompute.artifact import Artifact, Source
from origin.precompute.contract import Contract, FallbackIfStale
from origin.precompute.messages import Put, dump_message
from origin.session import issue

_ROOT = Path(__file__).parents[1]
_PLACES = ("LHR/fibre", "JFK/fibre", "NRT/fibre", "SYD/fibre")
_PROFILES = ("docs", "observed")
_ASK_EVERY_S = 0.25
# Longer than a Lambda@Edge function remembers an answer.
_ASKING_BEFORE_S = 6.0
# After the longest delay of each profile (emulator/rules/propagation.py), and some for the way.
_WATCH_S = {"docs": 12.0, "observed": 60.0}
_LIFETIME_S = {"docs": 3, "observed": 10}
# So long after the answers are stored, the change happens: they have to be everywhere by then.
_BEFORE_S = {"docs": 30.0, "observed": 80.0}
_USER = "user-001"


@dataclass(frozen=True, slots=True)
class Case:
    """One way to close the window: the action that stands for it, and how it is asked for."""

    name: str
    action: str
    prefix: str = "/answers"
    text: str = "wrong soon"
    lives_s: int | None = None
    scope: str = ""


def _cases(lifetime_s: int) -> tuple[Case, ...]:
    return (
        Case("deleted", "deleted"),
        Case(f"deleted, expires in {lifetime_s} s", "expiring", lives_s=lifetime_s),
        Case("version tag", "tagged", scope="policies"),
        Case("long answer", "long", text="wrong soon. " * 200),
        Case("Lambda@Edge", "regional", prefix="/lambda-answers"),
        Case("Lambda@Edge, tag", "regional-tagged", prefix="/lambda-answers", scope="policies"),
    )


@dataclass(slots=True)
class Seen:
    """When the last stale answer was seen, seconds after the change, by action and place."""

    last_s: dict[tuple[str, str], float] = field(default_factory=dict)
    asked: int = 0
    changed_s: float = float("inf")
    lock: threading.Lock = field(default_factory=threading.Lock)


def main() -> None:
    """Measure and print a table for each profile."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--profile", choices=_PROFILES, action="append", help="only this one")
    for profile in parser.parse_args().profile or _PROFILES:
        cases = _cases(_LIFETIME_S[profile])
        print(f"{profile}: measuring for some {_WATCH_S[profile]:g} s …", file=sys.stderr)
        with running_localpop(profile) as one:
            one.fill(cases, serve_within_s=_BEFORE_S[profile])
            seen, store_s = one.change_and_watch(cases, _WATCH_S[profile])
        _print(profile, cases, seen, store_s)


def _print(profile: str, cases: tuple[Case, ...], seen: Seen, store_s: float) -> None:
    print(f"\n{profile}: seconds from the change to the last stale answer ({seen.asked} asked)")
    print(f"{'':24}" + "".join(f"{place.split('/')[0]:>8}" for place in _PLACES) + f"{'worst':>9}")
    for case in cases:
        windows = [seen.last_s.get((case.action, place), 0.0) for place in _PLACES]
        print(
            f"{case.name:24}" + "".join(f"{one:8.1f}" for one in windows) + f"{max(windows):9.1f}"
        )
    print(f"{'the store itself':24}{store_s:8.1f}")


class RunningLocalpop:
    """A running localpop, its viewers and its backend."""

    def __init__(self, pid: int, folder: Path, aws_url: str, viewer_url: str) -> None:
        self.pid, self._aws_url = pid, aws_url
        parts = urlsplit(viewer_url)
        self.viewers = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._arn = ""
        secrets = json.loads((folder / ".localpop" / "secrets.json").read_text())
        self.key: str = secrets["SESSION_KEY"]
        self._session = issue(_USER, self.key, now_s=int(time.time()), ttl_s=3600)

    def client(self, service: str) -> Any:
        """boto3's, aimed at the endpoint."""
        return boto3.client(
            service,
            endpoint_url=self._aws_url,
            region_name="us-east-1",
            aws_access_key_id="bench",
            aws_secret_access_key="bench",
        )

    def instant_model(self) -> None:
        """The model answers at once."""
        connection = http.client.HTTPConnection("127.0.0.1", urlsplit(self._aws_url).port)
        headers = {"Content-Type": "application/json"}
        connection.request("PUT", "/_localpop/bedrock", b'{"time_scale": 0}', headers)
        assert connection.getresponse().status == 200
        connection.close()

    def fill(self, cases: tuple[Case, ...], *, serve_within_s: float) -> None:
        """Store the answers, wait until every place serves all of them, and wake the functions.

        Returns when the short-lived answer has just its lifetime left.
        """
        listed = self.client("cloudfront").list_key_value_stores()["KeyValueStoreList"]
        self._arn = listed["Items"][0]["ARN"]
        stored_s = time.time()
        self._put(cases, stored_s, serve_within_s)
        self._tell({"subject": "policy:nobody", "change": "changed", "regenerate": False})
        self._until_served(cases, stored_s + serve_within_s)
        # The rest of it is spent with viewers who ask already.
        time.sleep(max(0.0, stored_s + serve_within_s - _ASKING_BEFORE_S - time.time()))

    def change_and_watch(self, cases: tuple[Case, ...], watch_s: float) -> tuple[Seen, float]:
        """Tell the change, and ask everywhere until nothing stale can be left."""
        seen, stop = Seen(), threading.Event()
        asking = [(case, place) for case in cases for place in _PLACES]
        with ThreadPoolExecutor(len(asking)) as threads:
            for case, place in asking:
                threads.submit(self._watch, case, place, seen, stop)
            stop.wait(_ASKING_BEFORE_S)
            seen.changed_s = time.time()
            self._tell(
                {
                    "subject": "policy:x",
                    "change": "changed",
                    "regenerate": False,
                    "occurred_at": seen.changed_s,
                    "scope": "policies",
                    "version": "v2",
                }
            )
            store_s = self._gone_from_store(seen.changed_s)
            stop.wait(max(0.0, seen.changed_s + watch_s - time.time()))
            stop.set()
        return seen, store_s

    def _watch(self, case: Case, place: str, seen: Seen, stop: threading.Event) -> None:
        while not stop.wait(_ASK_EVERY_S):
            asked_s = time.time()
            is_stale = self._asks(case, place)
            with seen.lock:
                seen.asked += 1
                if is_stale and asked_s > seen.changed_s:
                    key = (case.action, place)
                    seen.last_s[key] = max(seen.last_s.get(key, 0.0), asked_s - seen.changed_s)

    def _asks(self, case: Case, place: str) -> bool:
        """Whether a viewer gets the stored answer."""
        connection = http.client.HTTPConnection(*self.viewers, timeout=20)
        headers = {"Cookie": f"session={self._session}", "X-Localpop-Viewer": place}
        try:
            connection.request("GET", f"{case.prefix}/{case.action}", headers=headers)
            response = connection.getresponse()
            response.read()
            return response.getheader("x-answer-source") == "edge"
        finally:
            connection.close()

    def _put(self, cases: tuple[Case, ...], now_s: float, serve_within_s: float) -> None:
        artifacts = tuple(
            Artifact(
                _USER,
                case.action,
                case.text,
                int(now_s * 1000),
                int(now_s + (900 if case.lives_s is None else serve_within_s + case.lives_s)),
                Contract(
                    3600, () if case.scope else ("policy:x",), FallbackIfStale.ORIGIN, "bench"
                ),
                Source("ab", "v1" if case.scope else "", case.scope),
            )
            for case in cases
        )
        sqs = self.client("sqs")
        sqs.send_message(
            QueueUrl=sqs.get_queue_url(QueueName="answer-writes.fifo")["QueueUrl"],
            MessageBody=dump_message(Put(f"put-{now_s}", _USER, artifacts)),
            MessageGroupId="writer",
            MessageDeduplicationId=f"put-{now_s}",
        )

    def _until_served(self, cases: tuple[Case, ...], end_s: float) -> None:
        """Each place serves each answer five times in a row: all its servers have it."""
        for case in cases:
            for place in _PLACES:
                in_a_row = 0
                while in_a_row < 5:
                    in_a_row = in_a_row + 1 if self._asks(case, place) else 0
                    time.sleep(0.0 if in_a_row else 0.2)
                    if time.time() > end_s:
                        raise SystemExit(
                            f"{case.name!r} was not everywhere in time: the machine is too busy, "
                            "or a function failed (localpop logs). Try again"
                        )

    def _tell(self, detail: dict[str, Any]) -> None:
        entry = {"Source": "localpop.backend", "DetailType": "StateChanged"}
        entry |= {"Detail": json.dumps(detail), "EventBusName": "localpop-answers"}
        assert self.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0

    def _gone_from_store(self, changed_s: float) -> float:
        kvs = self.client("cloudfront-keyvaluestore")
        while True:
            try:
                kvs.get_key(KvsARN=self._arn, Key=f"{_USER}_deleted")
            except kvs.exceptions.ResourceNotFoundException:
                return time.time() - changed_s
            time.sleep(0.02)


@contextlib.contextmanager
def running_localpop(profile: str) -> Iterator[RunningLocalpop]:
    """A `localpop up` with this repository's template and one profile of propagation."""
    with tempfile.TemporaryDirectory(prefix="localpop-staleness-") as name:
        folder = Path(name)
        (folder / "localpop.toml").write_text(_settings(profile))
        ports = ["--viewer-port", "0", "--aws-port", "0", "--dashboard-port", "0"]
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("localpop")), "up", *ports, "--latency", "off"],
            cwd=folder,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert process.stdout is not None
        try:
            urls: dict[str, str] = {}
            for line in process.stdout:
                for title in ("viewers", "AWS endpoint", "dashboard"):
                    if line.startswith(f"  {title} "):
                        urls[title] = line.split()[-1]
                if len(urls) == 3:
                    break
            # Nobody else reads what it prints.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield RunningLocalpop(process.pid, folder, urls["AWS endpoint"], urls["viewers"])
        finally:
            process.terminate()
            process.wait(20)


def _settings(profile: str) -> str:
    """This repository's template; the origin is not there, so only the edge answers."""
    return f"""
template = "{_ROOT / "template.yaml"}"
setup = [["{sys.executable}", "-m", "origin.session", "publish-key"]]
[parameters]
ViewerProtocolPolicy = "allow-all"
[stores]
propagation = "{profile}"
[origins.Api]
url = "http://127.0.0.1:9"
[environment]
ANSWER_STORE_ARN = "${{AnswerStore.Arn}}"
SESSION_KEY = "${{localpop.secret}}"
PYTHONPATH = "{_ROOT}"
"""


if __name__ == "__main__":
    main()
