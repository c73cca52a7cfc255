"""A model behind one thread: loaded once, asked in turn, and given up on in words."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, Literal, TypeVar

from starlette.exceptions import HTTPException

from myna.errors import UserError

M = TypeVar("M")
A = TypeVar("A")
State = Literal["loading", "ready", "failed"]
_LATER, _RETRY = "Please ask again in a minute.", {"Retry-After": "60"}
_log = logging.getLogger("uvicorn.error")


class Worker(Generic[M]):
    """Asks one model, one question after another, in the order in which they came.

    Args:
        what: the model is for, such as "word problems".
        load: makes the model; runs once, in the worker's thread, as every question does.
        time_limit: seconds that one answer may take, once it is its turn.
        max_waiting: questions that may wait or be worked on; more are refused.
    """

    def __init__(self, what: str, load: Callable[[], M], *, time_limit: float = 30, max_waiting: int = 256) -> None:
        self.what, self.time_limit, self.max_waiting = what, time_limit, max_waiting
        self._load = load
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=what)
        self._loading: Future[M] | None = None
        self._turn = asyncio.Lock()  # wakes those who wait in the order in which they came
        self._n_waiting = 0
        self._running: asyncio.Future[Any] | None = None

    def start(self) -> Future[M]:
        """Begin to load the model, if that has not begun; return what it will be."""
        if self._loading is None:
            self._loading = self._thread.submit(self._load)
        return self._loading

    def close(self) -> None:
        """Take no more questions; what is being worked on ends first."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    @property
    def model(self) -> M | None:
        """The model, once it is loaded."""
        return self._loading.result() if self._loading and self.state == "ready" else None

    @property
    def state(self) -> State:
        """How far the model is."""
        if self._loading is None or not self._loading.done():
            return "loading"
        return "failed" if self._loading.exception() else "ready"

    @property
    def reason(self) -> str:
        """Why there is no model, in a sentence; "" unless its loading failed."""
        if self._loading is None or self.state != "failed":
            return ""
        error = self._loading.exception()
        told = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        return f"The model for {self.what} could not be loaded: {told}"

    async def ask(self, answer: Callable[[M], A], is_gone: Callable[[], Awaitable[bool]]) -> A:
        """Return what `answer` makes of the model, when it is its turn.

        Args:
            answer: runs in the worker's thread.
            is_gone: whether nobody waits for the answer any more; asked before the work is begun.

        Raises:
            HTTPException: too many wait, the model could not be loaded, or the answer takes too long.
        """
        if self._n_waiting >= self.max_waiting:
            raise HTTPException(429, f"{self._n_waiting} questions are waiting already. {_LATER}", _RETRY)
        self._n_waiting += 1
        try:
            async with self._turn:
                if await is_gone():
                    raise HTTPException(408, "Whoever asked is gone.")
                return await self._answer(answer)
        finally:
            self._n_waiting -= 1

    async def _answer(self, answer: Callable[[M], A]) -> A:
        """Run one answer in the thread, for as long as it may take."""
        loading = self.start()
        loaded = asyncio.wrap_future(loading)
        await asyncio.wait({loaded})
        if not loaded.cancelled():
            loaded.exception()  # asked for, so that nobody is told of it beside the reason
        if self.reason:
            raise HTTPException(503, self.reason)
        # A thread cannot be stopped. Nobody is made to wait behind one that did not keep its time.
        if self._running is not None and not self._running.done():
            raise HTTPException(503, f"An earlier question is taking too long. {_LATER}", _RETRY)
        running = asyncio.get_running_loop().run_in_executor(self._thread, answer, loading.result())
        self._running = running
        await asyncio.wait({running}, timeout=self.time_limit)
        if not running.done():
            running.add_done_callback(_drop_late_answer)
            raise HTTPException(503, f"The answer took longer than {self.time_limit:g} seconds and was given up.")
        return running.result()


def _drop_late_answer(running: asyncio.Future[Any]) -> None:
    """Take note of an answer that came too late: its error, if it ended in one, was told to nobody."""
    if not running.cancelled() and (error := running.exception()):
        _log.warning("an answer that took too long ended in %s: %s", type(error).__name__, error)
