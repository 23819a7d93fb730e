"""`python -m origin.backend`: tell the bus what happened, as a backend does.

What follows (generation, push, invalidation) is the template's business: rules on the bus decide
it. `--wait` looks at the store, until what was to be expected is there.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from origin.actions import PRECOMPUTED_ACTION_IDS
from origin.dataset import DataSet, DataSetError, load_data_set
from origin.events import BACKEND, BUS_VARIABLE, EventBus, EventsError, Happening, bus_name
from origin.precompute.artifact import parse_value, store_key
from origin.precompute.contract import ContractError, check_subject
from origin.precompute.registry import TABLE_VARIABLE, Registry
from origin.store import STORE_ARN_VARIABLE, StoreError, StoreWriter, open_store

EXIT_DONE, EXIT_INCOMPLETE, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 0, 1, 2, 130

_LOOK_EVERY_S = 0.2
_CONFIG = Config(retries={"total_max_attempts": 5, "mode": "standard"})


class _UsageError(Exception):
    """What was asked cannot be done; the message says why and how to mend it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _changed(options) if options.command == "changed" else _told(options)
    except (_UsageError, EventsError, StoreError, DataSetError, ContractError) as error:
        print(f"origin.backend: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except (BotoCoreError, ClientError) as error:
        print(f"origin.backend: AWS answered: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print("origin.backend: interrupted; what was told stays told", file=sys.stderr)
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m origin.backend",
        description=f"Tell the event bus (${BUS_VARIABLE}) what happened. Exit code: 0 when it was "
        "told and, with --wait, has had its effect; 1 when it has not had it in time; 2 when "
        "nothing could be told; 130 when interrupted.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    login = commands.add_parser("login", help="users logged in: their answers are made")
    login.add_argument("users", nargs="*", metavar="USER")
    login.add_argument("--users", type=int, dest="first", metavar="N", help="the first N users")
    workflow = commands.add_parser("workflow", help="a user entered a workflow")
    workflow.add_argument("users", nargs=1, metavar="USER")
    workflow.add_argument("name", metavar="NAME", help="the workflow's name")
    uploaded = commands.add_parser("uploaded", help="a user uploaded a document")
    uploaded.add_argument("users", nargs=1, metavar="USER")
    uploaded.add_argument("name", metavar="DOC", help="the document's name")
    changed = commands.add_parser("changed", help="a state changed: answers that name it go")
    changed.add_argument("subject", metavar="SUBJECT", help="such as deployment:checkout-api")
    changed.add_argument("--change", default="changed", metavar="WORD", help="how (%(default)s)")
    changed.add_argument("--regenerate", action="store_true", help="and new ones are made")
    changed.add_argument("--scope", default="", help="with --version: what the tag is about")
    changed.add_argument("--version", default="", help="the scope's version tag from now on")
    for command in (login, workflow, uploaded, changed):
        command.add_argument(
            "--wait", action="store_true", help="until the store shows the effect, with progress"
        )
        command.add_argument(
            "--timeout", type=float, default=120.0, metavar="S", help="of --wait (%(default)g)"
        )
    return parser


# --- logins, workflows, documents ---------------------------------------------------------------


def _told(options: argparse.Namespace) -> int:
    data = load_data_set()
    user_ids = _user_ids(options, data)
    now_s = time.time()
    detail_type, name = {
        "login": ("UserLoggedIn", None),
        "workflow": ("WorkflowEntered", "workflow"),
        "uploaded": ("DocumentUploaded", "document"),
    }[options.command]
    extra = {name: options.name} if name else {}
    happenings = [
        Happening(BACKEND, detail_type, {"user_id": user_id, "occurred_at": now_s, **extra})
        for user_id in user_ids
    ]
    _open_bus().put(happenings)
    print(f"told {len(happenings)} × {detail_type} to the bus {bus_name()}")
    if not options.wait:
        return EXIT_DONE
    keys = [store_key(user, action) for user in user_ids for action in _expected(options.command)]
    return _wait(
        keys,
        lambda value: value is not None and _generated_s(value) >= int(now_s),
        "answers are in the store",
        options.timeout,
    )


def _user_ids(options: argparse.Namespace, data: DataSet) -> list[str]:
    first = getattr(options, "first", None)
    if first is not None and not 1 <= first <= len(data.users):
        raise _UsageError(f"--users {first}: the data set has users 1 to {len(data.users)}")
    user_ids = list(dict.fromkeys([*options.users, *list(data.users)[: first or 0]]))
    if not user_ids:
        raise _UsageError("no user: name one, such as user-001, or say --users N")
    unknown = [user_id for user_id in user_ids if user_id not in data.users]
    if unknown:
        raise _UsageError(f"there is no data about {unknown[0]!r} (users: user-001, user-002, …)")
    return user_ids


def _expected(command: str) -> tuple[str, ...]:
    """The actions that an event has made."""
    from origin.actions import TASKS
    from origin.tasks import Trigger, tasks_for

    trigger = {"login": Trigger.LOGIN, "workflow": Trigger.WORKFLOW, "uploaded": Trigger.UPLOAD}
    return tuple(tasks_for(TASKS, trigger[command])) or PRECOMPUTED_ACTION_IDS


# --- state changes ------------------------------------------------------------------------------


def _changed(options: argparse.Namespace) -> int:
    check_subject(options.subject)
    if bool(options.scope) != bool(options.version):
        raise _UsageError("--scope and --version: both or neither")
    named = _open_registry().keys_naming(options.subject) if options.wait else []
    now_s = time.time()
    detail: dict[str, Any] = {
        "subject": options.subject,
        "change": options.change,
        "regenerate": options.regenerate,
        "occurred_at": now_s,
    }
    if options.scope:
        detail |= {"scope": options.scope, "version": options.version}
    _open_bus().put([Happening(BACKEND, "StateChanged", detail)])
    print(f"told StateChanged {options.subject} to the bus {bus_name()}")
    if not options.wait:
        return EXIT_DONE
    if not named:
        print(f"no answer names {options.subject}: there is nothing to wait for")
        return EXIT_DONE
    if options.regenerate:
        return _wait(
            named,
            lambda value: value is not None and _generated_s(value) >= int(now_s),
            "answers were made anew",
            options.timeout,
        )
    return _wait(
        named,
        lambda value: value is None or _generated_s(value) > now_s,
        "answers that named it are gone",
        options.timeout,
    )


# --- waiting ------------------------------------------------------------------------------------


def _wait(
    keys: Sequence[str], is_done: Callable[[str | None], bool], what: str, timeout_s: float
) -> int:
    began_s = time.monotonic()
    left = dict.fromkeys(keys)
    progress = _Line(sys.stderr)
    with open_store(os.environ) as (client, store_arn):
        store = StoreWriter(client, store_arn)
        while left and time.monotonic() - began_s < timeout_s:
            for key in list(left):
                if is_done(store.get(key)):
                    del left[key]
            elapsed_s = time.monotonic() - began_s
            progress.show(f"{len(keys) - len(left)}/{len(keys)} {what} · {elapsed_s:.1f} s")
            if left:
                time.sleep(_LOOK_EVERY_S)
    progress.close()
    elapsed_s = time.monotonic() - began_s
    print(f"{len(keys) - len(left)} of {len(keys)} {what} · {elapsed_s:.1f} s")
    if not left:
        return EXIT_DONE
    shown = ", ".join(list(left)[:5]) + (", …" if len(left) > 5 else "")
    print(
        f"origin.backend: not within {timeout_s:g} s: {shown}. The functions' logs and the dead "
        "letters say why",
        file=sys.stderr,
    )
    return EXIT_INCOMPLETE


def _generated_s(value: str) -> int:
    try:
        return parse_value(value).generated_at_s
    except ValueError:
        return 0


@dataclass
class _Line:
    """One line that moves on a terminal; one every three seconds anywhere else."""

    stream: TextIO
    said_s: float = field(default_factory=time.monotonic)

    def show(self, line: str) -> None:
        if self.stream.isatty():
            print(f"\r\x1b[K{line}", end="", file=self.stream, flush=True)
        elif time.monotonic() - self.said_s >= 3:
            self.said_s = time.monotonic()
            print(line, file=self.stream, flush=True)

    def close(self) -> None:
        if self.stream.isatty():
            print("\r\x1b[K", end="", file=self.stream, flush=True)


def _open_bus() -> EventBus:
    return EventBus(boto3.client("events", config=_CONFIG), bus_name())


def _open_registry(environment: Mapping[str, str] = os.environ) -> Registry:
    table = environment.get(TABLE_VARIABLE, "")
    if not table:
        raise _UsageError(
            f"{TABLE_VARIABLE} is not set: --wait needs the registry's table to know what names "
            f"the subject, and {STORE_ARN_VARIABLE} the store"
        )
    return Registry(boto3.client("dynamodb", config=_CONFIG), table)


if __name__ == "__main__":
    sys.exit(main())
