"""State machines of Step Functions, run natively: one coroutine an execution, thousands at once.

The nouns, in Step Functions' own words:

- A **state machine** is a definition in Amazon States Language; its laws are in `rules/asl_*`.
- An **execution** is one run of it (`runner.py`), with a **history** of events (`history.py`).
- A **task** calls a **service integration** (`tasks.py`): an optimized one such as
  `lambda:invoke`, or any operation of an SDK, all through one call that the endpoint hands in.
- A **task token** lets somebody else end a task, `.waitForTaskToken` (`tokens.py`).

The second runner of the same definitions is moto's interpreter (`aws/step_functions`); a table of
definitions in the tests holds both to the same outcome.
"""

from emulator.runtimes.state_machine.history import History
from emulator.runtimes.state_machine.runner import StateMachineRunner
from emulator.runtimes.state_machine.tokens import TaskTokens

__all__ = ["History", "StateMachineRunner", "TaskTokens"]
