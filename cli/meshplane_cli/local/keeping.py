"""Keeps the embedded AWS's state for the day that nobody says `down`: it is saved whenever it has changed and is at rest.

Started and stopped by `server`. What a killed process loses is what it did since it last rested, about two seconds.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from meshplane_cli.local import snapshot

log = logging.getLogger("meshplane.local")
LOOK_EVERY = 1.0  # seconds; a whole one without any change is rest
SHARE = 20  # saving may take one part in so many of the time, however large the state has grown


class Keeper:
    """`changes` counts requests that may have changed something; `at_rest` tells whether anything is under way."""

    def __init__(self, path: Path, changes: Callable[[], int], at_rest: Callable[[], bool]) -> None:
        self._path, self._changes, self._at_rest = path, changes, at_rest
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="keeper", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Returns when nothing is being saved any more."""
        self._closing.set()
        self._thread.join()

    def _watch(self) -> None:
        saved = seen = self._changes()
        pause = LOOK_EVERY
        while not self._closing.wait(pause):
            pause, now = LOOK_EVERY, self._changes()
            if now == saved:
                continue
            if now == seen and self._at_rest():
                begun = time.monotonic()
                lost = snapshot.save(self._path, whole=True)
                if lost:  # something moved after all: the last whole one stays
                    log.info("not saved at rest: %s", "; ".join(lost))
                else:
                    saved = now
                pause = max(LOOK_EVERY, SHARE * (time.monotonic() - begun))
            seen = now
