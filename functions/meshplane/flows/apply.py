"""Do what a plan says, along its graph: called by `flows.reconcile_project` and `flows.remove_project`.

Independent actions run side by side through Workers. A failure stops what depends on it, never its siblings. Removals come last, from
the highest kind down, and only while nothing above them is undone. What is certain is an Outcome; what is not is looked at again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from meshplane.errors import AlreadyExists, Conflict, Denied, NotFound, NotReady, PlaneError, Rejected, ServiceFault, Stale
from meshplane.model.resource import Done, Effect, Id, Owner, Wait
from meshplane.plan.outcome import Outcome, State
from meshplane.plan.planner import REMOVALS, Action, Plan, Verb
from meshplane.plan.retry import Failure
from meshplane.ports import Adapter, Clock, Deadline, Workers

MARGIN = timedelta(seconds=25)  # with less than this left of the function's time no action is started
SETTLE_LOOK = timedelta(seconds=3)  # how soon to try again what IAM has not spread yet

Bring = Callable[[frozenset[str]], None]


@dataclass
class Apply:
    """One pass over one plan. `confirm` reads lease and manifest version again before what cannot be undone; it raises Stale.
    `settling`: roles just written and until when they may not be relied upon; it grows while applying."""

    owner: Owner
    adapters: Mapping[str, Adapter[Any]]
    workers: Workers
    clock: Clock
    left: Deadline
    confirm: Callable[[], None]
    settling: dict[Id, datetime] = field(default_factory=dict)
    given_up: Mapping[str, Failure] = field(default_factory=dict)  # stalled actions, by key: not tried until they are due
    bring: Bring | None = None  # puts files of a manifest put by hand where the definitions name them
    outcomes: dict[Id, Outcome] = field(default_factory=dict)

    def run(self, plan: Plan) -> tuple[Outcome, ...]:
        """Every action's outcome, in the plan's order. Raises Stale, and only that of `meshplane.errors`."""
        for action in plan.actions:
            settled = _without_doing(action, self.given_up.get(action.key))
            if settled:
                self.outcomes[action.id] = settled
        todo = [action for action in plan.actions if action.id not in self.outcomes]
        upserts = [action for action in todo if action.verb not in REMOVALS]
        breaking = [action for action in upserts if action.effect and action.effect >= Effect.BREAKING]
        if breaking and not self._sure(breaking):
            upserts = [action for action in upserts if action not in breaking]
        self._upsert(upserts)
        self._remove([action for action in todo if action.verb in REMOVALS])
        return tuple(self.outcomes[action.id] for action in plan.actions)

    def _upsert(self, actions: Sequence[Action]) -> None:
        waiting = list(actions)
        while waiting:
            ready = [action for action in waiting if all(need in self.outcomes for need in action.needs)]
            waiting = [action for action in waiting if action not in ready]
            clear = []
            for action in ready:
                missing = [need for need in sorted(action.needs) if not self.outcomes[need].stands]
                if missing:
                    self.outcomes[action.id] = Outcome(action, State.SKIPPED, "Waiting", f"waits for {missing[0]}")
                else:
                    clear.append(action)
            self._wave(clear)

    def _wave(self, actions: Sequence[Action]) -> None:
        """One canary for each kind that relies on a role still settling, then everybody else: IAM is asked once, not sixty times."""
        followers: dict[Id, Id] = {}
        canaries: dict[tuple[str, frozenset[Id]], Id] = {}
        for action in actions:
            roles = self._unsettled(action)
            if roles:
                canary = canaries.setdefault((action.id.kind, roles), action.id)
                if canary != action.id:
                    followers[action.id] = canary
        self._each([action for action in actions if action.id not in followers])
        rest = [action for action in actions if action.id in followers]
        for action in rest:
            first = self.outcomes[followers[action.id]]
            if first.state is State.WAITING:
                self.outcomes[action.id] = Outcome(action, State.WAITING, first.reason, first.message, first.until)
        self._each([action for action in rest if action.id not in self.outcomes])

    def _remove(self, actions: Sequence[Action]) -> None:
        for rank, level in groupby(actions, key=lambda action: action.rank):
            undone = [o for o in self.outcomes.values() if o.action.rank > rank and _in_the_way(o)]
            now = list(level)
            if undone:
                for action in now:
                    self.outcomes[action.id] = Outcome(action, State.SKIPPED, "Waiting", f"waits for {undone[0].action.id}")
                continue
            if self._sure(now):
                self._each(now)

    def _sure(self, actions: Sequence[Action]) -> bool:
        """May they be done? What cannot be confirmed is not done, and is a failure of these actions alone."""
        try:
            self.confirm()
        except Stale:
            raise
        except PlaneError as error:
            for action in actions:
                told = f"not done, since lease and manifest could not be read again: {error}"
                self.outcomes[action.id] = Outcome(action, State.FAILED, error.reason, told, retryable=error.retryable)
            return False
        return True

    def _each(self, actions: Sequence[Action]) -> None:
        for outcome in self.workers.each(self._do, actions):
            self.outcomes[outcome.action.id] = outcome
            if outcome.settle:
                self.settling[outcome.action.id] = self.clock.now() + outcome.settle

    def _unsettled(self, action: Action) -> frozenset[Id]:
        now = self.clock.now()
        return frozenset(need for need in action.needs if self.settling.get(need, now) > now)

    def _do(self, action: Action) -> Outcome:
        """One action; every error of the world becomes an outcome."""
        if self.left() < MARGIN:
            return Outcome(action, State.SKIPPED, "InProgress", "time is up for now; goes on at once")
        try:
            did = self._call(action)
        except Stale:
            raise
        except (AlreadyExists, NotFound, ServiceFault, Conflict) as unsure:
            return Outcome(action, State.AGAIN, unsure.reason, str(unsure), retryable=unsure.retryable)
        except (Denied, Rejected) as denied:
            if self._unsettled(action):  # Glue answers InvalidInputException, no denial, for a role that it cannot assume yet
                until = self.clock.now() + SETTLE_LOOK
                return Outcome(action, State.WAITING, "Waiting", "IAM has not spread the new role yet", until)
            return Outcome(action, State.FAILED, denied.reason, str(denied))
        except NotReady as early:
            return Outcome(action, State.WAITING, "Waiting", str(early), self.clock.now() + early.after)
        except PlaneError as error:
            return Outcome(action, State.FAILED, error.reason, str(error), retryable=error.retryable)
        if isinstance(did, Wait):
            return Outcome(action, State.WAITING, "Waiting", did.why, did.until)
        return Outcome(action, State.DONE, mark=did.mark, settle=did.settle)

    def _call(self, action: Action) -> Done | Wait:
        adapter = self.adapters[action.id.kind]
        if self.bring and action.want and action.want.files and action.verb in (Verb.CREATE, Verb.UPDATE):
            self.bring(action.want.files)
        if action.verb is Verb.CREATE and action.want:
            return adapter.create(action.want, self.owner)
        if action.seen is None:
            raise ValueError(f"{action.verb} of {action.id} needs to have seen it")
        if action.verb is Verb.CLAIM:
            return adapter.claim(action.seen, self.owner)
        if action.verb is Verb.DELETE:
            return adapter.delete(action.seen, self.owner)
        return adapter.update(action.seen, action.to, action.differences, self.owner)


def _without_doing(action: Action, stalled: Failure | None = None) -> Outcome | None:
    """The outcome of an action that asks for no call; None for one that does."""
    if stalled:
        return Outcome(action, State.FAILED, stalled.reason, stalled.message)
    match action.verb:
        case Verb.NONE:
            return Outcome(action, State.DONE, mark=action.seen.mark if action.seen else "")
        case Verb.WAIT if action.error:
            return Outcome(action, State.FAILED, action.error, action.reason)
        case Verb.WAIT:
            return Outcome(action, State.WAITING, "Waiting", action.reason)
        case Verb.CONFLICT:
            return Outcome(action, State.FAILED, "Conflict", action.reason)
        case Verb.BLOCKED:
            return Outcome(action, State.FAILED, "Blocked", action.reason)
    return Outcome(action, State.WITHHELD, "Paused", action.withheld) if action.withheld else None


def _in_the_way(outcome: Outcome) -> bool:
    """Could it still use what a removal further down would take away?"""
    return outcome.state in (State.FAILED, State.WAITING, State.AGAIN, State.SKIPPED)
