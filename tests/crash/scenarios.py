"""What the crash tests play: creating, changing, taking away and putting back both examples; and how a played world is judged.

`play` runs a scene once undisturbed in a copy, then again with a fork at every request; each fork ends by comparing itself.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import boto3
from moto import mock_aws

from meshplane.aws.clients import Clients
from tests.aws.plane_world import Moving, World
from tests.crash import estate, strangers
from tests.crash.executions import standing_still
from tests.crash.forking import Brood, in_copy
from tests.crash.platform import PROJECTS, Platform
from tests.crash.tap import Mode, Tap

Scene = Callable[[Platform], None]
HOURS = 4 * 3600  # seconds: a scene with all its copies, on a machine that has other things to do


def with_an_alarm(manifest: Any, due: str = "08:00") -> None:
    """An alarm of the project's own: of the default ones a manifest can change nothing."""
    if manifest["metadata"]["name"] == "sales":
        manifest["alarms"] = {"daily_late": {"pipeline": "daily", "notDoneBy": due}}


def more_of_sales(manifest: Any) -> None:
    """Changes every kind that the example has: raw and Iceberg columns, optimizer, jobs, role, pipeline, schedule, alarm, dashboard.

    And a rule less.
    """
    tables, jobs, pipeline = manifest["tables"], manifest["jobs"], manifest["pipelines"]["daily"]
    tables["orders_raw"]["columns"]["channel"] = "string"
    columns = tables["orders"]["columns"]
    del columns["status"]
    columns |= {"state": {"type": "string", "renamedFrom": "status"}, "channel": "string", "amount": "decimal(14,2)"}
    tables["orders"]["optimizers"] = {"retention": {"days": 20, "keep": 12}}
    jobs["daily_revenue"]["timeout"] = "45m"
    jobs["daily_revenue"]["reads"].remove("customers.fx_rates")  # the role's policy follows what is read
    pipeline["steps"][1]["retry"] = 3
    pipeline["triggers"]["nightly"]["schedule"] = "cron(30 5 * * ? *)"
    del pipeline["triggers"]["after_customers"]
    with_an_alarm(manifest, "09:30")
    manifest["dashboard"] = [{"title": "Rows", "metric": "RowsOut"}]


def more_of_customers(manifest: Any) -> None:
    """A column's words, a mapping, a rule switched off, and a table more."""
    manifest["tables"]["contacts"]["columns"]["segment"] = {"type": "string", "doc": "As marketing says"}
    manifest["tables"]["regions"] = {"layer": "curated", "key": ["region"], "columns": {"region": "string"}}
    manifest["jobs"]["load_contacts"]["with"]["map"]["country"] = "upper(trim(country))"
    next(iter(manifest["pipelines"]["daily"]["triggers"].values()))["enabled"] = False


def create(platform: Platform) -> None:
    """Both examples, from nothing."""
    for project in PROJECTS:
        platform.upload(project, with_an_alarm)
    platform.settle()


def change(platform: Platform) -> None:
    """Every kind: by the manifests, and where a manifest has no say (log groups) by somebody's hand."""
    group = platform.world.naming.pipeline_log_group("sales", "daily")
    platform.world.clients("logs").put_retention_policy(logGroupName=group, retentionInDays=3)
    platform.upload("customers", more_of_customers)
    platform.upload("sales", more_of_sales)
    platform.settle()


def remove(platform: Platform) -> None:
    """Both manifests are deleted."""
    for project in reversed(PROJECTS):
        platform.drop(project)
    platform.settle()


def forget(platform: Platform) -> None:
    """A day after the removal the files leave."""
    platform.world.clock(timedelta(hours=25))
    platform.settle()


def put_back(platform: Platform) -> None:
    """The manifests again, before the day is over."""
    for project in PROJECTS:
        platform.upload(project)
    platform.settle()


SCENES: dict[str, tuple[tuple[Scene, ...], Scene]] = {
    "create": ((), create),
    "change": ((create,), change),
    "remove": ((create,), remove),
    "forget": ((create, remove), forget),
    "put back": ((create, remove), put_back),
}
"""Name → what came before, and the scene."""


@dataclass(frozen=True)
class Finding:
    """What a copy of the world found after its fault; nothing is wrong where `problems` is empty."""

    where: str
    mode: str
    problems: tuple[str, ...]
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.where}: {self.mode}\n    " + "\n    ".join(self.problems)


@dataclass(frozen=True)
class Played:
    """The undisturbed run's end, and what each disturbed one found."""

    requests: int = 0
    findings: list[Finding] = field(default_factory=list)
    operations: frozenset[str] = frozenset()

    @property
    def wrong(self) -> list[Finding]:
        """Those that found something."""
        return [finding for finding in self.findings if finding.problems]


@contextmanager
def platform() -> Iterator[Platform]:
    """A plane on moto in this process, tapped, with nothing of the examples, and strangers beside."""
    clock = Moving()
    with mock_aws(), standing_still(clock):
        session = boto3.Session(region_name="eu-central-1")
        tap = Tap(session)
        at = Platform(World(Clients(session), clock), tap)
        strangers.move_in(at)
        yield at


@dataclass(frozen=True)
class End:
    """How a world stands after a scene, and what it took."""

    stands: Mapping[str, Any]
    counts: Mapping[str, int]
    problems: tuple[str, ...]
    requests: int
    operations: frozenset[str]


def ended(platform: Platform, known: frozenset[str]) -> End:
    """Judge a world at rest: one more look at each project must be silent."""
    tap, world = platform.tap, platform.world
    tap.modes = tap.reads = ()
    counts, requests, operations = tap.counts(), tap.number, frozenset(call.operation for call in tap.done)
    for project in PROJECTS:
        for told in ({"s3:PutObject"}, set[str]()):  # the first look may still tell that what was healed stayed so
            with tap.image():
                world.look(project, "a last look")
            if noise := set(world.writes()) - told:
                tap.wrong.append(f"one more reconcile of {project} is not silent: {noise}")
            if not world.writes():
                break
    return End(estate.dump(world, known), counts, tuple(tap.wrong), requests, operations)


def play(name: str, modes: tuple[Mode, ...], reads: tuple[Mode, ...] = (), abreast: int = 1, only: frozenset[str] = frozenset()) -> Played:
    """A scene with each mode at each of its mutating requests (or at `only` these operations), and each of `reads` at all others."""
    with platform() as at:
        at.tap.only = only
        before, scene = SCENES[name]
        for one in before:
            one(at)
        if at.tap.wrong:
            raise AssertionError(f"before {name}:\n" + "\n".join(at.tap.wrong))
        return disturb(at, scene, modes, reads, abreast)


def disturb(platform: Platform, scene: Scene, modes: tuple[Mode, ...], reads: tuple[Mode, ...] = (), abreast: int = 1) -> Played:
    """The same in a world that is prepared, and that stays as it was."""
    stood = estate.dump(platform.world)
    known = estate.ids(stood)
    stood = strangers.of(estate.dump(platform.world, known))
    want = in_copy(lambda: _undisturbed(platform, scene, known))
    if problems := [*want.problems, *estate.differences(stood, strangers.of(want.stands))]:
        raise AssertionError("undisturbed:\n" + "\n".join(problems))
    findings = in_copy(lambda: _disturbed(platform, scene, (want, known), (modes, reads), abreast), HOURS)
    return Played(want.requests, findings, want.operations)


def _undisturbed(platform: Platform, scene: Scene, known: frozenset[str]) -> End:
    platform.tap.forget()
    scene(platform)
    return ended(platform, known)


def _disturbed(
    platform: Platform,
    scene: Scene,
    reference: tuple[End, frozenset[str]],
    modes: tuple[tuple[Mode, ...], tuple[Mode, ...]],
    abreast: int,
) -> list[Finding]:
    """In a fork this returns never: it reports and ends."""
    want, known = reference
    tap = platform.tap
    tap.brood = brood = Brood(abreast)
    tap.modes, tap.reads = modes
    began = time.monotonic()
    problems: list[str] = []
    try:
        seen = _undisturbed(platform, scene, known)
        problems = [*seen.problems, *estate.differences(want.stands, seen.stands), *_miscounted(want.counts, seen.counts)]
    except BaseException:  # noqa: BLE001 - a copy must never return into pytest
        problems = [traceback.format_exc()]
    finding = Finding(tap.where or "nowhere", tap.fault or "undisturbed, a second time", tuple(problems), time.monotonic() - began)
    if brood.is_copy:
        brood.report(finding)
    return [finding, *brood.gather()]


def _miscounted(want: Mapping[str, int], seen: Mapping[str, int]) -> list[str]:
    return [
        f"{call}: {seen.get(call, 0)} times instead of {want.get(call, 0)}"
        for call in sorted({*want, *seen})
        if want.get(call, 0) != seen.get(call, 0)
    ]
