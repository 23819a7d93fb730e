"""Synthetic recordings, as files of samples."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from loadtests.samples import DeliveryPath, Recording, Sample, SampleWriter

PATHS = {
    DeliveryPath.EDGE_FUNCTION: 12.0,
    DeliveryPath.EDGE_LAMBDA: 40.0,
    DeliveryPath.FALLBACK_STREAMED: 700.0,
}


def recording(seed: int, *, slower: float = 1.0, age_s: float = 0.0, **facts: Any) -> Recording:
    """A run that began `age_s` ago, 1,200 answers from two places."""
    rng = random.Random(seed)
    samples = tuple(_sample(rng, number, slower) for number in range(1_200))
    started = datetime.now(UTC) - timedelta(seconds=age_s)
    run: Mapping[str, Any] = {
        "host": "http://127.0.0.1:8080",
        "started": started.isoformat(timespec="seconds"),
        "run_time_s": 30,
        "warmup_s": 1.0,
        "seed": seed,
        "rate_per_s": 40.0,
        "profile": "constant",
        "arrivals": "poisson",
        "places": ["LHR/fibre", "NRT/5g"],
        "fallback_share": 0.35,
        "lambda_share": 0.3,
        "stream_share": 1.0,
        "viewers": 2,
        "max_lag_ms": 50.0,
        **facts,
    }
    return Recording(run, samples, {"elapsed_s": 30.0, "unfinished": 0, "stopped_early": False})


def write(path: Path, made: Recording) -> Path:
    """As a samples file."""
    writer = SampleWriter(path, made.run)
    for sample in made.samples:
        writer.add(sample)
    writer.close(made.end)
    return path


def _sample(rng: random.Random, number: int, slower: float) -> Sample:
    path = rng.choice(list(PATHS))
    ms = PATHS[path] * rng.lognormvariate(0, 0.3) * slower
    return Sample(
        intended_s=number * 0.025,
        lag_ms=0.2,
        place=rng.choice(["LHR/fibre", "NRT/5g"]),
        path=path,
        target="/answers/x",
        status=200,
        error=None,
        ttfb_ms=ms * 0.5,
        first_token_ms=ms * 0.6,
        total_ms=ms,
        bytes=700,
        simulated_ms=ms * 0.5,
        parts_ms={"viewer": ms * 0.4, "function": ms * 0.1},
    )
