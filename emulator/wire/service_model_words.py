"""What a service calls bad input; apart from `service_model`, which is slow to import."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorWords:
    """How a service calls the two ways in which input can be wrong.

    Args:
        malformed: The code for a body that is no document of the kind expected.
        invalid: The code for a value that cannot be.
    """

    malformed: str
    invalid: str
