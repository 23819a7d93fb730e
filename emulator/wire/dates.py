"""Dates as AWS writes them."""

from __future__ import annotations

import datetime


def iso_date(epoch_ms: float) -> str:
    """A moment as CloudFront writes it: `2026-11-21T11:00:00.123Z`."""
    moment = datetime.datetime.fromtimestamp(epoch_ms / 1e3, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1_000:03}Z"
