"""How a pipeline's runs live beside each other: what is open, what waits, which files have not settled. Pure decisions.

The flows load `Slots`, ask one of these functions, and store the `Change` (slots and run records together) on condition that
nobody stored another meanwhile; else they load and ask again. So every rule of concurrency is here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from meshplane.model.runs import Arrival, PipelinePolicy, Run
from meshplane.model.windows import iso, moment

# A DynamoDB item holds 400 KB (aws-facts B14), and a key up to 1 KB: what one slots item or run record lists is bounded.
MAX_LISTED = 1000
MAX_BYTES = 150_000
ENTRY_BYTES = 60  # what a listed file takes beside its key and version
KEPT_ENDS = 20  # how many ended runs a slots item remembers, for the sweep to look for lost successes


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run in the queue. `work` tells runs that would do the same from others; `listed` is the size of its list of files."""

    run_id: str
    work: str
    listed: int = 0


@dataclass(frozen=True, slots=True)
class Pending:
    """Arrivals that have not settled. `last` is when the newest was taken in."""

    files: tuple[Arrival, ...]
    last: str

    @property
    def fit(self) -> int:
        """How many of the files one record may list."""
        total = 0
        for count, file in enumerate(self.files[:MAX_LISTED]):
            total += _size((file,))
            if total > MAX_BYTES and count:
                return count
        return min(len(self.files), MAX_LISTED)

    @property
    def full(self) -> bool:
        """More, and the item would outgrow DynamoDB: a run is made of what is there, settled or not."""
        return len(self.files) >= MAX_LISTED or self.fit < len(self.files)

    def settles(self, seconds: int) -> datetime:
        """When they are settled, if nothing newer comes."""
        return moment(self.last) + timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that ended, as the sweep needs it to find successes that downstream never heard of."""

    run_id: str
    status: str
    at: str


@dataclass(frozen=True, slots=True)
class Slots:
    """The item `slots#<pipeline>`. `version` counts stores; 0 means there is none yet. `looked` is when the sweep last listed files."""

    open: tuple[str, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    pending: Mapping[str, Pending] = field(default_factory=dict)
    ended: tuple[Ended, ...] = ()
    looked: str = ""
    version: int = 0

    def holds(self, run_id: str) -> bool:
        """Is the run open or waiting?"""
        return run_id in self.open or any(run_id == other.run_id for other in self.waiting)


@dataclass(frozen=True, slots=True)
class Merge:
    """Files that a waiting run takes over: `count` of them, of which `files` are listed in its record."""

    run_id: str
    files: tuple[Arrival, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Change:
    """What one store writes: the new slots, new run records, files added to a waiting run's list, the end of a run."""

    slots: Slots
    put: tuple[Run, ...] = ()
    merge: Merge | None = None
    closed: Run | None = None


def collect(slots: Slots, trigger: str, arrivals: tuple[Arrival, ...], now: datetime) -> Slots:
    """Take arrivals in. The same slots when every one of them is pending already."""
    before = slots.pending.get(trigger, Pending((), ""))
    known = {file.identity for file in before.files}
    fresh = tuple({file.identity: file for file in arrivals if file.identity not in known}.values())
    if not fresh:
        return slots
    return replace(slots, pending={**slots.pending, trigger: Pending(before.files + fresh, iso(now))})


def take(slots: Slots, trigger: str) -> tuple[Slots, tuple[Arrival, ...]]:
    """Take the settled files out: as many of the oldest as one run lists; the rest stays pending and makes the next run."""
    pending = slots.pending[trigger]
    files, rest = pending.files[: pending.fit], pending.files[pending.fit :]
    others = {name: other for name, other in slots.pending.items() if name != trigger}
    return replace(slots, pending={**others, trigger: replace(pending, files=rest)} if rest else others), files


def admit(slots: Slots, policy: PipelinePolicy, run: Run) -> Change:
    """Place a new run: open, waiting, merged into one that waits, or skipped with the reason. FIFO among those that wait."""
    if run.status == "SKIPPED":
        return Change(slots, put=(run,))
    if policy.paused:
        return Change(slots, put=(skipped(run, policy.paused),))
    if len(slots.open) < policy.concurrency and not slots.waiting:
        return Change(replace(slots, open=(*slots.open, run.run_id)), put=(run,))
    if policy.when_busy == "skip":
        return Change(slots, put=(skipped(run, f"busy with {', '.join(slots.open)}, and whenBusy is skip"),))
    twin = next((other for other in slots.waiting if other.work == run.work), None)
    if policy.when_busy == "queueOne" and twin:
        absorbed = skipped(run, f"merged into {twin.run_id}, which waits and will do the same work")
        return _merged(slots, twin, run, absorbed)
    waiting = (*slots.waiting, Waiting(run.run_id, run.work, _size(run.files)))
    return promote(Change(replace(slots, waiting=waiting), put=(run,)), policy.concurrency)


def take_up(slots: Slots, run: Run) -> Slots:
    """The slots with a run that is open already, whatever the concurrency: it was admitted before its slots were lost."""
    return slots if slots.holds(run.run_id) else replace(slots, open=(*slots.open, run.run_id))


def release(slots: Slots, run: Run, concurrency: int) -> Change:
    """A run ended: free its place and move up what waits. `run` is the record as it shall stand."""
    left = replace(
        slots,
        open=tuple(other for other in slots.open if other != run.run_id),
        waiting=tuple(other for other in slots.waiting if other.run_id != run.run_id),
        ended=(*slots.ended, Ended(run.run_id, run.status, run.ended))[-KEPT_ENDS:],
    )
    return promote(Change(left, closed=run), concurrency)


def capacity(policy: PipelinePolicy | None) -> int:
    """How many runs may be open: none while the pipeline is paused or no longer declared."""
    return 0 if policy is None or policy.paused else policy.concurrency


def promote(change: Change, concurrency: int) -> Change:
    """Move waiting runs up into free places, oldest first."""
    slots = change.slots
    free = max(concurrency - len(slots.open), 0)
    up, rest = slots.waiting[:free], slots.waiting[free:]
    return replace(change, slots=replace(slots, open=slots.open + tuple(one.run_id for one in up), waiting=rest))


def _merged(slots: Slots, twin: Waiting, run: Run, absorbed: Run) -> Change:
    if not run.files:
        return Change(slots, put=(absorbed,))
    size = twin.listed + _size(run.files)
    files, size = (run.files, size) if size <= 2 * MAX_BYTES else ((), twin.listed)
    waiting = tuple(replace(one, listed=size) if one is twin else one for one in slots.waiting)
    return Change(replace(slots, waiting=waiting), put=(absorbed,), merge=Merge(twin.run_id, files, len(run.files)))


def _size(files: tuple[Arrival, ...]) -> int:
    return sum(len(file.identity.encode()) + ENTRY_BYTES for file in files)


def skipped(run: Run, reason: str) -> Run:
    """The record of a run that never starts."""
    return replace(run, status="SKIPPED", reason=reason, ended=run.created)
