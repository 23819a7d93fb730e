"""Batch inference of Amazon Bedrock: JSONL from S3, the same models, JSONL to S3.

AWS: "Process multiple prompts with batch inference", Amazon Bedrock User Guide, and the API
reference of CreateModelInvocationJob, read 2026-11-21. A job passes through AWS's states, each of
them short: at AWS a job waits for minutes or hours. Roles, VPCs and encryption are accepted and
have no effect. Jobs are kept in memory, as S3's objects are.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from starlette.types import ASGIApp

from emulator import quotas
from emulator.aws.answers import Answer
from emulator.aws.bedrock.models import find_model
from emulator.aws.call import ApiCall
from emulator.aws.cloudfront.control_plane import ACCOUNT_ID
from emulator.aws.models import LazyModel
from emulator.clock import Clock
from emulator.errors import ApiError, NotEmulated
from emulator.wire.bedrock_batch import (
    BatchRecord,
    dump_answer,
    dump_failure,
    dump_manifest,
    parse_records,
    parse_s3_uri,
)
from emulator.wire.dates import iso_date
from emulator.wire.service_model_words import ErrorWords

CallService: TypeAlias = Callable[[str, str, Mapping[str, Any]], Awaitable[dict[str, Any]]]
Operation: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]
Tell: TypeAlias = Callable[[str, str, Mapping[str, Any]], None]
"""An event of an AWS service: (source, detail type, detail)."""

_JOB_PATH = re.compile(r"/model-invocation-jobs?(/|$)")
_NAME = re.compile(r"[a-zA-Z0-9]{1,63}(-*[a-zA-Z0-9\+\-\.]){0,63}")
_REGION: Final = "us-east-1"
_BODY_MAX_BYTES: Final = 1 * quotas.MB
# How many records are asked at a time; a real job has capacity of its own.
_AT_ONCE: Final = 32
_TRIES: Final = 10
_STATE_MS: Final = 200.0
_ENDED: Final = frozenset({"Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired"})

_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Job:
    """One job.

    Args:
        id: Its id, 12 letters and digits.
        given: What CreateModelInvocationJob was given.
        submitted_ms: When, epoch ms.
    """

    id: str
    given: Mapping[str, Any]
    submitted_ms: float
    changed_ms: float
    status: str = "Submitted"
    message: str = ""
    ended_ms: float | None = None
    counts: dict[str, int] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None

    @property
    def arn(self) -> str:
        """Its ARN."""
        return f"arn:aws:bedrock:{_REGION}:{ACCOUNT_ID}:model-invocation-job/{self.id}"


class BedrockJobs:
    """The service `bedrock`, as far as it is batch inference.

    Args:
        clock: Dates, and the time that states take.
        call: The other services: `s3`, and `bedrock-runtime` for the models.
        others: Answers everything else.
        tell: Told of each change of a job's state.
        chance: Where ids come from.
        records_min: The least records of a job.
    """

    def __init__(
        self,
        clock: Clock,
        call: CallService,
        others: Callable[[ApiCall], Awaitable[ASGIApp]] | None = None,
        tell: Tell = lambda source, kind, detail: None,
        *,
        chance: random.Random | None = None,
        records_min: int = quotas.BEDROCK_BATCH_RECORDS_MIN,
    ) -> None:
        self._clock, self._call, self._others, self._tell = clock, call, others, tell
        self._chance, self._records_min = chance or random.Random(), records_min
        self._jobs: dict[str, _Job] = {}
        self._model = LazyModel("bedrock", ErrorWords("ValidationException", "ValidationException"))
        self._operations: Mapping[str, Operation] = {
            "CreateModelInvocationJob": self._create,
            "GetModelInvocationJob": self._get,
            "ListModelInvocationJobs": self._list,
            "StopModelInvocationJob": self._stop,
        }

    async def __call__(self, call: ApiCall) -> ASGIApp:
        """Answer a call.

        Raises:
            ApiError: Bedrock's refusals.
            NotEmulated: Another operation, when nobody else answers it.
        """
        if not _JOB_PATH.match(call.path):
            if self._others is None:
                raise NotEmulated(f"The AWS operation bedrock:{call.method} {call.path}")
            return await self._others(call)
        model = await self._model.get()
        matched = model.match(call.method, call.path, call.query)
        if matched is None or matched.operation not in self._operations:
            raise NotEmulated(f"The AWS operation bedrock:{call.method} {call.path}")
        body = await call.body(_BODY_MAX_BYTES, lambda: _invalid("The request is too large"))
        given = model.read_input(matched, call.query, call.headers, body)
        output = await self.call(matched.operation, given)
        written = model.write_output(matched.operation, output)
        return Answer(written.status, written.body or b"{}", headers=dict(written.headers))

    async def call(self, operation: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Do an operation without HTTP (`in_process`).

        Raises:
            ApiError: Bedrock's refusals.
            NotEmulated: An operation that is not there.
        """
        known = self._operations.get(operation)
        if known is None:
            raise NotEmulated(f"The AWS operation bedrock:{operation}")
        return await known(given)

    async def close(self) -> None:
        """End every job."""
        tasks = [job.task for job in self._jobs.values() if job.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def reset(self) -> None:
        """Forget every job."""
        await self.close()
        self._jobs.clear()

    # --- operations -----------------------------------------------------------------------------

    async def _create(self, given: Mapping[str, Any]) -> dict[str, Any]:
        name, token = given["jobName"], given.get("clientRequestToken")
        for job in self._jobs.values():
            if token and job.given.get("clientRequestToken") == token:
                return {"jobArn": job.arn}
            if job.given["jobName"] == name and job.status not in _ENDED:
                raise ApiError(400, "ConflictException", f"A job named {name} is under way.")
        if not _NAME.fullmatch(name):
            raise _invalid(f"The job name {name[:80]!r} is not valid.")
        today = iso_date(self._clock.epoch_ms())[:10]
        _require_model(given["modelId"], today)
        _location(given["inputDataConfig"]["s3InputDataConfig"]["s3Uri"])
        _location(given["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"])
        hours = given.get("timeoutDurationInHours", 24)
        if not 24 <= hours <= 168:
            raise _invalid("timeoutDurationInHours must be 24 to 168.")
        letters = "abcdefghijklmnopqrstuvwxyz0123456789"
        job_id = "".join(self._chance.choices(letters, k=12))
        now_ms = self._clock.epoch_ms()
        job = _Job(job_id, dict(given), now_ms, now_ms)
        self._jobs[job_id] = job
        job.task = asyncio.create_task(self._run(job))
        return {"jobArn": job.arn}

    async def _get(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return self._shape(self._find(given["jobIdentifier"]))

    async def _list(self, given: Mapping[str, Any]) -> dict[str, Any]:
        jobs = [
            job
            for job in self._jobs.values()
            if given.get("statusEquals") in (None, job.status)
            and str(given.get("nameContains") or "") in job.given["jobName"]
        ]
        jobs.sort(key=lambda job: job.submitted_ms, reverse=given.get("sortOrder") != "Ascending")
        start = int(given.get("nextToken") or 0)
        most = int(given.get("maxResults") or 1_000)
        shape: dict[str, Any] = {
            "invocationJobSummaries": [self._shape(job) for job in jobs[start : start + most]]
        }
        if start + most < len(jobs):
            shape["nextToken"] = str(start + most)
        return shape

    async def _stop(self, given: Mapping[str, Any]) -> dict[str, Any]:
        job = self._find(given["jobIdentifier"])
        if job.status in _ENDED:
            raise ApiError(400, "ConflictException", f"The job is {job.status}, it cannot stop.")
        if job.task is not None:
            self._change(job, "Stopping")
            job.task.cancel()
        return {}

    def _find(self, identifier: str) -> _Job:
        job = self._jobs.get(identifier.rpartition("/")[2])
        if job is None:
            raise ApiError(
                404, "ResourceNotFoundException", f"Could not find the job {identifier[:200]}"
            )
        return job

    def _shape(self, job: _Job) -> dict[str, Any]:
        kept = (
            "jobName",
            "modelId",
            "clientRequestToken",
            "roleArn",
            "inputDataConfig",
            "outputDataConfig",
            "timeoutDurationInHours",
        )
        shape = {name: job.given[name] for name in kept if name in job.given}
        shape |= {
            "jobArn": job.arn,
            "status": job.status,
            "submitTime": job.submitted_ms,
            "lastModifiedTime": job.changed_ms,
            **{name: one for name, one in job.counts.items() if name.endswith("RecordCount")},
        }
        if job.message:
            shape["message"] = job.message
        if job.ended_ms is not None:
            shape["endTime"] = job.ended_ms
        return shape

    # --- a job's way ----------------------------------------------------------------------------

    async def _run(self, job: _Job) -> None:
        try:
            for status in ("Validating", "Scheduled"):
                await self._clock.sleep_ms(_STATE_MS)
                self._change(job, status)
                if status == "Validating":
                    files = await self._files(job)
            await self._clock.sleep_ms(_STATE_MS)
            self._change(job, "InProgress")
            await self._answer(job, files)
        except asyncio.CancelledError:
            self._change(job, "Stopped")
        except ApiError as error:
            self._change(job, "Failed", error.message)
        except Exception as error:
            _log.exception("The batch inference job %s failed inside of localpop", job.id)
            self._change(job, "Failed", f"localpop failed; its log has the reason: {error}")

    def _change(self, job: _Job, status: str, message: str = "") -> None:
        job.status, job.message, job.changed_ms = status, message, self._clock.epoch_ms()
        if status in _ENDED:
            job.ended_ms = job.changed_ms
        detail = {
            "version": "0.0",
            "accountId": ACCOUNT_ID,
            "batchJobName": job.given["jobName"],
            "batchJobArn": job.arn,
            "batchModelId": job.given["modelId"],
            "status": status,
            "failureMessage": message,
            "creationTime": iso_date(job.submitted_ms),
        }
        self._tell("aws.bedrock", "Batch Inference Job State Change", detail)

    async def _files(self, job: _Job) -> list[tuple[str, list[BatchRecord]]]:
        """The input's files with their records.

        Raises:
            ApiError: There is none, or there are too few records or too many.
        """
        bucket, key = _location(job.given["inputDataConfig"]["s3InputDataConfig"]["s3Uri"])
        listed = await self._call("s3", "ListObjectsV2", {"Bucket": bucket, "Prefix": key})
        keys = [one["Key"] for one in listed.get("Contents") or ()]
        keys = [one for one in keys if one == key or key.endswith("/") or not key]
        keys = [one for one in keys if one.endswith(".jsonl")]
        if not keys:
            raise _invalid(f"No .jsonl file was found at s3://{bucket}/{key}.")
        files = []
        for one in keys:
            answer = await self._call("s3", "GetObject", {"Bucket": bucket, "Key": one})
            text = _bytes(answer["Body"]).decode("utf-8", "replace")
            files.append((one.rpartition("/")[2], parse_records(text)))
        count = sum(len(records) for _, records in files)
        if count < self._records_min:
            raise _invalid(
                f"Batch job {job.arn} contains less records ({count}) than the required minimum "
                f"of: {self._records_min}"
            )
        if count > quotas.BEDROCK_BATCH_RECORDS_MAX:
            raise _invalid(
                f"Batch job {job.arn} contains more records ({count}) than the allowed maximum "
                f"of: {quotas.BEDROCK_BATCH_RECORDS_MAX}"
            )
        job.counts = dict.fromkeys(_COUNTS, 0) | {"totalRecordCount": count}
        return files

    async def _answer(self, job: _Job, files: list[tuple[str, list[BatchRecord]]]) -> None:
        bucket, prefix = _location(job.given["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"])
        folder = f"{prefix.rstrip('/')}/{job.id}".lstrip("/")
        turns = asyncio.Semaphore(_AT_ONCE)
        for name, records in files:
            lines = await asyncio.gather(*(self._line(job, record, turns) for record in records))
            body = b"\n".join(lines) + b"\n"
            given = {"Bucket": bucket, "Key": f"{folder}/{name}.out", "Body": body}
            await self._call("s3", "PutObject", given)
        manifest = {"Bucket": bucket, "Key": f"{folder}/manifest.json.out"}
        await self._call("s3", "PutObject", {**manifest, "Body": dump_manifest(job.counts)})
        # "PartiallyCompleted" is for a job that ran out of time; records may fail in a whole one.
        self._change(job, "Completed")

    async def _line(self, job: _Job, record: BatchRecord, turns: asyncio.Semaphore) -> bytes:
        async with turns:
            try:
                body = await self._asked(job, record)
                line, counted = dump_answer(record, body), "successRecordCount"
                usage = json.loads(body).get("usage") or {}
                job.counts["inputTokenCount"] += int(usage.get("input_tokens", 0))
                job.counts["outputTokenCount"] += int(usage.get("output_tokens", 0))
            except ApiError as error:
                line = dump_failure(record, error.status, error.message)
                counted = "errorRecordCount"
            job.counts[counted] += 1
            job.counts["processedRecordCount"] += 1
            return line

    async def _asked(self, job: _Job, record: BatchRecord) -> bytes:
        """The model's answer; a throttled call is made again, as a job with its own capacity."""
        if record.model_input is None:
            raise ApiError(400, "ValidationException", "The record is not valid JSON")
        body = json.dumps(record.model_input).encode()
        for number in range(_TRIES):
            try:
                given = {"modelId": job.given["modelId"], "body": body}
                output = await self._call("bedrock-runtime", "InvokeModel", given)
                return _bytes(output["body"])
            except ApiError as error:
                if error.status != 429 or number == _TRIES - 1:
                    raise
                await self._clock.sleep_ms(100 * 2**number)
        raise AssertionError("the last try returns or raises")


_COUNTS: Final = (
    "totalRecordCount",
    "processedRecordCount",
    "successRecordCount",
    "errorRecordCount",
    "inputTokenCount",
    "outputTokenCount",
)


def _bytes(body: Any) -> bytes:
    return bytes(body.read() if hasattr(body, "read") else body)


def _location(uri: str) -> tuple[str, str]:
    found = parse_s3_uri(uri)
    if found is None:
        raise _invalid(f"{uri[:200]!r} is not an S3 URI, s3://bucket/key")
    return found


def _require_model(model_id: str, today: str) -> None:
    from datetime import date

    find_model(model_id, date.fromisoformat(today))


def _invalid(message: str) -> ApiError:
    return ApiError(400, "ValidationException", message)
