"""The world of the reconciling flows in memory: AWS, the artifacts bucket, the state table, the queue, the clock. One `Plane` holds all."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from meshplane.errors import AlreadyExists, NotFound, Stale
from meshplane.flows.converge import Tools
from meshplane.flows.plan_project import PlanPorts
from meshplane.flows.preparation import Here, Surroundings
from meshplane.flows.reconcile_project import Ports, Report, reconcile_project
from meshplane.flows.sweep_projects import Swept, sweep_projects
from meshplane.model.baseline import Baseline
from meshplane.model.context import Context, Neighbour, PlaneNames
from meshplane.model.domain import Domain
from meshplane.model.project import Project
from meshplane.model.release import PlatformRelease
from meshplane.model.resource import Difference, Done, Effect, Id, Owner, Provenance, Seen, Wait, Want
from meshplane.model.runs import Run
from meshplane.model.windows import iso, moment
from meshplane.plan.digest import digest
from meshplane.plan.record import Record
from meshplane.plan.shares import neighbour
from meshplane.ports import Begun, DeletedManifest, Due, Look, Manifest

DOMAIN = Domain(domain_name="retail", domain_abbr="f01", aws_region="eu-central-1", country_code="de", accounts={"dev": "390403879405"})
HERE = Here(DOMAIN, DOMAIN.naming("dev"), PlaneNames("trigger", "dlq", "scheduler"))


@dataclass(frozen=True)
class Spec:
    """What a resource is here: its fields, and whether it rests."""

    fields: Mapping[str, str]
    resting: bool = False


@dataclass(frozen=True)
class SmallKind:
    """A kind of this world, under a real kind's name."""

    name: str
    of: Callable[[Project, Context], Iterable[Want[Spec]]]
    rests: bool = False

    def desired(self, project: Project, context: Context) -> Iterable[Want[Spec]]:
        return self.of(project, context)

    def compare(self, want: Spec, seen: Spec) -> tuple[Difference, ...]:
        changed = [name for name in want.fields if want.fields[name] != seen.fields.get(name)]
        effects = {"columns": Effect.BREAKING}
        found = [Difference(name, seen.fields.get(name, ""), want.fields[name], effects.get(name, Effect.SAFE)) for name in changed]
        return (*found, *([Difference("rest", str(seen.resting), str(want.resting))] if want.resting != seen.resting else []))

    def resting(self, seen: Seen[Spec]) -> Spec | None:
        return Spec(seen.spec.fields if seen.spec else {}, True) if self.rests else None


def _role(project: Project, context: Context) -> Iterable[Want[Spec]]:
    yield Want(Id("role", project.name, "role"), Spec({"tables": ",".join(sorted(project.tables))}))


def _tables(project: Project, context: Context) -> Iterable[Want[Spec]]:
    for table in project.tables.values():
        columns = ",".join(f.name for f in table.columns)
        name = f"{context.naming.database(table.layer)}.{context.naming.table(project.name, table.name)}"
        yield Want(Id("iceberg_table", name, table.name), Spec({"columns": columns, "doc": table.description}))


def _jobs(project: Project, context: Context) -> Iterable[Want[Spec]]:
    needs = frozenset({Id("role", project.name)})
    for job in project.jobs.values():
        away = [read for read in job.reads if read.project != project.name]
        missing = [f"{r.project}.{r.table}" for r in away if r.table not in context.neighbours[r.project].tables]
        key = context.release.file_key(context.naming, project.name, job.script) if job.script else "built-in"
        nowhere = [] if key else [f"{job.script} is nowhere"]
        waits = "; ".join([*(f"{name} is not published yet" for name in missing), *nowhere])
        modules = [context.release.module_key(context.naming, project.name, module) for module in job.modules]
        spec = Spec({"workers": str(job.workers), "script": key, "modules": ",".join(modules)})
        files = frozenset(one for one in (key, *modules) if one)
        yield Want(Id("glue_job", f"{project.name}-{job.name}", job.name), spec, needs, waits=waits, files=files)


def _rules(project: Project, context: Context) -> Iterable[Want[Spec]]:
    for pipeline in project.pipelines.values():
        for trigger in pipeline.triggers:
            needs = frozenset(Id("glue_job", f"{project.name}-{name}") for name in project.jobs)
            yield Want(Id("event_rule", f"{project.name}-{pipeline.name}-{trigger.name}", trigger.name), Spec({"on": "yes"}), needs)


SMALL_KINDS: tuple[Any, ...] = (
    SmallKind("role", _role),
    SmallKind("iceberg_table", _tables, rests=True),
    SmallKind("glue_job", _jobs),
    SmallKind("event_rule", _rules),
)


@dataclass
class Thing:
    """A resource as it stands."""

    spec: Spec
    owner: Owner | None
    version: int = 1
    busy: str = ""
    extra: tuple[str, ...] = ()


@dataclass
class Cloud:
    """AWS: what stands, what was asked, what goes wrong. `faults[verb, name]` are raised one after the other, `lost` after the write."""

    things: dict[Id, Thing] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)
    faults: dict[tuple[str, str], list[Exception | Wait]] = field(default_factory=dict)
    lost: dict[tuple[str, str], Exception] = field(default_factory=dict)
    settle: timedelta = timedelta()
    before_write: Callable[[str], object] = lambda call: None
    after_write: Callable[[str], object] = lambda call: None

    def opened(self, provenance: Provenance) -> Mapping[str, Any]:
        return {kind.name: CloudAdapter(self, kind.name) for kind in SMALL_KINDS}

    def fault(self, verb: str, name: str) -> Wait | None:
        waiting = self.faults.get((verb, name), [])
        if not waiting:
            return None
        found = waiting.pop(0)
        if isinstance(found, Wait):
            return found
        raise found

    def __getitem__(self, name: str) -> Thing:
        return next(thing for key, thing in self.things.items() if name in (key.name, key.label))

    def labels(self) -> list[str]:
        return sorted(f"{key.kind}:{key.label}{' (rests)' if thing.spec.resting else ''}" for key, thing in self.things.items())


@dataclass
class CloudAdapter:
    """The five verbs over a Cloud."""

    cloud: Cloud
    kind: str

    def observe(self, ids: Collection[Id], owner: Owner, known: Mapping[Id, str]) -> Sequence[Seen[Spec]]:
        self.cloud.fault("observe", self.kind)
        found = []
        for key, thing in self.cloud.things.items():
            if key.kind != self.kind or not (key in ids or thing.owner == owner):
                continue
            mark = f"v{thing.version}"
            read = known.get(key) != mark
            if read:
                self.cloud.bodies.append(key.name)
            spec = thing.spec if read else None
            found.append(Seen(key, spec, mark, thing.owner, thing.busy, thing.extra if read else (), resting=thing.spec.resting))
        return found

    def _write(self, verb: str, key: Id) -> Wait | None:
        self.cloud.before_write(f"{verb} {key.label}")
        waits = self.cloud.fault(verb, key.label)
        if not waits:
            self.cloud.writes.append(f"{verb} {key.label}")
        return waits

    def _done(self, verb: str, key: Id) -> Done:
        lost = self.cloud.lost.pop((verb, key.label), None)
        if lost:
            raise lost
        self.cloud.after_write(f"{verb} {key.label}")
        version = self.cloud.things[key].version if key in self.cloud.things else 0
        return Done(f"v{version}", self.cloud.settle if key.kind == "role" and verb == "create" else timedelta())

    def create(self, want: Want[Spec], owner: Owner) -> Done | Wait:
        if want.id in self.cloud.things:
            raise AlreadyExists(str(want.id))
        waits = self._write("create", want.id)
        if waits:
            return waits
        self.cloud.things[want.id] = Thing(want.spec, owner)
        return self._done("create", want.id)

    def update(self, seen: Seen[Spec], to: Spec, diff: tuple[Difference, ...], owner: Owner) -> Done | Wait:
        waits = self._write("update", seen.id)
        if waits:
            return waits
        thing = self.cloud.things[seen.id]
        self.cloud.things[seen.id] = replace(thing, spec=to, version=thing.version + 1)
        return self._done("update", seen.id)

    def claim(self, seen: Seen[Spec], owner: Owner) -> Done | Wait:
        self.cloud.things[seen.id].owner = owner
        return self._write("claim", seen.id) or self._done("claim", seen.id)

    def delete(self, seen: Seen[Spec], owner: Owner) -> Done | Wait:
        waits = self._write("delete", seen.id)
        if waits:
            return waits
        self.cloud.things.pop(seen.id, None)
        return self._done("delete", seen.id)


@dataclass
class Bucket:
    """The artifacts bucket."""

    newest_of: dict[str, Manifest | DeletedManifest] = field(default_factory=dict)
    versions: dict[str, list[str]] = field(default_factory=dict)
    loose: dict[str, dict[str, bytes]] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    statuses: list[tuple[str, str, str]] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    fault: Exception | None = None
    count: int = 0

    def put(self, project: str, text: str, release: str = "") -> str:
        self.count += 1
        self.newest_of[project] = Manifest(text, f"v{self.count}", release)
        self.versions.setdefault(project, []).insert(0, text)
        return f"v{self.count}"

    def drop(self, project: str) -> None:
        self.count += 1
        self.newest_of[project] = DeletedManifest(f"v{self.count}")

    def newest(self, project: str) -> Manifest | DeletedManifest | None:
        if self.fault:
            raise self.fault
        return self.newest_of.get(project)

    def version(self, project: str) -> str:
        found = self.newest_of.get(project)
        return found.version if found else ""

    def texts(self, project: str) -> Iterator[str]:
        yield from self.versions.get(project, ())

    def looks(self) -> Sequence[Look]:
        if self.fault:
            raise self.fault
        rows = self.newest_of.items()
        return [Look(name, found.version, isinstance(found, DeletedManifest), digest(self.beside(name), 16)) for name, found in rows]

    def release_index(self, project: str, digest: str) -> str:
        return self.read(f"releases/{project}/{digest}.json").decode()

    def last_release(self, project: str) -> str:
        found = [key for key in self.objects if key.startswith(f"releases/{project}/")]
        return self.objects[found[-1]].decode() if found else ""

    def beside(self, project: str) -> Mapping[str, str]:
        return {path: digest(content.decode("latin-1")) for path, content in self.loose.get(project, {}).items()}

    def read_beside(self, project: str, path: str) -> bytes:
        return self.loose[project][path]

    def read(self, key: str) -> bytes:
        if key not in self.objects:
            raise NotFound(key)
        return self.objects[key]

    def has(self, key: str) -> bool:
        return key in self.objects

    def keep(self, key: str, content: bytes) -> None:
        self.objects[key] = content

    def publish_status(self, project: str, document: str, text: str) -> None:
        self.statuses.append((project, document, text))

    def forget_files(self, project: str) -> int:
        self.forgotten.append(project)
        return 1


@dataclass
class Table:
    """The state table. A fence counts up; a stale one raises."""

    records: dict[str, Record] = field(default_factory=dict)
    fences: dict[str, int] = field(default_factory=dict)
    leases: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    dirty: set[str] = field(default_factory=set)
    notes: list[Mapping[str, object]] = field(default_factory=list)

    def begin(self, project: str, holder: str, now: datetime, lease: timedelta) -> Begun | None:
        held = self.leases.get(project)
        if held and held[1] > now and held[0] != holder:
            self.dirty.add(project)
            return None
        self.fences[project] = self.fences.get(project, 0) + 1
        self.leases[project] = (holder, now + lease)
        self.dirty.discard(project)
        return Begun(self.records.get(project, Record(project)), self.fences[project])

    def _check(self, begun: Begun) -> None:
        if self.fences.get(begun.record.project) != begun.fence:
            raise Stale("overtaken")

    def confirm(self, begun: Begun, approved: Collection[str]) -> None:
        self._check(begun)
        name = begun.record.project
        if approved:
            self.records[name] = replace(self.records.get(name, begun.record), approved=tuple(sorted(approved)))

    def draining(self, begun: Begun, version: str, pipelines: Mapping[str, object]) -> None:
        self._check(begun)
        self.records[begun.record.project] = replace(begun.record, phase="draining", observed=version, pipelines=pipelines)

    def finish(self, begun: Begun, record: Record) -> bool:
        self._check(begun)
        self.records[record.project] = replace(record, status=json.loads(json.dumps(record.status)))
        self.leases.pop(record.project, None)
        return record.project in self.dirty

    def note(self, begun: Begun, entry: Mapping[str, object], expires: datetime) -> None:
        self.notes.append(entry)

    def peek(self, project: str) -> Record:
        return self.records.get(project, Record(project))

    def neighbours(self, projects: Collection[str]) -> Mapping[str, Neighbour]:
        return {name: neighbour(name, self.peek(name).shares, bool(self.peek(name).applied)) for name in projects}

    def due(self) -> Sequence[Due]:
        return [self._due(record) for record in self.records.values()]

    def _due(self, record: Record) -> Due:
        lease = self.leases.get(record.project)
        until = iso(lease[1]) if lease else ""
        name = record.project
        return Due(
            name, record.phase, record.observed, record.beside, record.due_at, until, name in self.dirty, record.refers, record.stalled
        )


@dataclass
class Clock:
    """Time that only a test or a pause moves."""

    at: datetime = datetime(2030, 1, 1, tzinfo=UTC)
    paused: list[timedelta] = field(default_factory=list)

    def now(self) -> datetime:
        return self.at

    def pause(self, time: timedelta) -> None:
        self.paused.append(time)
        self.at += time


class Inline:
    """Workers one after the other."""

    def each(self, call: Callable[[Any], Any], over: Sequence[Any]) -> list[Any]:
        return [call(item) for item in over]


@dataclass
class Runs:
    """Open runs."""

    runs: list[Run] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    unrecorded: list[Run] = field(default_factory=list)  # open executions that no slots hold
    fault: Exception | None = None
    of_jobs: dict[str, Run] = field(default_factory=dict)  # open runs without a pipeline, by the job's physical name

    def open(self, project: str, jobs: Collection[str] = ()) -> Sequence[Run]:
        alone = [run for job, run in self.of_jobs.items() if job in jobs and run.run_id not in self.stopped]
        return [*alone, *(run for run in self.runs if run.project == project)]

    def stop(self, run: Run, why: str) -> None:
        self.stopped.append(run.run_id)
        if run in self.runs:
            self.runs.remove(run)

    def restore(self, project: str, machines: str) -> None:
        if self.fault:
            raise self.fault
        self.runs += [run for run in self.unrecorded if run.project == project and run not in self.runs]


@dataclass
class Queue:
    """The reconcile queue."""

    sent: list[str] = field(default_factory=list)

    def send(self, projects: Collection[str]) -> None:
        self.sent += projects


class Platform:
    """What is published once."""

    def read(self) -> tuple[Baseline, PlatformRelease]:
        return Baseline("key", ("c",), ("s",), ("g",)), PlatformRelease("lib")


@dataclass
class Plane:
    """All of it, and one call per look."""

    cloud: Cloud = field(default_factory=Cloud)
    bucket: Bucket = field(default_factory=Bucket)
    table: Table = field(default_factory=Table)
    clock: Clock = field(default_factory=Clock)
    runs: Runs = field(default_factory=Runs)
    queue: Queue = field(default_factory=Queue)
    left: timedelta = timedelta(seconds=170)

    @property
    def tools(self) -> Tools:
        return Tools(self.cloud.opened, SMALL_KINDS, Inline(), self.clock, lambda: self.left, self.clock.pause)

    @property
    def surroundings(self) -> Surroundings:
        return Surroundings(HERE, self.bucket, Platform(), self.table)

    @property
    def ports(self) -> Ports:
        return Ports(self.table, self.bucket, self.queue, self.runs, self.surroundings, self.tools)

    @property
    def plan_ports(self) -> PlanPorts:
        return PlanPorts(self.table, self.surroundings, self.tools)

    def look(self, project: str = "sales", holder: str = "m", after: timedelta = timedelta(seconds=1)) -> Report:
        """One reconcile; what it wrote stands in `cloud.writes`."""
        self.clock.at += after
        self.cloud.writes.clear()
        self.cloud.bodies.clear()
        return reconcile_project(self.ports, project, holder)

    def sweep(self) -> Swept:
        return sweep_projects(self.table, self.bucket, self.queue, self.clock, lambda projects: {})

    def condition(self, axis: str = "Synced", project: str = "sales") -> tuple[str, str]:
        row = next(row for row in self.table.records[project].status["conditions"] if row["type"] == axis)
        return row["status"], row["reason"]

    def due_in(self, project: str = "sales") -> timedelta:
        return moment(self.table.records[project].due_at) - self.clock.at


def manifest(name: str = "sales", tables: Mapping[str, str] | None = None, jobs: str = "", policy: str = "", readers: str = "") -> str:
    """A valid manifest: raw → refined by a built-in job, with a pipeline. `tables` are refined ones: name → columns in flow style."""
    refined = {"orders": "{ id: long, amount: long }"} if tables is None else tables
    lines = [
        "apiVersion: meshplane/v1",
        "kind: Project",
        f"metadata: {{ name: {name}, owner: team@example.org }}",
        "tables:",
        "  landed: { layer: raw, format: csv, partition: dt, columns: { id: string, amount: string } }",
    ]
    for table, columns in refined.items():
        share = f"readers: [{readers}], " if readers else ""
        lines.append(f"  {table}: {{ layer: refined, {share}key: [id], columns: {columns} }}")
    lines += ["jobs:"] if refined or jobs else []
    lines += [f"  load_{table}: {{ use: merge, reads: landed, writes: {table} }}" for table in refined]
    lines += [jobs] if jobs else []
    steps = ", ".join(f"load_{table}" for table in refined)
    lines += ["pipelines:", "  daily:", "    triggers: { landed: { files: landed } }", f"    steps: [{steps}]"] if refined else []
    lines += [f"policy: {policy}"] if policy else []
    return "\n".join(lines) + "\n"
