"""`python -m loadtests`: run Locust in a process of its own, then say what it saw.

    python -m loadtests run --host http://127.0.0.1:8080 --time 30 --out report
    python -m loadtests report report/samples.jsonl --out report

Exit codes: 0 fine; 1 more errors than --max-error-share, or no answer at all; 2 bad input; 3 void,
because the load generator itself lagged; 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loadtests.arrivals import load_sessions
from loadtests.errors import BadInputError
from loadtests.predictions import Predictions, comparison_table, read_predictions
from loadtests.profiles import FOLDER, profile_names, read_profile
from loadtests.report import write_report
from loadtests.samples import FALLBACKS, HITS, read_recording
from loadtests.settings import OPTIONS, Settings, add_options
from loadtests.summary import Summary
from loadtests.table import table
from loadtests.target import check_host

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
SAMPLES = "samples.jsonl"
VOID, BAD_INPUT, INTERRUPTED = 3, 2, 130
# What Locust itself may say without anything being wrong with the run: it counts failed requests.
_HARMLESS_EXIT_CODES = (0, 1)
_STOP_GRACE_S = 30.0


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    options = _parser().parse_args(words)
    try:
        code: int = options.act(options)
    except BadInputError as error:
        print(f"loadtests: {error}", file=sys.stderr)
        return BAD_INPUT
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests", description="Load tests of answers at the edge."
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    run = commands.add_parser("run", help="run Locust, print the table, write the report")
    run.add_argument("--host", default=os.environ.get("LOADTEST_HOST"), help="the server to test")
    run.add_argument(
        "--time",
        type=float,
        metavar="SECONDS",
        help="length; the profile is stretched or pressed to it (the profile's)",
    )
    run.add_argument(
        "--profile",
        dest="load_profile",
        metavar="NAME",
        default=argparse.SUPPRESS,
        help="the same as --load-profile",
    )
    _add_outcome(run)
    add_options(run)
    several = run.add_argument_group("several processes and machines (docs/load-tests.md)")
    several.add_argument("--processes", type=int, metavar="N", help="load from N processes here")
    several.add_argument(
        "--expect-workers",
        type=int,
        metavar="N",
        help="load from N workers that `python -m loadtests worker` starts, here or elsewhere",
    )
    several.add_argument(
        "--master-bind-host", default="127.0.0.1", metavar="ADDRESS", help="for them (127.0.0.1)"
    )
    several.add_argument(
        "--master-bind-port", type=int, default=5557, metavar="PORT", help="for them (5557)"
    )
    run.set_defaults(act=_run)
    worker = commands.add_parser(
        "worker", help="make load for a `run --expect-workers` here or on another machine"
    )
    worker.add_argument("--master-host", default="127.0.0.1", metavar="ADDRESS")
    worker.add_argument("--master-port", type=int, default=5557, metavar="PORT")
    worker.add_argument("--processes", type=int, metavar="N", help="in N processes")
    worker.set_defaults(act=_work)
    profiles = commands.add_parser("profiles", help="the load profiles that come with this")
    profiles.set_defaults(act=_list_profiles)
    report = commands.add_parser("report", help="rebuild table and report from a samples file")
    report.add_argument("samples", type=Path, help="what a run wrote, such as report/samples.jsonl")
    _add_outcome(report)
    report.set_defaults(act=_report)
    return parser


def _add_outcome(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("report"), help="folder (report)")
    parser.add_argument(
        "--max-error-share",
        type=float,
        default=0.01,
        metavar="SHARE",
        help="exit with 1 when more requests than this share fail (0.01)",
    )
    parser.add_argument(
        "--predictions",
        type=Path,
        metavar="FILE",
        help="set the run beside what a latency model expects (`localpop predict --out FILE`)",
    )


def _report(options: argparse.Namespace) -> int:
    return _conclude(options.samples, options, _predictions(options))


def _predictions(options: argparse.Namespace) -> Predictions | None:
    return read_predictions(options.predictions) if options.predictions else None


def _run(options: argparse.Namespace) -> int:
    samples = Path(options.samples) if options.samples else options.out / SAMPLES
    options.samples = str(samples)
    settings = Settings.from_options(options)
    profile = settings.profile
    host = check_host(options.host, settings.allow_remote)
    viewers = len(load_sessions(settings.sessions))
    predictions = _predictions(options)
    time_s = options.time or profile.seconds
    if time_s <= profile.warmup_s:
        raise BadInputError(f"--time: {time_s:g} s is no longer than the warm-up.")
    print(f"load test: {_load(settings)} for {time_s:g} s, {viewers} viewers ", end="")
    print(f"at {len(settings.places)} places, against {host}", flush=True)
    samples.unlink(missing_ok=True)
    code = _run_locust(_locust_command(options, host, time_s), samples, time_s)
    if code not in (*_HARMLESS_EXIT_CODES, VOID):
        return code
    return _conclude(samples, options, predictions)


def _load(settings: Settings) -> str:
    profile = settings.profile
    if settings.closed_loop:
        return f"closed loop of {settings.closed_loop}"
    peak = profile.rate_per_s * profile.peak_times
    rate = f"{profile.rate_per_s:g} requests/s"
    return rate if peak == profile.rate_per_s else f"{profile.name}, {rate}, up to {peak:g},"


def _locust_command(options: argparse.Namespace, host: str, time_s: float) -> list[str]:
    """Locust's own command line, with each of our options as a flag."""
    words = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--host", host]
    users = str(options.closed_loop or options.processes or options.expect_workers or 1)
    words += ["--headless", "--only-summary", "-u", users, "-r", users]
    words += ["-t", f"{math.ceil(time_s)}s"]
    words += _distribution(options)
    # Without its log set-up Locust's own summary, whose percentiles are rounded, is not printed;
    # warnings and errors still are.
    words += ["--skip-log-setup", "--exit-code-on-error", "0"]
    for option in OPTIONS:
        value = getattr(options, option.attribute)
        if value is not None:
            words += [f"--{option.name}", str(value)]
    return [*words, "--allow-remote"] if options.allow_remote else words


def _distribution(options: argparse.Namespace) -> list[str]:
    """Locust's own flags for several processes or machines."""
    if options.processes and options.expect_workers:
        raise BadInputError("--processes, --expect-workers: give one of them.")
    if options.processes:
        # A port of their own, so that two runs do not meet.
        port = str(_free_port())
        own = ["--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port]
        return ["--processes", str(options.processes), *own]
    if options.expect_workers:
        bind = ["--master-bind-host", options.master_bind_host]
        bind += ["--master-bind-port", str(options.master_bind_port)]
        return ["--master", "--expect-workers", str(options.expect_workers), *bind]
    return []


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _work(options: argparse.Namespace) -> int:
    """Be a worker of a run elsewhere until it ends."""
    words = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--worker"]
    words += ["--master-host", options.master_host, "--master-port", str(options.master_port)]
    if options.processes:
        words += ["--processes", str(options.processes)]
    process = subprocess.Popen(words)
    try:
        return process.wait()
    except KeyboardInterrupt:
        # Ctrl-C went to Locust too; it sends what it has and leaves.
        process.wait()
        return INTERRUPTED


def _list_profiles(options: argparse.Namespace) -> int:
    for name in profile_names():
        profile = read_profile(name)
        peak = profile.rate_per_s * profile.peak_times
        print(f"{name:<12} {profile.seconds:>5g} s, up to {peak:>3g}/s  {profile.description}")
    print(f"\nThe files are in {FOLDER}; copy one, and give it to --profile.")
    return 0


def _run_locust(words: list[str], samples: Path, time_s: float) -> int:
    """Run Locust with progress; returns its exit code. Ctrl-C ends it, and then us."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, start_new_session=True)
    progress = _Progress(samples, time_s)
    try:
        while process.poll() is None:
            progress.show()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(progress.every_s)
        progress.show(last=True)
        return process.returncode
    except KeyboardInterrupt:
        progress.end()
        print("load test: stopping, answers under way get a second", flush=True)
        _end(process)
        return INTERRUPTED
    finally:
        if process.poll() is None:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_STOP_GRACE_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class _Progress:
    """Reads along in the samples file and says how far the run is.

    On a terminal one line that is written over; elsewhere a line every five seconds.
    """

    def __init__(self, samples: Path, time_s: float) -> None:
        self._samples, self._time_s = samples, time_s
        self._position = 0
        self._counts: Counter[str] = Counter()
        self._worst_lag_ms = 0.0
        self._started_s = time.monotonic()
        self._is_terminal = sys.stdout.isatty()
        self.every_s = 1.0 if self._is_terminal else 5.0

    def show(self, *, last: bool = False) -> None:
        """Print where the run stands."""
        self._read()
        elapsed_s = time.monotonic() - self._started_s
        shown_s = min(elapsed_s, self._time_s)
        waiting = " · waiting for the last answers" if elapsed_s > self._time_s + 2 else ""
        line = (
            f"  {shown_s:3.0f} of {self._time_s:g} s · {self._counts['all']} answers · "
            f"{self._counts['hit']} from the edge · {self._counts['fallback']} from the model · "
            f"{self._counts['error']} errors · worst lag {self._worst_lag_ms:.0f} ms{waiting}"
        )
        if self._is_terminal:
            print(f"\r\x1b[K{line}", end="\n" if last else "", flush=True)
        elif self._counts["all"]:
            print(line, flush=True)

    def end(self) -> None:
        """Leave the line."""
        if self._is_terminal:
            print(flush=True)

    def _read(self) -> None:
        try:
            with self._samples.open("rb") as file:
                file.seek(self._position)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self._position += len(line)
                    self._count(json.loads(line))
        except OSError:
            # Not written yet: Locust takes a moment to start.
            return

    def _count(self, record: dict[str, Any]) -> None:
        if "path" not in record:
            return
        self._counts["all"] += 1
        self._worst_lag_ms = max(self._worst_lag_ms, record["lag_ms"])
        if record["error"] is not None:
            self._counts["error"] += 1
        elif record["path"] in HITS:
            self._counts["hit"] += 1
        elif record["path"] in FALLBACKS:
            self._counts["fallback"] += 1


def _conclude(samples: Path, options: argparse.Namespace, predictions: Predictions | None) -> int:
    """Print the table, write the report, and judge the run."""
    summary, compared = write_report(read_recording(samples), options.out, predictions)
    print(f"\n{table(summary)}\n")
    if compared:
        print(f"{comparison_table(compared)}\n")
    print(f"report: {options.out / 'index.html'}   figures: {options.out / 'results.json'}")
    return _judge(summary, options.max_error_share)


def _judge(summary: Summary, max_error_share: float) -> int:
    if summary.generator.void:
        print(
            "THIS RUN IS VOID: the load generator itself was "
            f"{summary.generator.lag_p99_ms:.3g} ms late at p99. Lower --rate, or give Locust a "
            "core of its own.",
            file=sys.stderr,
        )
        return VOID
    if not summary.requests:
        print("no request was counted", file=sys.stderr)
        return 1
    if summary.error_share > max_error_share:
        kinds = ", ".join(f"{count} x {kind}" for kind, count in summary.error_kinds.items())
        print(
            f"{summary.error_share:.1%} of the requests failed ({max_error_share:.1%} allowed): "
            f"{kinds}",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
