"""The Lambda function `answer-generator`: the state machine's input in, answers out.

Input:  {"event_id", "user_id", "actions": [], "reason", "occurred_at"}
Output: {"event_id", "user_id", "answers": [artifact, …], "problems": [], "unfinished": [],
         "usage": {"input_tokens", "output_tokens", "usd"}}

Everything that does not depend on the event is made here, at import: the data set, the client and
its connections, the threads. A wrong declaration of a task (`origin/tasks.toml`) ends the import.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from origin.dataset import load_data_set
from origin.model import DEFAULT_MODEL_ID, MODEL_ID_VARIABLE, open_model
from origin.precompute.answering import Answering
from origin.precompute.metrics import metric_line
from origin.prices import load_prices

# Three prompts at once, and room for those that an earlier call has given up on.
_THREADS = 16
_MODEL_ID = os.environ.get("MODEL_ID") or os.environ.get(MODEL_ID_VARIABLE) or DEFAULT_MODEL_ID

ANSWERING = Answering(
    model=open_model({MODEL_ID_VARIABLE: _MODEL_ID}, max_connections=_THREADS),
    data=load_data_set(),
    prices=load_prices(_MODEL_ID),
    threads=ThreadPoolExecutor(_THREADS, thread_name_prefix="prompt"),
)


def handler(event: object, context: Any) -> dict[str, Any]:
    """Make the answers of one event; raises when there is none."""
    result = ANSWERING.answer(event, remaining_s=context.get_remaining_time_in_millis() / 1000)
    _tell(result)
    return result


def _tell(result: dict[str, Any]) -> None:
    usage = result["usage"]
    values = {
        "Answers": len(result["answers"]),
        "Problems": len(result["problems"]),
        "InputTokens": usage["input_tokens"],
        "OutputTokens": usage["output_tokens"],
        "CostUsd": usage["usd"],
    }
    now_ms = int(time.time() * 1000)
    print(metric_line("answer-generator", values, units={"CostUsd": "None"}, now_ms=now_ms))
    for problem in result["problems"]:
        print(f"[WARNING] {result['user_id']} {problem}")
