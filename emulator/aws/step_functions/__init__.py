"""AWS Step Functions at the endpoint.

A **state machine** comes from the template or from CreateStateMachine (`machines.py`); only the
latter is kept over a restart. An **execution** (`executions.py`) is run by one of two runners of
the same definition: the native one (`runtimes/state_machine`, for load) or moto's interpreter
(`interpreter.py`, for validation). The API (`api.py`) is the same for both.
"""
