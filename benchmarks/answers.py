"""Logins to the edge: how many a second, and how long from the event to the answer at the edge.

Run: `python -m benchmarks.answers` (a minute). A real `localpop up` with this repository's template
and an instant model: PutEvents -> rule -> state machine -> answer-generator -> FIFO queue ->
answer-writer -> registry and UpdateKeys -> edge server (propagation `instant`). The delay of one
answer is from its event to the first time a viewer gets it from the edge; the rate is that of
logins whose answers are in the store, by the events AnswersStored.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import sys
import time
from pathlib import Path

from benchmarks.staleness import RunningLocalpop, running_localpop
from origin.actions import PRECOMPUTED_ACTION_IDS
from origin.session import issue

_USERS = 50
_LISTENER = "benchmark-listener"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--logins", type=int, default=400, help="at full speed (400)")
    parser.add_argument("--alone", type=int, default=40, help="one after the other (40)")
    arguments = parser.parse_args()
    with running_localpop("instant") as one:
        bench = _Bench(one)
        print("waking every function up …", file=sys.stderr)
        bench.flood(_USERS)
        bench.flood(_USERS)
        rate, cpu_ms = bench.flood(arguments.logins)
        delays_ms = sorted(bench.alone(number) for number in range(arguments.alone))
    p50, p99 = statistics.median(delays_ms), statistics.quantiles(delays_ms, n=100)[98]
    print(f"{arguments.logins} logins, {3 * arguments.logins} answers: {rate:.0f} logins/s")
    print(f"processor time: {cpu_ms:.1f} ms a login, all processes, on {os.cpu_count()} cores")
    print(f"event to edge, one login at a time: p50 {p50:.0f} ms, p99 {p99:.0f} ms")


class _Bench:
    """A backend and a viewer."""

    def __init__(self, one: RunningLocalpop) -> None:
        self._one = one
        self._events, self._sqs = one.client("events"), one.client("sqs")
        self._viewer = http.client.HTTPConnection(*one.viewers)
        one.instant_model()
        self._queue = self._sqs.create_queue(QueueName=_LISTENER)["QueueUrl"]
        pattern = {"source": ["localpop.answers"], "detail-type": ["AnswersStored"]}
        bus = {"EventBusName": "localpop-answers"}
        self._events.put_rule(Name="benchmark", EventPattern=json.dumps(pattern), **bus)
        arn = f"arn:aws:sqs:us-east-1:123456789012:{_LISTENER}"
        self._events.put_targets(Rule="benchmark", Targets=[{"Id": "q", "Arn": arn}], **bus)

    def flood(self, logins: int) -> tuple[float, float]:
        """Logins a second, and processor time for each, when all come at once."""
        began_s, cpu_s = time.time(), _cpu_s(self._one.pid)
        wanted: dict[str, str] = {}
        stored: set[str] = set()
        last_s = began_s
        for first in range(0, logins, 10):
            users = [f"user-{number % _USERS + 1:03d}" for number in range(first, first + 10)]
            wanted |= dict(zip(self._login(*users), users, strict=True))
        while wanted:
            got = self._sqs.receive_message(
                QueueUrl=self._queue, MaxNumberOfMessages=10, WaitTimeSeconds=1
            )
            for message in got.get("Messages", ()):
                detail = json.loads(message["Body"])["detail"]
                last_s = time.time()
                for one in detail["events"]:
                    wanted.pop(one["event_id"], None)
                    stored.add(one["user_id"])
                self._sqs.delete_message(
                    QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"]
                )
            if time.time() - last_s > 5 and stored.issuperset(wanted.values()):
                # Answers that a later login of the same user has overtaken are not written.
                break
            if time.time() - began_s > 120:
                raise SystemExit(f"{len(wanted)} logins are missing: localpop dead-letters")
        took_s = last_s - began_s
        return logins / took_s, (_cpu_s(self._one.pid) - cpu_s) * 1000 / logins

    def alone(self, number: int) -> float:
        """Milliseconds until a viewer gets the answer that one login has made."""
        user = f"user-{number % _USERS + 1:03d}"
        cookie = f"session={issue(user, self._one.key, now_s=int(time.time()), ttl_s=600)}"
        generated = self._expiry(cookie)
        # Of the same second as the last one it could not be told apart.
        time.sleep(1.01)
        began_s = time.time()
        self._login(user)
        while self._expiry(cookie) == generated:
            time.sleep(0.002)
        return (time.time() - began_s) * 1000

    def _expiry(self, cookie: str) -> str:
        action = PRECOMPUTED_ACTION_IDS[0]
        self._viewer.request("GET", f"/answers/{action}", headers={"Cookie": cookie})
        response = self._viewer.getresponse()
        response.read()
        return response.getheader("x-answer-expires") or ""

    def _login(self, *users: str) -> list[str]:
        entries = [
            {
                "Source": "localpop.backend",
                "DetailType": "UserLoggedIn",
                "Detail": json.dumps({"user_id": user, "occurred_at": time.time()}),
                "EventBusName": "localpop-answers",
            }
            for user in users
        ]
        return [one["EventId"] for one in self._events.put_events(Entries=entries)["Entries"]]


def _cpu_s(pid: int) -> float:
    """Processor seconds of a process and all it started; 0 where nobody can tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    except OSError:
        return 0.0
    own = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return own + sum(_cpu_s(int(child)) for child in children)


if __name__ == "__main__":
    main()
