"""Copies of this process, AWS in memory included: made at a crash point, played to the end there, their reports read through pipes.

Used by the crash tests' harness. Nothing forks while another thread lives: a lock held by it would never be released in the copy.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")
SECONDS = 240  # a copy that hangs is killed, and told of


@dataclass
class Brood:
    """Forks of this process, at most `abreast` at once. In a fork, `report` sends what it found and ends it."""

    abreast: int = 1
    seconds: int = SECONDS
    reports: list[Any] = field(default_factory=list)
    _open: list[tuple[int, int, str]] = field(default_factory=list)
    _pipe: int = -1

    def fork(self, name: str) -> bool:
        """True in the copy."""
        others = [thread.name for thread in threading.enumerate() if thread is not threading.current_thread()]
        if others:
            raise RuntimeError(f"threads are alive: {', '.join(others)}")
        while len(self._open) >= self.abreast:
            self._reap()
        read, write = os.pipe()
        child = os.fork()
        if child:
            os.close(write)
            self._open.append((child, read, name))
            return False
        os.close(read)
        self._pipe, self._open, self.reports = write, [], []
        gc.disable()  # a copy lives for a second, and collecting would copy every page it shares with its parent
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(self.seconds)
        return True

    @property
    def is_copy(self) -> bool:
        """Is this process one of the forks?"""
        return self._pipe >= 0

    def report(self, found: Any) -> NoReturn:
        """Send what this copy found, and end it without any clean-up of what belongs to its parent."""
        with os.fdopen(self._pipe, "wb") as pipe:
            pickle.dump(found, pipe)
        os._exit(0)

    def gather(self) -> list[Any]:
        """Every copy's report. Raises RuntimeError for a copy that ended without one."""
        while self._open:
            self._reap()
        return self.reports

    def _reap(self) -> None:
        child, read, name = self._open.pop(0)
        with os.fdopen(read, "rb") as pipe:
            told = pipe.read()
        os.waitpid(child, 0)
        if not told:
            raise RuntimeError(f"{name}: the copy died, or hung for {self.seconds} s")
        self.reports.append(pickle.loads(told))


def in_copy(work: Callable[[], T], seconds: int = SECONDS) -> T:
    """`work()` in a copy of this process, whose world stays as it is. Raises RuntimeError with the copy's traceback."""
    brood = Brood(seconds=seconds)
    if brood.fork("a copy"):
        try:
            answer = (work(), "")
        except BaseException:  # noqa: BLE001 - the copy must never return into pytest
            answer = (None, traceback.format_exc())  # type: ignore[assignment]
        brood.report(answer)
    ((result, failure),) = brood.gather()
    if failure:
        raise RuntimeError(failure)
    return result  # type: ignore[no-any-return]
