"""What the person who started a load test can mend."""

from __future__ import annotations


class BadInputError(ValueError):
    """An option, a file or a host is of no use; the message says what, where, how to mend."""
