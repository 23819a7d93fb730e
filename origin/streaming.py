"""boto3 blocks, the origin must not: the model's answers, read in threads, awaited in the loop."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any

from origin.model import Completion, Model, ModelError, ModelFault, Prompt


class TooManyAnswersError(Exception):
    """As many answers are under way as there are threads."""


class ModelThreads:
    """A pool of threads for one model, as many as answers may be under way at once.

    One more is refused instead of queued: who waits for a thread waits for somebody else's answer
    to end, which is seconds, and does not know it.
    """

    def __init__(self, model: Model, *, max_answers: int) -> None:
        self._model = model
        self._max_answers = max_answers
        self._threads = ThreadPoolExecutor(max_answers, thread_name_prefix="model")
        self._answering = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()

    @property
    def answering(self) -> int:
        """How many answers are under way, each with a thread of its own."""
        return self._answering

    async def complete(self, prompt: Prompt) -> Completion:
        """Await the whole answer.

        Raises:
            ModelError: There is none.
            TooManyAnswersError: There is no free thread.
        """
        self._enter()
        answer = self._threads.submit(self._model.complete, prompt)
        answer.add_done_callback(self._leave)
        return await asyncio.wrap_future(answer)

    def stream(self, prompt: Prompt) -> PieceStream:
        """Start an answer that arrives piece by piece; to be called in the running loop.

        Raises:
            TooManyAnswersError: There is no free thread.
        """
        self._enter()
        pieces = PieceStream(asyncio.get_running_loop())
        self._threads.submit(self._pump, prompt, pieces).add_done_callback(self._leave)
        return pieces

    def close(self) -> None:
        """Let every answer under way end at its next piece, without waiting for it."""
        self._closing.set()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._model.close()

    def _enter(self) -> None:
        with self._lock:
            if self._answering >= self._max_answers:
                raise TooManyAnswersError
            self._answering += 1

    def _leave(self, _: Future[Any]) -> None:
        with self._lock:
            self._answering -= 1

    def _pump(self, prompt: Prompt, pieces: PieceStream) -> None:
        try:
            # `closing`: leaving early closes the connection, and the model stops writing.
            with closing(self._model.stream(prompt)) as answer:
                for piece in answer:
                    if pieces.is_cancelled or self._closing.is_set():
                        break
                    pieces.put(piece)
            pieces.put(None)
        except ModelError as error:
            pieces.put(error)
        except Exception as error:
            # Nobody reads a thread's traceback; the viewer must not wait for a piece forever.
            unexpected = ModelError(ModelFault.BROKEN, type(error).__name__, str(error))
            unexpected.__cause__ = error
            pieces.put(unexpected)


class PieceStream:
    """An answer's pieces on their way from a thread into the loop.

    Nothing bounds the queue, because something else does: an answer has no more pieces than its
    prompt's `max_tokens`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._arrived: asyncio.Queue[str | ModelError | None] = asyncio.Queue()
        self._cancelled = threading.Event()

    @property
    def is_cancelled(self) -> bool:
        """Whether nobody wants the rest."""
        return self._cancelled.is_set()

    def put(self, piece: str | ModelError | None) -> None:
        """Hand over the next piece, an error, or the end (None); called in the thread."""
        try:
            self._loop.call_soon_threadsafe(self._arrived.put_nowait, piece)
        except RuntimeError:
            # The loop is closed: the server has stopped, and nobody wants the rest.
            self._cancelled.set()

    def cancel(self) -> None:
        """Say, in the loop, that nobody wants the rest: ends the waiting and the thread's work."""
        self._cancelled.set()
        self._arrived.put_nowait(None)

    async def next(self) -> str | None:
        """Await the next piece; None when there is none, or nobody wants it.

        Raises:
            ModelError: There is no answer, or it ended before its end.
        """
        piece = None if self.is_cancelled else await self._arrived.get()
        if isinstance(piece, ModelError):
            raise piece
        return piece
