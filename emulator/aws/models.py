"""AWS's service models, read from disk when the first call needs one.

botocore and CloudFront's model take 0.4 s, which `localpop up` would otherwise pay at every start.
They are read in a thread, so that viewers are served meanwhile.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from emulator.wire.service_model_words import ErrorWords

if TYPE_CHECKING:
    from emulator.wire.service_model import ServiceApi


class LazyModel:
    """A service's model, there once it was asked for.

    Args:
        service: botocore's name of the service.
        words: Its errors for bad input.
    """

    def __init__(self, service: str, words: ErrorWords) -> None:
        self._service, self._words = service, words
        self._model: ServiceApi | None = None
        self._loading = asyncio.Lock()

    async def get(self) -> ServiceApi:
        """The model."""
        if self._model is None:
            async with self._loading:
                if self._model is None:
                    self._model = await asyncio.to_thread(self._load)
        return self._model

    def _load(self) -> ServiceApi:
        from emulator.wire.service_model import ServiceApi

        return ServiceApi.load(self._service, self._words)
