"""`python -m origin`: serve answers."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress

import uvicorn

from origin.tasks import TaskError

try:
    # First of all: everything else needs declarations that are right.
    from origin.app import MAX_ANSWERS, create_app
except TaskError as error:
    print(f"origin: {error}", file=sys.stderr)
    sys.exit(2)
from origin.candidates import open_candidates
from origin.dataset import DataSetError, load_data_set
from origin.followup.wishes import FollowUpError, open_follow_ups
from origin.model import ModelError, open_model
from origin.session import SessionKeyError, read_session_key


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        session_key = read_session_key(os.environ)
        data = load_data_set()
        model = open_model(os.environ, max_connections=MAX_ANSWERS)
        candidates = open_candidates(os.environ, data)
        app = create_app(
            model=model,
            data=data,
            session_key=session_key,
            candidates=candidates,
            follow_ups=open_follow_ups(os.environ),
        )
        listener = _listen(options.host, options.port)
    except (SessionKeyError, DataSetError, ModelError, FollowUpError, _CannotListenError) as error:
        print(f"origin: {error}", file=sys.stderr)
        return 2
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=2, lifespan="on"
    )
    host, port = listener.getsockname()[:2]
    shown_host = f"[{host}]" if ":" in host else host
    print(f"origin: listening on http://{shown_host}:{port} (Ctrl-C ends it)", flush=True)
    # uvicorn closes down at a signal, and then passes the signal on.
    with listener, suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])
    return 0


class _CannotListenError(Exception):
    pass


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m origin", description="Serve answers.")
    parser.add_argument("--port", type=int, default=8081, help="0 for any free one (default: 8081)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    return parser


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _CannotListenError(
            f"cannot listen on {host} port {port}: {reason}. End the program that uses it, or "
            "choose another with --port"
        ) from error


if __name__ == "__main__":
    exit_code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: Python would wait for every thread that still waits for the model.
    os._exit(exit_code)
