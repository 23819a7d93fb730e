"""`python -m origin.precompute`: answer ahead of time, and push to the edge."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType

from origin.tasks import TaskError

try:
    # First of all: everything else needs declarations that are right.
    from origin.actions import ACTIONS, PRECOMPUTED_ACTION_IDS
except TaskError as error:
    print(f"origin.precompute: {error}", file=sys.stderr)
    sys.exit(2)
from origin.backoff import Backoff
from origin.dataset import DataSet, DataSetError, load_data_set
from origin.model import Model, ModelError, open_model
from origin.precompute.generation import Generator
from origin.precompute.progress import Progress, summarize
from origin.precompute.push import Tally, push_answers
from origin.store import StoreError, StoreWriter, open_store

EXIT_DONE, EXIT_INCOMPLETE, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    try:
        data = load_data_set()
        options = _parse(arguments, data)
        connections = options.concurrency * len(PRECOMPUTED_ACTION_IDS)
        with open_store(os.environ) as (client, store_arn):
            writer = StoreWriter(client, store_arn)
            writer.connect()
            model = open_model(os.environ, max_connections=connections)
            return _run(options, data, model, writer)
    except (DataSetError, ModelError, StoreError) as error:
        print(f"origin.precompute: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        # Before the run began, or for the second time.
        print("origin.precompute: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def _parse(arguments: Sequence[str] | None, data: DataSet) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m origin.precompute",
        description="Answer ahead of time, and push the answers to the key value store that "
        "$ANSWER_STORE_ARN names. Exit code: 0 when every answer is stored, 1 when one is not, "
        "2 when nothing could be done, 130 when interrupted.",
    )
    parser.add_argument("--users", type=int, required=True, metavar="N", help="the first N users")
    parser.add_argument(
        "--ttl", type=int, default=3600, metavar="S", help="validity in seconds (default: 3600)"
    )
    parser.add_argument(
        "--concurrency", type=int, default=8, metavar="N", help="users at once (default: 8)"
    )
    options = parser.parse_args(arguments)
    if not 1 <= options.users <= len(data.users):
        parser.error(f"--users {options.users}: the data set has users 1 to {len(data.users)}")
    if options.ttl < 1:
        parser.error(f"--ttl {options.ttl}: an answer is valid for at least one second")
    if not 1 <= options.concurrency <= 64:
        parser.error(f"--concurrency {options.concurrency}: 1 to 64 expected")
    return options


def _run(options: argparse.Namespace, data: DataSet, model: Model, writer: StoreWriter) -> int:
    progress = Progress(sys.stderr)
    threads = ThreadPoolExecutor(options.concurrency * len(PRECOMPUTED_ACTION_IDS))
    with _interruptible() as stop:
        generator = Generator(
            model=model,
            data=data,
            actions=[ACTIONS[action_id] for action_id in PRECOMPUTED_ACTION_IDS],
            threads=threads,
            ttl_s=options.ttl,
            now_s=time.time,
            # Some 15 s in all at the worst: throttles are counted per minute, but a run of many
            # users has time to come back to its rate.
            backoff=Backoff(attempts=8, base_s=0.25, cap_s=8.0, sleep=stop.wait),
        )
        tally = push_answers(
            list(data.users)[: options.users],
            generator,
            writer,
            progress,
            concurrency=options.concurrency,
            stop=stop,
        )
        was_interrupted = stop.is_set()
        # Prompts that nobody waits for any more must neither start nor be tried again.
        stop.set()
        threads.shutdown(wait=False, cancel_futures=True)
    progress.close()
    if tally.gave_up:
        print(f"origin.precompute: {tally.gave_up}", file=sys.stderr)
    print(summarize(tally, elapsed_s=progress.elapsed_s, was_interrupted=was_interrupted))
    return _exit_code(tally, was_interrupted=was_interrupted)


def _exit_code(tally: Tally, *, was_interrupted: bool) -> int:
    if was_interrupted:
        return EXIT_INTERRUPTED
    if tally.gave_up and not tally.stored:
        return EXIT_BAD_INPUT
    return EXIT_INCOMPLETE if tally.gave_up or tally.refused or tally.failed else EXIT_DONE


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C (or SIGTERM) sets; the second one interrupts as usual."""
    stop = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in signals}

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()
        for number_before, handler in before.items():
            signal.signal(number_before, handler)

    for number in signals:
        signal.signal(number, on_signal)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    exit_code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: after an interruption, Python would wait for every thread that still waits for
    # the model.
    os._exit(exit_code)
