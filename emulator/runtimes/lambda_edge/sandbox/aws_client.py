"""The second way to run a Python package: AWS's own runtime interface client, `awslambdaric`.

Started as `python -I aws_client.py <configuration as JSON> <fd>`. It sets the process up as the
other sandboxes are (folder, modules in sight, limits) and then becomes `python -m awslambdaric`,
which asks the Runtime API in AWS_LAMBDA_RUNTIME_API for its events (`runtime_api.py`). Nothing of
ours runs from there on.
"""

from __future__ import annotations

import importlib.util
import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any

# What awslambdaric brings; Lambda's own image has it as well.
_OF_THE_CLIENT = frozenset({"awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py"})


def _python_runtime() -> Any:
    spec = importlib.util.spec_from_file_location(
        "_localpop_runtime", Path(__file__).with_name("python_runtime.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Become the client."""
    config: dict[str, Any] = json.loads(sys.argv[1])
    runtime = _python_runtime()
    guard = runtime.hide_our_modules(runtime.MANAGED_MODULES | _OF_THE_CLIENT)
    os.chdir(config["task_root"])
    guard.allowed |= frozenset(config["allowed_modules"])
    guard.task_root = config["task_root"]
    sys.path.insert(0, config["task_root"])
    sys.pycache_prefix = config["pycache"]
    runtime.watch_parent()
    runtime.limit_resources(config)
    sys.argv = ["awslambdaric", config["handler"]]
    runpy.run_module("awslambdaric", run_name="__main__", alter_sys=True)


main()
