"""Lambda@Edge: the packaged handler, run as Lambda runs it.

The nouns, in Lambda's own words:

- A **function** is declared once (`LambdaDeclaration`), loaded once (`LoadedLambda`), and has a
  **replica** in each Region where it runs.
- An **execution environment**, or sandbox, is one process that holds the handler's module and
  takes one event at a time (`environment.py`; what runs inside is in `sandbox/`). Its module state
  lives as long as it does. A **cold start** is the first run of a new one.
- The **pool** decides how many there are and who gets one (`pool.py`).
- A **package** is the folder that Lambda would unpack (`package.py`); a handler finds its own
  files, what Lambda ships and what its requirements.txt names, and nothing else (`modules.py`).

Functions that run in their Region, and not at the edge, run in the same sandboxes: with variables,
with Lambda's own limits, and in a pool of their own, so that no viewer waits for them.

What a sandbox is not: a wall. A handler runs as the user who started the emulator, with that user's
files, network and real `/tmp` (`TMPDIR` is its own), and goes on running between two invocations,
where Lambda would freeze it.
"""

from emulator.runtimes.lambda_edge.functions import (
    LambdaFunctionError,
    LambdaFunctions,
    LoadedLambda,
)
from emulator.runtimes.lambda_edge.package import build
from emulator.runtimes.lambda_edge.pool import Occupancy

__all__ = ["LambdaFunctionError", "LambdaFunctions", "LoadedLambda", "Occupancy", "build"]
