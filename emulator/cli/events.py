"""`localpop events`, `dead-letters` and `clock`: what happens behind the viewers' back."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from emulator.app.settings import Overrides, current_settings
from emulator.cli.common import get_json
from emulator.errors import ConfigError

_ENTRIES_AT_ONCE: Final = 10
_DURATION = re.compile(r"\+?(\d+(?:\.\d+)?)(s|m|h|d)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_SHOWN_CHARS: Final = 160
_EXAMPLE: Final = """\
example:
  localpop events put - --bus localpop-answers <<'END'
  {"Source": "localpop.backend", "DetailType": "UserLoggedIn", "Detail": {"user_id": "user-001"}}
  END
"""


def add_commands(commands: Any) -> None:
    """Add the three to the command's own commands."""
    _add_events(commands)
    _add_dead_letters(commands)
    clock = commands.add_parser(
        "clock",
        help="the schedules' clock: move it forward, and what is due fires at once",
        description="Without an argument: the date that schedules and scheduled rules go by, and "
        "what is due next. With one, such as +6h, +15m or +1d: moves it forward; everything that "
        "is due on the way fires, in order. Nothing else on this machine knows another time.",
    )
    clock.add_argument("forward", nargs="?", metavar="+6h", help="how far: +30s, +15m, +6h, +1d")
    _add_port(clock)
    clock.set_defaults(act=run_clock)


def _add_events(commands: Any) -> None:
    events = commands.add_parser(
        "events",
        help="put events on a bus of the running emulator, list its rules",
        description="Events go through PutEvents like anybody's; rules are those of the template "
        "and those made through the AWS endpoint.",
    )
    own = events.add_subparsers(required=True, metavar="what")
    put = own.add_parser(
        "put",
        help="put events from a file",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="A file (- for standard input) of JSON: one event, a list of them,\n"
        '{"Entries": […]} as for PutEvents, or one event a line. An event has Source,\n'
        "DetailType, Detail (an object, or its text) and, if need be, EventBusName.",
        epilog=_EXAMPLE,
    )
    put.add_argument("file", metavar="FILE")
    put.add_argument("--bus", metavar="NAME", default="", help="for events that name none")
    _add_port(put)
    put.set_defaults(act=run_put)
    rules = own.add_parser("rules", help="every bus with its rules and their targets")
    rules.add_argument("--json", action="store_true", help="the same as JSON")
    _add_port(rules)
    rules.set_defaults(act=run_rules)


def _add_dead_letters(commands: Any) -> None:
    letters = commands.add_parser(
        "dead-letters",
        usage="localpop dead-letters [replay] [QUEUE] [--json] [--aws-port PORT]",
        help="what could not be processed, why, and the way back",
        description="Lists every message in a dead-letter queue with its reason. "
        "`localpop dead-letters replay` sends them back to where they came from: to the queue, or "
        "to the target of the rule or schedule.",
    )
    letters.add_argument(
        "words",
        nargs="*",
        metavar="replay, QUEUE",
        help="replay: send them back; QUEUE: only this dead-letter queue",
    )
    letters.add_argument("--json", action="store_true", help="as JSON, whole bodies included")
    _add_port(letters)
    letters.set_defaults(act=run_dead_letters)


def _add_port(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--aws-port", type=int, metavar="PORT", help="the AWS endpoint (4566)")


def _port(arguments: argparse.Namespace) -> int:
    return current_settings(Overrides(aws_port=arguments.aws_port)).aws_port


# --- events -------------------------------------------------------------------------------------


def run_put(arguments: argparse.Namespace) -> int:
    """Put them; 1 when one of them was refused.

    Raises:
        ConfigError: The file is not there or holds no events, or nothing runs.
    """
    entries = parse_entries(_text(arguments.file), arguments.file, arguments.bus)
    port, refused = _port(arguments), 0
    _require_buses(port, entries)
    for start in range(0, len(entries), _ENTRIES_AT_ONCE):
        batch = entries[start : start + _ENTRIES_AT_ONCE]
        answer = _call(port, "PutEvents", {"Entries": batch})
        for number, result in enumerate(answer["Entries"], start=start + 1):
            if "EventId" in result:
                print(result["EventId"])
                continue
            refused += 1
            print(f"event {number}: {result['ErrorCode']}: {result['ErrorMessage']}")
    if refused:
        print(f"{refused} of {len(entries)} event(s) refused", file=sys.stderr)
    return 1 if refused else 0


def _require_buses(port: int, entries: Sequence[Mapping[str, Any]]) -> None:
    """PutEvents says nothing of a bus that is not there; whoever types its name wants to know."""
    named = {str(one["EventBusName"]) for one in entries if one.get("EventBusName")}
    if not named:
        return
    known = [one["Name"] for one in _all(port, "ListEventBuses", "EventBuses")]
    for name in sorted(named):
        if name.rpartition(":event-bus/")[2] not in known:
            raise ConfigError(
                f"There is no event bus {name}: its events would be gone.",
                mend=f"There are: {', '.join(known)}.",
            )


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}.", mend="Name a file, or -.") from None


def parse_entries(text: str, where: str, bus: str = "") -> list[dict[str, Any]]:
    """The events in a file, as PutEvents takes them.

    Args:
        text: What the file holds.
        where: Its name, for errors.
        bus: For those that name no bus.

    Raises:
        ConfigError: It is no JSON, or something in it is no event.
    """
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        found = _lines(text, where)
    if isinstance(found, dict):
        found = found.get("Entries", [found])
    if not isinstance(found, list) or not found:
        raise ConfigError("There are no events.", where=where, mend="Write one, or a list.")
    return [_entry(one, f"{where}: event {number}", bus) for number, one in enumerate(found, 1)]


def _lines(text: str, where: str) -> list[Any]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise ConfigError(
                f"Line {number} is not JSON: {error}.", where=where, mend="Mend it."
            ) from None
    return found


def _entry(event: Any, where: str, bus: str) -> dict[str, Any]:
    if not isinstance(event, dict):
        raise ConfigError("An event is a JSON object.", where=where, mend="Write {…}.")
    entry = dict(event)
    if not isinstance(entry.get("Detail", ""), str):
        entry["Detail"] = json.dumps(entry["Detail"])
    if bus:
        entry.setdefault("EventBusName", bus)
    return entry


def run_rules(arguments: argparse.Namespace) -> int:
    """Print them.

    Raises:
        ConfigError: Nothing runs.
    """
    port = _port(arguments)
    buses = [_described(port, one["Name"]) for one in _all(port, "ListEventBuses", "EventBuses")]
    if arguments.json:
        print(json.dumps({"buses": buses}, indent=2))
        return 0
    for bus in buses:
        print(bus["name"] if bus["rules"] else f"{bus['name']}  (no rules)")
        for rule in bus["rules"]:
            print("\n".join(f"  {line}" for line in _rule_lines(rule)))
    return 0


def _described(port: int, bus: str) -> dict[str, Any]:
    rules = _all(port, "ListRules", "Rules", EventBusName=bus)
    for rule in rules:
        rule["Targets"] = _all(
            port, "ListTargetsByRule", "Targets", EventBusName=bus, Rule=rule["Name"]
        )
    return {"name": bus, "rules": rules}


def _rule_lines(rule: Mapping[str, Any]) -> Sequence[str]:
    state = "" if rule["State"] == "ENABLED" else f"  ({rule['State'].lower()})"
    lines = [f"{rule['Name']}{state}"]
    lines += [f"  when   {rule[key]}" for key in _WHEN if rule.get(key)]
    lines += [f"  to     {target['Arn']}" for target in rule["Targets"]]
    return lines if rule["Targets"] else [*lines, "  to     nobody: it has no target"]


_WHEN: Final = ("ScheduleExpression", "EventPattern")


def _all(port: int, operation: str, member: str, **given: Any) -> list[Any]:
    """Every page of a list."""
    found: list[Any] = []
    token = None
    while True:
        page = _call(port, operation, {**given, **({"NextToken": token} if token else {})})
        found += page.get(member, [])
        token = page.get("NextToken")
        if not token:
            return found


def _call(port: int, operation: str, given: Mapping[str, Any]) -> Any:
    """An operation of EventBridge at the local endpoint, by the protocol that SDKs speak.

    boto3 takes half a second to import, which a command that is typed should not cost.
    """
    headers = {"X-Amz-Target": f"AWSEvents.{operation}"}
    return get_json(f"http://127.0.0.1:{port}/", method="POST", body=given, headers=headers)


# --- dead letters -------------------------------------------------------------------------------


def run_dead_letters(arguments: argparse.Namespace) -> int:
    """List or replay them.

    Raises:
        ConfigError: There is no such queue, or nothing runs.
    """
    words = list(arguments.words)
    replays = words[:1] == ["replay"]
    queues = words[1:] if replays else words
    if len(queues) > 1:
        raise ConfigError(
            f"One queue at a time, not {' '.join(queues)}.",
            mend="localpop dead-letters [replay] [QUEUE]",
        )
    queue = queues[0] if queues else ""
    url = f"http://127.0.0.1:{_port(arguments)}/_localpop/dead-letters"
    if replays:
        done = get_json(f"{url}/replay", method="POST", body={"queue": queue})
        print(f"{done['replayed']} sent back, {done['left']} left")
        return 0
    told = get_json(url)
    if queue and queue not in told["queues"]:
        raise ConfigError(
            f"{queue} is no dead-letter queue.",
            mend=f"There are: {', '.join(told['queues']) or 'none'}.",
        )
    found = [one for one in told["dead_letters"] if queue in ("", one["queue"])]
    if arguments.json:
        print(json.dumps(found, indent=2))
        return 0
    print("\n".join(_letter_lines(found)) if found else "no dead letters")
    return 0


def _letter_lines(letters: Sequence[Mapping[str, Any]]) -> list[str]:
    lines: list[str] = []
    queue = None
    for one in letters:
        if one["queue"] != queue:
            queue = one["queue"]
            count = sum(other["queue"] == queue for other in letters)
            lines.append(f"{queue}  ({count})")
        lines.append(f"  {one['time']}  {one['reason'] or 'nobody said why'}")
        for name in ("source", "target"):
            if one[name]:
                lines.append(f"    {'from' if name == 'source' else 'for '}  {one[name]}")
        lines.append(f"    {_cut(one['body'])}")
        if not one["replayable"]:
            lines.append("    replay cannot tell where it came from")
    return lines


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARS else f"{line[: _SHOWN_CHARS - 1]}…"


# --- clock --------------------------------------------------------------------------------------


def run_clock(arguments: argparse.Namespace) -> int:
    """Show or move the schedules' clock.

    Raises:
        ConfigError: It cannot move so, or nothing runs.
    """
    url = f"http://127.0.0.1:{_port(arguments)}/_localpop/clock"
    if arguments.forward is None:
        state = get_json(url)
    else:
        state = get_json(url, method="POST", body={"forward_s": parse_forward(arguments.forward)})
        for one in state["fired"]:
            print(f"{one['time']}  {one['schedule']}")
        print(f"{len(state['fired'])} fired")
    ahead_s = state["ahead_s"]
    ahead = f"  ({ahead_s / 3_600:g} h ahead of this machine)" if ahead_s else ""
    print(f"the schedules' clock: {state['now']}{ahead}")
    for one in state["next"][:10]:
        print(f"  next  {one['time']}  {one['schedule']}")
    return 0


def parse_forward(text: str) -> float:
    """Seconds in `+6h`, `+15m`, `+30s` or `+1d`.

    Raises:
        ConfigError: It is none of them.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ConfigError(
            f"{text!r} is no way forward.", mend="Write it as +30s, +15m, +6h or +1d."
        )
    return float(match[1]) * _SECONDS[match[2]]
