"""What every test may use."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# Timing never decides a test: a machine that is busy is no defect.
settings.register_profile("localpop", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("localpop")


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio."""
    return "asyncio"
