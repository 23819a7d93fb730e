"""Many prompts at half the price: Amazon Bedrock batch inference, from submission to messages.

A job is a JSONL file of prompts in S3 and, some time later, a JSONL file of answers (Amazon Bedrock
User Guide "Process multiple prompts with batch inference",
https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference.html). Nobody waits for it: who
submits a job leaves a note beside it, and whoever comes later collects what is done. A note goes
only after its answers are on the queue, so a death between the two sends them twice, which the
writer does not mind, and never loses them.

    jobs/<name>/input.jsonl        {"recordId": "R0000000001", "modelInput": {…}}
    jobs/<name>/output/…           {"recordId": …, "modelOutput": {…}} or {…, "error": {…}}
    pending/<name>.json            the note: the job's ARN, and whose answer each record is
    failed/<name>.json             the note of a job that gave nothing, with the reason
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from origin.model import Completion, Prompt, message_body
from origin.precompute.judging import judge

logger = logging.getLogger(__name__)

MIN_RECORDS: Final = 100
"""Fewer are refused (Service Quotas of Amazon Bedrock, "Minimum number of records per batch
inference job"); they are asked for one by one instead."""

MAX_RECORDS: Final = 50_000
"""Quota "Records per batch inference job"."""

_GAVE_ANSWERS = {"Completed", "PartiallyCompleted"}
_GAVE_NOTHING = {"Failed", "Stopped", "Expired"}


class BatchError(Exception):
    """A batch job could not be submitted or read; the message says why."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One answer that a job is to give.

    Attributes:
        user_id: Whose.
        action_id: Which.
        prompt: What the model gets.
    """

    user_id: str
    action_id: str
    prompt: Prompt


@dataclass(frozen=True, slots=True)
class Note:
    """What has to be known to collect a job.

    Attributes:
        name: The job's name.
        job_arn: Its ARN.
        event_id: What its answers carry.
        generated_at_ms: When the prompts' data were read.
        records: Record id -> user, action and the prompt's hash.
    """

    name: str
    job_arn: str
    event_id: str
    generated_at_ms: int
    records: Mapping[str, tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """One record of a job that is over; `problem` says why there is no text."""

    user_id: str
    action_id: str
    text: str
    problem: str
    source_hash: str
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Collected:
    """A job that is over."""

    note: Note
    answers: tuple[BatchAnswer, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Batches:
    """Jobs of one model in one bucket.

    Attributes:
        bedrock: boto3's `bedrock`.
        s3: boto3's `s3`.
        bucket: Where everything lies.
        role_arn: The role by which Bedrock reads and writes there.
        model_id: Whom to ask.
    """

    bedrock: Any
    s3: Any
    bucket: str
    role_arn: str
    model_id: str

    def submit(
        self,
        name: str,
        event_id: str,
        wanted: Sequence[Wanted],
        hashes: Sequence[str],
        *,
        now_ms: int,
    ) -> Note:
        """Send prompts on their way; returns at once.

        Args:
            name: The job's name, different for each job (1 to 63 of a-z, A-Z, 0-9 and '-').
            event_id: What the answers will carry.
            wanted: The prompts.
            hashes: The content hash of each.
            now_ms: Epoch milliseconds at which the data were read.

        Raises:
            BatchError: There are too few or too many, or AWS refused.
        """
        if not MIN_RECORDS <= len(wanted) <= MAX_RECORDS:
            raise BatchError(f"{len(wanted)} records: {MIN_RECORDS} to {MAX_RECORDS} make a job")
        ids = [f"R{number:010d}" for number in range(len(wanted))]
        lines = (
            json.dumps({"recordId": one_id, "modelInput": message_body(one.prompt)})
            for one_id, one in zip(ids, wanted, strict=True)
        )
        folder = f"jobs/{name}"
        try:
            self._write(f"{folder}/input.jsonl", "\n".join(lines) + "\n")
            job = self.bedrock.create_model_invocation_job(
                jobName=name,
                roleArn=self.role_arn,
                modelId=self.model_id,
                # A second call of the same name is the same job.
                clientRequestToken=name,
                inputDataConfig={
                    "s3InputDataConfig": {
                        "s3InputFormat": "JSONL",
                        "s3Uri": f"s3://{self.bucket}/{folder}/input.jsonl",
                    }
                },
                outputDataConfig={
                    "s3OutputDataConfig": {"s3Uri": f"s3://{self.bucket}/{folder}/output/"}
                },
            )
            records = {
                one_id: (one.user_id, one.action_id, one_hash)
                for one_id, one, one_hash in zip(ids, wanted, hashes, strict=True)
            }
            note = Note(name, str(job["jobArn"]), event_id, now_ms, records)
            self._write(f"pending/{name}.json", _dump_note(note))
        except (BotoCoreError, ClientError) as error:
            raise BatchError(f"the batch job {name} was not submitted: {error}") from error
        return note

    def collect(self) -> Iterator[Collected]:
        """Yield every job that is over, the oldest first; `forget` each when it is dealt with.

        Raises:
            BatchError: S3 or Bedrock cannot be asked.
        """
        for note in self._notes():
            try:
                job = self.bedrock.get_model_invocation_job(jobIdentifier=note.job_arn)
                status = str(job["status"])
                if status in _GAVE_ANSWERS:
                    yield Collected(note, tuple(self._answers(note)))
                elif status in _GAVE_NOTHING:
                    yield Collected(note, (), f"{status}: {job.get('message') or 'no message'}")
            except (BotoCoreError, ClientError) as error:
                raise BatchError(f"the batch job {note.name} cannot be read: {error}") from error

    def forget(self, collected: Collected) -> None:
        """Take the note away; that of a job which gave nothing is kept under `failed/`.

        Raises:
            BatchError: S3 cannot be asked.
        """
        note = collected.note
        try:
            if collected.problem:
                kept = {**json.loads(_dump_note(note)), "problem": collected.problem}
                self._write(f"failed/{note.name}.json", json.dumps(kept))
            self.s3.delete_object(Bucket=self.bucket, Key=f"pending/{note.name}.json")
        except (BotoCoreError, ClientError) as error:
            raise BatchError(f"the note of {note.name} cannot be removed: {error}") from error

    def _notes(self) -> Iterator[Note]:
        for key in self._keys("pending/"):
            try:
                yield _parse_note(self._read(key).decode())
            except (ValueError, KeyError, TypeError) as error:
                logger.error("s3://%s/%s is not a note of a job: %r", self.bucket, key, error)

    def _answers(self, note: Note) -> Iterator[BatchAnswer]:
        left = dict(note.records)
        for key in self._keys(f"jobs/{note.name}/output/"):
            # The manifest lies beside it, as manifest.json.out.
            if not key.endswith(".jsonl.out"):
                continue
            for line in self._read(key).decode("utf-8", "replace").splitlines():
                answer = _parse_record(line, left)
                if answer is not None:
                    yield answer
        for user_id, action_id, source_hash in left.values():
            problem = "the job gave no record of it"
            yield BatchAnswer(user_id, action_id, "", problem, source_hash, 0, 0)

    def _keys(self, prefix: str) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        try:
            found = [one["Key"] for page in pages for one in page.get("Contents", ())]
        except (BotoCoreError, ClientError) as error:
            raise BatchError(f"s3://{self.bucket}/{prefix} cannot be listed: {error}") from error
        return sorted(found)

    def _read(self, key: str) -> bytes:
        body: bytes = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def _write(self, key: str, text: str) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=text.encode())


def _dump_note(note: Note) -> str:
    return json.dumps(
        {
            "name": note.name,
            "job_arn": note.job_arn,
            "event_id": note.event_id,
            "generated_ms": note.generated_at_ms,
            "records": {one: list(whose) for one, whose in note.records.items()},
        }
    )


def _parse_note(text: str) -> Note:
    shape: Any = json.loads(text)
    records = {
        str(one): (str(user_id), str(action_id), str(source_hash))
        for one, (user_id, action_id, source_hash) in shape["records"].items()
    }
    name, job_arn, event_id = (str(shape[member]) for member in ("name", "job_arn", "event_id"))
    return Note(name, job_arn, event_id, int(shape["generated_ms"]), records)


def _parse_record(line: str, left: dict[str, tuple[str, str, str]]) -> BatchAnswer | None:
    """One line of output, taken off the list of records; None when it is none of them."""
    try:
        shape: Any = json.loads(line)
        user_id, action_id, source_hash = left.pop(str(shape["recordId"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    tokens_in = tokens_out = 0
    text = ""
    try:
        if "error" in shape:
            words = shape["error"]
            problem = f"{words.get('errorCode')}: {words.get('errorMessage')}"
        else:
            output = shape["modelOutput"]
            tokens_in = int(output["usage"]["input_tokens"])
            tokens_out = int(output["usage"]["output_tokens"])
            judgement = judge(
                Completion(
                    "".join(part["text"] for part in output["content"] if part["type"] == "text"),
                    tokens_in,
                    tokens_out,
                    str(output["stop_reason"]),
                )
            )
            text, problem = judgement.text, judgement.problem
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        problem = f"not an answer of the Messages API: {error!r}"
    return BatchAnswer(user_id, action_id, text, problem, source_hash, tokens_in, tokens_out)
