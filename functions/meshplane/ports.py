"""What flows need of the world, as protocols over plain values: no boto3 or pyiceberg type crosses here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from meshplane.model.baseline import Baseline
from meshplane.model.context import Neighbour
from meshplane.model.gating import AppliedGates
from meshplane.model.publishing import Candidate
from meshplane.model.release import PlatformRelease
from meshplane.model.resource import Difference, Done, Id, Owner, Provenance, Seen, Wait, Want
from meshplane.model.runs import Arrival, Execution, JobRun, PipelinePolicy, Run, StepEnd
from meshplane.model.slots import Change, Slots
from meshplane.plan.record import Record

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
        """The first write carries owner (and boundary); every prefix of its writes is a legal `seen`. AlreadyExists is raised."""
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

    def awaited(self, project: str) -> bool:
        """Does the project's reconcile wait for open runs to end, so that it is to look again when one has?"""
        ...

    def unjudged(self, project: str) -> str:
        """What the project's last reconcile saw on a gated `main` that no gate published; empty when there is nothing."""
        ...

    def gates(self, project: str) -> AppliedGates:
        """The project's gates as the last reconcile left them."""
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

    def noted(self, project: str, run_id: str, reason: str) -> bool:
        """Why a run that holds a place has not been started. False when it is not WAITING."""
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

    def describe(self, arn: str) -> Execution | None:
        """The execution as it is now; None when there is none."""

    def running(self, machines: str) -> Sequence[Execution]:
        """Open executions of every state machine whose name fits the pattern, in which `*` stands for any characters."""

    def arn(self, machine: str, run_id: str) -> str:
        """The ARN that the run's execution has, started or not."""

    def stop(self, arn: str, why: str) -> None:
        """End it. Ended already is success."""

    def job_run(self, job: str, job_run_id: str) -> JobRun | None:
        """A Glue job run, by the job's physical name."""

    def open_job_runs(self, jobs: Collection[str]) -> Sequence[JobRun]:
        """Open job runs of these jobs, by physical name; a job that is gone has none."""

    def stop_job_run(self, job: str, job_run_id: str) -> None:
        """End it. Ended already is success."""


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


@dataclass(frozen=True, slots=True)
class Manifest:
    """The newest version of a project's manifest, as it lies in the artifacts bucket. `release`: the digest in its metadata, if any."""

    text: str
    version: str
    release: str = ""


@dataclass(frozen=True, slots=True)
class DeletedManifest:
    """The manifest was deleted, proven by the delete marker's version."""

    version: str


@dataclass(frozen=True, slots=True)
class Look:
    """What one listing of all manifests says of a project. `loose` names the files that lie beside the manifest, by ETag."""

    project: str
    version: str = ""
    deleted: bool = False
    loose: str = ""


class Manifests(Protocol):
    """The artifacts bucket as the reconcile needs it. A 403, a missing bucket or a listing cut short raises; it never reads as absent."""

    def newest(self, project: str) -> Manifest | DeletedManifest | None:
        """The newest manifest; DeletedManifest where a delete marker proves it; None where no version ever was."""
        ...

    def version(self, project: str) -> str:
        """The newest version id, a delete marker's included; empty when there is none. One call, read before destructive actions."""
        ...

    def texts(self, project: str) -> Iterator[str]:
        """The text of every version of the manifest that is left, newest first, delete markers left out."""
        ...

    def looks(self) -> Sequence[Look]:
        """Every project that has, or had, a manifest."""
        ...

    def release_index(self, project: str, digest: str) -> str:
        """The text of a release's index. Raises NotFound."""
        ...

    def last_release(self, project: str) -> str:
        """The text of the index that was published last; empty when there is none."""
        ...

    def beside(self, project: str) -> Mapping[str, str]:
        """The files beside the manifest: path relative to the project's folder → ETag."""
        ...

    def read_beside(self, project: str, path: str) -> bytes:
        """The content of a file beside the manifest. Raises NotFound."""
        ...

    def read(self, key: str) -> bytes:
        """The content of any object of the bucket. Raises NotFound."""
        ...

    def has(self, key: str) -> bool:
        """Does an object stand there?"""
        ...

    def keep(self, key: str, content: bytes) -> None:
        """Put a content-addressed file; there already is success."""
        ...

    def publish_status(self, project: str, document: str, text: str) -> None:
        """Write `status/<project>.json` and `.txt`."""
        ...

    def forget_files(self, project: str) -> int:
        """Delete a removed project's content-addressed files, releases and temporary objects. How many went."""
        ...


class Releases(Protocol):
    """What the platform publishes: the baseline and the platform's own release, read once per process."""

    def read(self) -> tuple[Baseline, PlatformRelease]:
        """Both, in one call. Raises NotReady naming what is not published yet."""
        ...


@dataclass(frozen=True, slots=True)
class Begun:
    """A lease that was won: the record as it was, and the fence that every write of its holder carries. `kept` is the store's own."""

    record: Record
    fence: int
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Due:
    """What the index says of one project."""

    project: str
    phase: str = "active"
    observed: str = ""
    loose: str = ""
    due_at: str = ""
    lease_until: str = ""
    dirty: bool = False
    refers: tuple[str, ...] = ()
    stalled: bool = False


class States(Protocol):
    """Projects' state items. Every write is conditional on the fence and raises Stale when a newer holder has begun."""

    def begin(self, project: str, holder: str, now: datetime, lease: timedelta) -> Begun | None:
        """Take the lease. None: somebody else holds it, and the item is marked dirty for them. The same `holder` may enter again."""
        ...

    def confirm(self, begun: Begun, approved: Collection[str]) -> None:
        """Read the lease again before destructive actions, storing which risky actions were approved. Raises Stale."""
        ...

    def draining(self, begun: Begun, version: str, pipelines: Mapping[str, object]) -> None:
        """Store at once that the project's manifest was deleted (the marker's version), so that no run starts any more. Raises Stale."""
        ...

    def finish(self, begun: Begun, record: Record) -> bool:
        """Store the record and give the lease back. True: somebody asked for another look meanwhile. Raises Stale."""
        ...

    def note(self, begun: Begun, entry: Mapping[str, object], expires: datetime) -> None:
        """One history record for a reconcile that changed something."""
        ...

    def peek(self, project: str) -> Record:
        """The record, read only; an empty one when there is none."""
        ...

    def neighbours(self, projects: Collection[str]) -> Mapping[str, Neighbour]:
        """What other projects share, in one call; unpublished ones included."""
        ...

    def due(self) -> Sequence[Due]:
        """Every project that has state, from the index, soonest due first."""
        ...


class ReconcileQueue(Protocol):
    """The queue that reconcile_project reads; one group per project."""

    def send(self, projects: Collection[str]) -> None:
        """Ask for a reconcile of each project. A request is never swallowed as a duplicate."""
        ...


class OpenRuns(Protocol):
    """Runs of a project that have not ended."""

    def open(self, project: str, jobs: Collection[str] = ()) -> Sequence[Run]:
        """The records of runs that wait or run; with them what runs of these jobs (physical names) without any pipeline."""
        ...

    def stop(self, run: Run, why: str) -> None:
        """End its execution. Ended already is success."""
        ...

    def restore(self, project: str, machines: str) -> None:
        """Record the open executions of these state machines (a pattern of names) as runs that hold a place, where nothing does so."""
        ...


@dataclass(frozen=True, slots=True)
class TableLook:
    """One table as it is at one moment: whose, its metadata file as plain data. `entry` is the adapter's own."""

    metadata: Mapping[str, Any]
    project: str
    tombstone: bool
    entry: Mapping[str, Any]


class Publisher(Protocol):
    """What publish_tables needs of the world. Errors are `meshplane.errors`."""

    def applied(self, project: str) -> AppliedGates:
        """The gates as the state item names them."""
        ...

    def record(self, project: str, run_id: str, step: str) -> str | None:
        """The text of the step's outbox record; None when there is none."""
        ...

    def note(self, project: str, run_id: str, step: str) -> Mapping[str, Any] | None:
        """The step's publish record."""
        ...

    def keep(self, project: str, run_id: str, step: str, note: Mapping[str, Any]) -> None:
        """Write the publish record."""
        ...

    def look(self, database: str, name: str) -> TableLook | None:
        """The table now; None when it is not in the catalog."""
        ...

    def move(self, look: TableLook, candidate: Candidate, value: str) -> None:
        """One commit: `main` and the tag to the candidate's snapshot, the property to `value`, the branch away. Raises Conflict when the
        table is no longer as in `look`, ServiceFault when the outcome is unknown."""
        ...

    def announce(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Tell the bus; each is the detail of one Table Published."""
        ...


Deadline = Callable[[], timedelta]  # how much of the function's time is left
Pause = Callable[[timedelta], None]  # lets time pass inside a reconcile: for waits of seconds only
