"""Every five minutes: one look at the whole domain, and a message for every project that is due, changed, unfinished or forgotten.

Called by `handlers.sweep_projects`. It reads one listing of all manifests and one index; it decides nothing but whom to look at, so a
lost, late or repeated event makes no difference. After the state was wiped every project that has a manifest or a marker is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from meshplane.errors import PlaneError
from meshplane.model.windows import moment
from meshplane.ports import Clock, Due, Look, Manifests, ReconcileQueue, States

SweepRuns = Callable[[Sequence[str]], Mapping[str, PlaneError]]


@dataclass(frozen=True, slots=True)
class Swept:
    """What the sweep found. `queued`: project → why; `orphans`: state without any manifest or marker, which changes nothing."""

    queued: dict[str, str]
    projects: int
    stalled: int
    orphans: tuple[str, ...] = ()
    run_faults: Mapping[str, PlaneError] = field(default_factory=dict)

    def fields(self) -> dict[str, object]:
        """For the log line."""
        faults = {project: str(fault) for project, fault in self.run_faults.items()}
        return {"queued": self.queued, "projects": self.projects, "stalled": self.stalled, "orphans": self.orphans, "run_faults": faults}


def sweep_projects(states: States, manifests: Manifests, queue: ReconcileQueue, clock: Clock, sweep_runs: SweepRuns) -> Swept:
    """Queue what needs a look. `sweep_runs` does the same for runs, given the active projects: lost ends and what was not started."""
    now = clock.now()
    looks = {look.project: look for look in manifests.looks()}
    state = {due.project: due for due in states.due()}
    queued = {}
    for project in sorted({*looks, *state}):
        why = reason(looks.get(project), state.get(project), now)
        if why:
            queued[project] = why
    queue.send(list(queued))
    orphans = tuple(sorted(project for project in state if project not in looks))
    active = tuple(sorted(due.project for due in state.values() if due.phase != "removed"))
    faults = sweep_runs(active)
    return Swept(queued, len({*looks, *state}), sum(due.stalled for due in state.values()), orphans, faults)


def reason(look: Look | None, due: Due | None, now: datetime) -> str:
    """Why a project needs a look now; empty when it does not."""
    if due is None or not due.observed:
        return "no state"
    if due.lease_until:
        return "unfinished" if moment(due.lease_until) <= now else ""  # its holder is at work, and re-queues when dirty
    if due.dirty:
        return "asked for meanwhile"
    if look and look.version != due.observed:
        return "changed"
    if look and not look.deleted and due.loose and look.loose != due.loose:
        return "a file beside the manifest changed"
    return "due" if not due.due_at or moment(due.due_at) <= now else ""
