"""What became of an action: made by `flows.apply`, read by the status, the retry counts and the next reconcile. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from meshplane.plan.planner import Action


class State(StrEnum):
    """How an action ended."""

    DONE = "done"
    WAITING = "waiting"  # a stated wait, no error
    FAILED = "failed"
    AGAIN = "again"  # the answer says nothing certain about the resource: look at it again
    SKIPPED = "skipped"  # something it needs is not there yet, or time ran out
    WITHHELD = "withheld"  # policy keeps it from being done


@dataclass(frozen=True, slots=True)
class Outcome:
    """`reason` is a CamelCase word from a closed list, `message` a sentence, `until` when to look again."""

    action: Action
    state: State
    reason: str = ""
    message: str = ""
    until: datetime | None = None
    retryable: bool = False
    mark: str = ""
    settle: timedelta = timedelta()

    @property
    def stands(self) -> bool:
        """May what depends on this resource be worked on?"""
        return self.state is State.DONE or (self.state is State.WITHHELD and self.action.seen is not None)
