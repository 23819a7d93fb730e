"""Batch inference's files: JSONL of prompts in, JSONL of answers and a manifest out.

AWS: "Format and upload your batch inference data" and "View the results of a batch inference job",
Amazon Bedrock User Guide (batch-inference-data, batch-inference-results), read 2026-11-21.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

_S3_URI = re.compile(r"s3://([a-z0-9][-.a-z0-9]{1,61}[a-z0-9])/(.*)")


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """One line of input.

    Args:
        id: Its recordId; made up by Bedrock when it has none.
        model_input: The body of InvokeModel; None when the line is no record.
        line: As it was written.
    """

    id: str
    model_input: Any
    line: str


def parse_s3_uri(uri: str) -> tuple[str, str] | None:
    """Bucket and key; None for what is no S3 URI."""
    match = _S3_URI.fullmatch(uri)
    return (match[1], match[2]) if match else None


def parse_records(text: str) -> list[BatchRecord]:
    """The records of a file; empty lines are none."""
    found = []
    for number, line in enumerate(text.splitlines()):
        if not line.strip():
            continue
        try:
            shape = json.loads(line)
        except (ValueError, RecursionError):
            shape = None
        made_up = f"CALL{number:07d}"
        if not isinstance(shape, dict) or not isinstance(shape.get("modelInput"), dict):
            found.append(BatchRecord(made_up, None, line))
            continue
        named = shape.get("recordId")
        record_id = named if isinstance(named, str) and named else made_up
        found.append(BatchRecord(record_id, shape["modelInput"], line))
    return found


def dump_answer(record: BatchRecord, model_output: bytes) -> bytes:
    """The line of a record that was answered."""
    return orjson.dumps(
        {
            "modelInput": record.model_input,
            "modelOutput": orjson.loads(model_output),
            "recordId": record.id,
        }
    )


def dump_failure(record: BatchRecord, code: int, message: str) -> bytes:
    """The line of a record that was not."""
    return orjson.dumps(
        {
            "modelInput": record.model_input,
            "error": {"errorCode": code, "errorMessage": message},
            "recordId": record.id,
        }
    )


def dump_manifest(counts: Mapping[str, int]) -> bytes:
    """`manifest.json.out`."""
    return orjson.dumps(dict(counts))
