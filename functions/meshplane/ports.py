"""What flows need of the world, as protocols over plain values: no boto3 or pyiceberg type crosses here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from meshplane.model.resource import Difference, Done, Id, Owner, Provenance, Seen, Wait, Want
from meshplane.model.runs import Arrival, Execution, JobRun, PipelinePolicy, Run, StepEnd
from meshplane.model.slots import Change, Slots

S = TypeVar("S")
R = TypeVar("R")


class Adapter(Protocol[S]):
    """The five verbs of one kind, opened per reconcile over shared listings.

    Errors are `meshplane.errors`, translated in `aws.faults`. A write proves ownership first, by a direct read where the
    listing was an index only, and raises Conflict when the resource is not the owner's.
    """

    def observe(self, ids: Collection[Id], owner: Owner, known: Mapping[Id, str]) -> Sequence[Seen[S]]:
        """All of `ids` that exist, and everything else of this kind that `owner` owns. Complete, or it raises: unknown is never
        empty. `known` holds marks of the last look: a body whose mark is unchanged need not be read (spec None)."""
        ...

    def create(self, want: Want[S], owner: Owner) -> Done | Wait:
        """The first write carries owner (and boundary); every prefix of its writes is a legal `seen`. AlreadyExists is raised, not hidden."""
        ...

    def update(self, seen: Seen[S], to: S, diff: tuple[Difference, ...], owner: Owner) -> Done | Wait:
        """Make it `to`, by only the APIs that the differences need; conditional where the API can be."""
        ...

    def claim(self, seen: Seen[S], owner: Owner) -> Done | Wait:
        """Put our ownership on it (adoption), changing nothing else."""
        ...

    def delete(self, seen: Seen[S], owner: Owner) -> Done | Wait:
        """Remove it. Absent already is Done."""
        ...


class AdapterFactory(Protocol):
    """Opens all adapters for one reconcile: they share listings and the provenance that their writes set as tags."""

    def __call__(self, provenance: Provenance) -> Mapping[str, Adapter[object]]:
        """Kind name → adapter."""
        ...


class Clock(Protocol):
    """Time, so that tests can own it."""

    def now(self) -> datetime:
        """The present moment, aware, UTC."""
        ...


class Workers(Protocol):
    """Runs independent calls; in production on threads, in crash tests one after the other."""

    def each(self, call: Callable[[R], S], over: Sequence[R]) -> list[S]:
        """Results in the order of `over`. The first exception is raised after all have ended."""
        ...


class RunStore(Protocol):
    """Run records and slots in the state table. Reads are strongly consistent."""

    def policies(self, project: str) -> Mapping[str, PipelinePolicy] | None:
        """The pipelines as the last reconcile left them; None when no reconcile has written any yet."""
        ...

    def slots(self, project: str, pipeline: str) -> Slots:
        """The pipeline's slots; version 0 when there are none."""
        ...

    def all_slots(self, project: str) -> Mapping[str, Slots]:
        """Every pipeline's slots, removed pipelines included."""
        ...

    def commit(self, project: str, pipeline: str, change: Change) -> None:
        """Store slots and records in one transaction. Raises Stale when the slots moved on, AlreadyExists when a record that
        `change.put` would write is there (whatever else also failed), and writes nothing then."""
        ...

    def run(self, project: str, run_id: str) -> Run | None:
        """The record of a run."""
        ...

    def put(self, run: Run) -> bool:
        """Write a record that no slots belong to, if it is not there. False: it is."""
        ...

    def started(self, project: str, run_id: str, execution: str, at: str) -> bool:
        """WAITING → RUNNING. False when the run is not WAITING (any more)."""
        ...

    def close(self, run: Run) -> bool:
        """The end of a run that has no slot, if its record is still open."""
        ...

    def step_ended(self, project: str, run_id: str, key: str, step: StepEnd) -> bool:
        """Note a job run's end in the record. False when there is no such record."""
        ...

    def seen(self, project: str, pipeline: str, trigger: str, files: Sequence[Arrival]) -> frozenset[str]:
        """The identities of those files that a run was made of already."""
        ...

    def mark_seen(self, project: str, pipeline: str, trigger: str, files: Sequence[Arrival]) -> None:
        """Remember files that a run is made of, for as long as a late or repeated event can come."""
        ...


class Executions(Protocol):
    """State machine executions and Glue job runs."""

    def start(self, machine: str, run: Run) -> str:
        """Start, by the run's id as the name; the execution's ARN. Started already is success. Raises NotFound without a machine."""
        ...

    def describe(self, arn: str) -> Execution | None:
        """The execution as it is now; None when there is none."""
        ...

    def arn(self, machine: str, run_id: str) -> str:
        """The ARN that the run's execution has, started or not."""
        ...

    def stop(self, arn: str, why: str) -> None:
        """End it. Ended already is success."""
        ...

    def job_run(self, job: str, job_run_id: str) -> JobRun | None:
        """A Glue job run, by the job's physical name."""
        ...


class TriggerQueue(Protocol):
    """The queue that start_run reads."""

    def send(self, bodies: Sequence[Mapping[str, object]], delay: timedelta = timedelta()) -> None:
        """Send messages, delayed by at most 15 minutes (SQS's limit; longer is cut)."""
        ...


class Landings(Protocol):
    """What lies in the raw bucket."""

    def arrived(self, project: str, table: str, after: datetime, before: datetime) -> Sequence[Arrival]:
        """The newest versions of objects under a raw table's prefix, written between the two moments."""
        ...
