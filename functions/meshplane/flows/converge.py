"""Look, plan, judge, apply; again while something is uncertain or a wait of seconds is worth it. Called by reconcile and remove."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from meshplane.errors import PlaneError, Stale
from meshplane.flows.apply import MARGIN, Apply, Bring
from meshplane.kinds import Kind, glue_job, iceberg_table, state_machine
from meshplane.model.project import Policy
from meshplane.model.resource import Effect, Id, Owner, Provenance, Seen
from meshplane.plan.compile import Desired
from meshplane.plan.consumers import Impact
from meshplane.plan.guard import Verdict, guard
from meshplane.plan.outcome import Outcome, State
from meshplane.plan.planner import AT_REST, WRITES, Action, Known, Plan, Sight, Verb, known_marks, plan
from meshplane.plan.retry import Failure
from meshplane.ports import Adapter, AdapterFactory, Clock, Deadline, OpenRuns, Pause, Workers

ROUNDS = 8
LOOKS = 3  # how often what is uncertain is looked at again here; what stays uncertain is a failure like any other
SHORT = timedelta(seconds=20)  # a wait this long is waited out here; a longer one is left to the sweep


@dataclass(frozen=True, slots=True)
class Tools:
    """What every look needs of the world."""

    adapters: AdapterFactory
    kinds: Sequence[Kind[Any]]
    workers: Workers
    clock: Clock
    left: Deadline
    pause: Pause


@dataclass(frozen=True)
class Task:
    """One project's part. `only`: kinds to work on in this step (removal goes in steps); None means all."""

    desired: Desired
    owner: Owner
    policy: Policy = field(default_factory=Policy)
    provenance: Provenance = field(default_factory=Provenance)
    inventory: Mapping[Id, Known] = field(default_factory=dict)
    approved: frozenset[str] = frozenset()
    given_up: Mapping[str, Failure] = field(default_factory=dict)
    settling: Mapping[Id, datetime] = field(default_factory=dict)
    removing: bool = False
    only: frozenset[str] | None = None
    impacts: tuple[Impact, ...] = ()
    runs: OpenRuns | None = None  # None: no run is in the way
    bring: Bring | None = None


@dataclass(frozen=True)
class Converged:
    """The last round's plan, with what became of it; `wrote` are all actions that changed something, of every round."""

    plan: Plan
    verdict: Verdict
    outcomes: tuple[Outcome, ...] = ()
    wrote: tuple[Outcome, ...] = ()
    inventory: Mapping[Id, Known] = field(default_factory=dict)
    settling: Mapping[Id, datetime] = field(default_factory=dict)
    awaits_runs: bool = False

    @property
    def out_of_time(self) -> bool:
        """Is something left that was not begun because the function's time was up?"""
        return any(outcome.reason == "InProgress" for outcome in self.outcomes)


Confirm = Callable[[Plan, Verdict], None]


def look(tools: Tools, task: Task, inventory: Mapping[Id, Known]) -> tuple[Mapping[str, Adapter[Any]], Plan]:
    """Observe every kind, side by side, and plan. A kind that cannot be listed is unknown, never empty; the others go on."""
    adapters = tools.adapters(task.provenance)
    marks = known_marks(task.desired, inventory)

    def observe(kind: str) -> Sequence[Seen[Any]] | PlaneError:
        ids = [want.id for want in task.desired.wants if want.id.kind == kind]
        try:
            return adapters[kind].observe(ids, task.owner, {key: mark for key, mark in marks.items() if key.kind == kind})
        except Stale:
            raise
        except PlaneError as error:
            return error

    names = [kind.name for kind in tools.kinds if task.only is None or kind.name in task.only]
    answers = dict(zip(names, tools.workers.each(observe, names), strict=True))
    unread = {kind: answer for kind, answer in answers.items() if isinstance(answer, PlaneError)}
    seen = tuple(item for answer in answers.values() if not isinstance(answer, PlaneError) for item in answer)
    made = plan(task.desired, Sight(seen, unread), owner=task.owner, kinds=tools.kinds, policy=task.policy, inventory=inventory)
    return adapters, replace(made, impacts=task.impacts) if task.impacts else made


def converge(tools: Tools, task: Task, confirm: Confirm) -> Converged:
    """Rounds of look and apply until nothing is uncertain. Raises Stale when `confirm` finds that somebody newer goes on."""
    inventory, settling = dict(task.inventory), dict(task.settling)
    approved = task.approved
    wrote: list[Outcome] = []
    for turn in range(ROUNDS):
        adapters, made = look(tools, task, inventory)
        verdict = guard(made, task.policy.approve, approved, task.removing)
        if verdict.held:
            return Converged(made, verdict, (), tuple(wrote), inventory, settling)
        approved |= verdict.approved

        def sure(made: Plan = made, verdict: Verdict = verdict) -> None:
            confirm(made, verdict)

        planned, made = made, _beside_runs(made, task, sure)

        work = Apply(task.owner, adapters, tools.workers, tools.clock, tools.left, sure, settling, task.given_up, task.bring)
        outcomes = work.run(made)
        inventory = remember(inventory, outcomes, task.only)
        wrote += [outcome for outcome in outcomes if outcome.state is State.DONE and outcome.action.verb in WRITES]
        done = Converged(made, verdict, outcomes, tuple(wrote), inventory, settling, made is not planned)
        rest = _worth_waiting(tools, outcomes, turn)
        if rest is None or turn == ROUNDS - 1:
            return replace(done, outcomes=tuple(map(_told, outcomes)))
        tools.pause(rest)
    return done


def _beside_runs(made: Plan, task: Task, sure: Callable[[], None]) -> Plan:
    """DESIGN §6: what only adds to a table goes on while a run of the project writes; every other change of one waits for its end. So does
    the removal of a pipeline and of a job, which an open run still calls; `whileRunning: stop` ends the runs of a removed pipeline."""
    late = [action for action in made.actions if _evolves(action) or _taken_away(action)]
    if task.runs is None or not late:
        return made
    try:
        jobs = {key.name for key in task.inventory if key.kind == glue_job.NAME}
        running = [run for run in task.runs.open(task.owner.project, jobs) if run.status == "RUNNING"]
        if task.policy.while_running == "stop":
            gone = {action.id.name for action in late if action.id.kind == state_machine.NAME}
            stop = [run for run in running if run.execution.split(":")[-2:-1] and run.execution.split(":")[-2] in gone]
            if stop:
                sure()
            for run in stop:
                task.runs.stop(run, "its pipeline is no longer declared")
            running = [run for run in running if run not in stop]
    except Stale:
        raise
    except PlaneError as error:
        told = f"open runs could not be looked at: {error}"
        return _put_off(made, late, told, type(error).__name__)
    names = ", ".join(run.run_id for run in running[:5])
    return _put_off(made, late, f"waits for open runs: {names}") if running else made


def _put_off(made: Plan, late: Sequence[Action], why: str, error: str = "") -> Plan:
    actions = (replace(action, verb=Verb.WAIT, reason=why, error=error) if action in late else action for action in made.actions)
    return replace(made, actions=tuple(actions))


def _taken_away(action: Action) -> bool:
    return action.writes and action.verb is Verb.DELETE and action.id.kind in (state_machine.NAME, glue_job.NAME)


def _evolves(action: Action) -> bool:
    return action.writes and action.verb is Verb.UPDATE and action.id.kind == iceberg_table.NAME and action.effect != Effect.ADDITIVE


def _worth_waiting(tools: Tools, outcomes: Sequence[Outcome], turn: int) -> timedelta | None:
    """How long to pause before another round; None when one would be of no use now."""
    now = tools.clock.now()
    if turn < LOOKS and any(outcome.state is State.AGAIN for outcome in outcomes):
        soonest = timedelta()
    else:
        waits = [o.until - now for o in outcomes if o.state is State.WAITING and o.until]
        soonest = max(min(waits, default=SHORT * 2), timedelta())
    return soonest if soonest <= SHORT and tools.left() > MARGIN + soonest + SHORT else None


def _told(outcome: Outcome) -> Outcome:
    """What is still uncertain when we stop looking is a failure, told by its own reason."""
    return replace(outcome, state=State.FAILED) if outcome.state is State.AGAIN else outcome


def remember(inventory: Mapping[Id, Known], outcomes: Sequence[Outcome], only: Collection[str] | None = None) -> dict[Id, Known]:
    """What is known after a round: fingerprints of what is as wanted, and marks of what need not be read again.

    A mark is kept only where nothing is to be reported about the body, so that a reported addition is reported again.
    """
    after = {key: known for key, known in inventory.items() if only is not None and key.kind not in only}
    for outcome in outcomes:
        action = outcome.action
        old = inventory.get(action.id)
        if outcome.state is not State.DONE:
            if old:  # what was applied is still the measure of drift; the body must be read next time
                after[action.id] = Known(old.fingerprint)
        elif action.fingerprint == AT_REST and action.verb is not Verb.DELETE:
            after[action.id] = Known(AT_REST, outcome.mark)
        elif action.verb is not Verb.DELETE:
            after[action.id] = Known(action.fingerprint, "" if action.extra or action.brought else outcome.mark)
    return after
