"""Runs localpop's commands in children that die of SIGKILL right after each call that changed AWS.

Started as `python interrupting.py FOLDER SEEN WORD…`, in the folder of a project. A child runs the
command; as soon as AWS has done something that it was not asked for before, the child kills itself,
before it could write down that it is done. Then the next child runs the same command. Prints what
was interrupted, and the exit code of the child that came through.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from botocore import handlers

from emulator.cli import main
from emulator.deploy.target import Target

_READS = ("Get", "List", "Describe", "Test")
_RUNS_MOST = 60


class Interruption:
    """Kills the process after a call that changed AWS, once for each such call."""

    def __init__(self, seen: Path) -> None:
        self._seen, self._asked = seen, ""

    def before(self, model: Any, params: Any, **_: Any) -> None:
        """Remember what is asked."""
        body = params.get("body")
        said = repr((params.get("url_path"), params.get("query_string"), body)).encode()
        self._asked = f"{model.name} {hashlib.sha256(said).hexdigest()}"

    def after(self, http_response: Any, parsed: Any, model: Any, **_: Any) -> None:
        """Die, if something was changed that was not before."""
        if http_response.status_code >= 300 or model.name.startswith(_READS):
            return
        if self._asked in self._seen.read_text().splitlines():
            return
        with self._seen.open("a") as file:
            file.write(self._asked + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.kill(os.getpid(), signal.SIGKILL)


def interrupt(folder: Path, seen: Path, words: list[str]) -> int:
    """Run the command until it comes through; its exit code."""
    os.chdir(folder)
    seen.touch()
    for _ in range(_RUNS_MOST):
        child = os.fork()
        if child == 0:
            interruption = Interruption(seen)
            handlers.BUILTIN_HANDLERS.append(("before-call", interruption.before))
            handlers.BUILTIN_HANDLERS.append(("after-call", interruption.after))
            code = main.run(words)
            sys.stdout.flush()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            return os.WEXITSTATUS(status)
        assert os.WTERMSIG(status) == signal.SIGKILL
    raise AssertionError(f"not done after {_RUNS_MOST} runs:\n{seen.read_text()}")


def run() -> None:
    """What the commands on standard input say, one JSON list a line."""
    folder, seen = Path(sys.argv[1]), Path(sys.argv[2])
    target = Target("http://127.0.0.1:9")
    for service in ("sts", "iam", "lambda", "cloudfront", "cloudfront-keyvaluestore"):
        # Its model is read once, for every child.
        target.client(service)
    target.close()
    for line in sys.stdin:
        seen.unlink(missing_ok=True)
        code = interrupt(folder, seen, json.loads(line))
        killed = [one.partition(" ")[0] for one in seen.read_text().splitlines()]
        print(json.dumps({"code": code, "killed": killed}), flush=True)


if __name__ == "__main__":
    run()
