"""The Lambda function `answer-cycle`: one run of a cycle, or the collecting of batch jobs.

Input:  {"cycle": "6h", "scheduled_at": "2026-11-20T01:30:00Z"}   from EventBridge Scheduler
        anything without a cycle, such as Bedrock's own event that a batch job's state has changed:
        only collect
Output: what came of it (`origin.precompute.cycle.Report`)
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

import boto3

from origin.dataset import load_data_set
from origin.events import BUS_VARIABLE, EventBus
from origin.model import DEFAULT_MODEL_ID, MODEL_ID_VARIABLE, open_model
from origin.precompute.answering import Answering
from origin.precompute.batch import Batches
from origin.precompute.cycle import CycleError, CycleRunner, Report
from origin.precompute.queue import AnswerQueue
from origin.prices import load_prices
from origin.request_log import RequestLog, read_log_bytes
from origin.schedules import load_cycles

_THREADS = 32
# The newest files of the access log say enough about who is active.
_LOG_FILES = 20
_MODEL_ID = os.environ.get("MODEL_ID") or os.environ.get(MODEL_ID_VARIABLE) or DEFAULT_MODEL_ID

CYCLES = load_cycles()
_SESSION = boto3.Session()
_S3 = _SESSION.client("s3")


def _open_runner() -> CycleRunner:
    batch_bucket, bus_name = os.environ.get("BATCH_BUCKET"), os.environ.get(BUS_VARIABLE)
    return CycleRunner(
        answering=Answering(
            model=open_model({MODEL_ID_VARIABLE: _MODEL_ID}, max_connections=_THREADS),
            data=load_data_set(),
            prices=load_prices(_MODEL_ID),
            threads=ThreadPoolExecutor(_THREADS, thread_name_prefix="prompt"),
            # Nobody else asks again for a cycle.
            retry_s=30.0,
        ),
        queue=AnswerQueue(_SESSION.client("sqs"), os.environ["ANSWER_QUEUE_URL"]),
        batches=Batches(
            bedrock=_SESSION.client("bedrock"),
            s3=_S3,
            bucket=batch_bucket,
            role_arn=os.environ["BATCH_ROLE_ARN"],
            model_id=_MODEL_ID,
        )
        if batch_bucket
        else None,
        bus=EventBus(_SESSION.client("events"), bus_name) if bus_name else None,
        distribution_url=os.environ.get("DISTRIBUTION_URL", ""),
    )


RUNNER = _open_runner()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Run what the event names."""
    name = event.get("cycle")
    if name is None:
        report = Report("collect", str(event.get("id", "")), off_peak=True)
        RUNNER.collect(report)
    elif name in CYCLES:
        report = RUNNER.run(
            CYCLES[name],
            _read_log(),
            scheduled_at=str(event.get("scheduled_at", "")),
            remaining_s=context.get_remaining_time_in_millis() / 1000,
        )
    else:
        raise CycleError(f"no cycle {str(name)[:64]!r} (known: {', '.join(CYCLES)})")
    shape = asdict(report)
    print(json.dumps(shape, separators=(",", ":")))
    return shape


def _read_log() -> RequestLog:
    """The request log under REQUEST_LOG_URI (s3://bucket/prefix); an empty one when there is none.

    Whatever is wrong with it, the cycle goes on: the log only says in which order.
    """
    where = urlsplit(os.environ.get("REQUEST_LOG_URI", ""))
    if where.scheme != "s3":
        return RequestLog(())
    requests, unreadable = [], 0
    try:
        listed = _S3.list_objects_v2(Bucket=where.netloc, Prefix=where.path.lstrip("/"))
        files = sorted(listed.get("Contents", ()), key=lambda one: one["LastModified"])
        for one in files[-_LOG_FILES:]:
            raw = _S3.get_object(Bucket=where.netloc, Key=one["Key"])["Body"].read()
            log = read_log_bytes(raw)
            requests += log.requests
            unreadable += log.unreadable
    except Exception as error:
        print(f"[ERROR] the request log cannot be read: {type(error).__name__}: {error}")
    return RequestLog(tuple(sorted(requests, key=lambda one: one.at_s)), unreadable)
