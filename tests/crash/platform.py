"""What surrounds the functions on AWS, in this process: the FIFO queue with its groups and redelivery, and the sweep's schedule.

Every delivery is a fresh process image: new wiring over the same AWS. Time is the world's clock, which only this module moves.
"""

from __future__ import annotations

import traceback
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from io import StringIO
from itertools import count
from typing import Any

from ruamel.yaml import YAML

from meshplane.aws.executions import RawLandings
from meshplane.errors import PlaneError
from meshplane.flows.sweep_projects import Swept, sweep_projects
from meshplane.flows.sweep_runs import SweepPorts, sweep_runs
from tests.aws.plane_world import ROOT, World
from tests.crash.tap import Died, Mode, Tap

PROJECTS = ("customers", "sales")
VISIBILITY = timedelta(seconds=6 * 180)
RECEIVES = 3  # the reconcile queue's maxReceiveCount
SECOND = timedelta(seconds=1)
STEP = timedelta(minutes=5)  # between two sweeps
SWEEPS = 2  # how many may be needed until nothing is left to do
Edit = Callable[[Any], object]


@dataclass
class Platform:
    """`event` is what S3 tells of a manifest; `deliver` works the queue off; `settle` sweeps until nothing is left to do."""

    world: World
    tap: Tap
    sweeps_runs: bool = False  # the sweep of runs looks at the raw bucket every hour: only where runs are played
    _waiting: deque[tuple[str, str]] = field(default_factory=deque)
    _failed: Counter[str] = field(default_factory=Counter)
    _numbers: count[int] = field(default_factory=count)

    def event(self, project: str) -> None:
        """A message in the project's group."""
        self._waiting.append((project, f"message-{next(self._numbers)}"))

    def instead(self, projects: Sequence[str]) -> None:
        """Other events than those that were sent: lost, repeated, in another order."""
        self._waiting.clear()
        for project in projects:
            self.event(project)

    def deliver(self) -> None:
        """Until the queue is empty. What was not acknowledged comes again, as the same message, when it is visible again."""
        while self._waiting:
            project, message = self._waiting.popleft()
            if not self._handled(project, message) and self.tap.fault is not Mode.FORGOTTEN:
                self._failed[message] += 1
                if self._failed[message] == RECEIVES:
                    self.tap.wrong.append(f"{message} of {project} ends among the dead letters")
                else:
                    self.world.clock(VISIBILITY)
                    self._waiting.appendleft((project, message))
            self._take()

    def sweep(self) -> bool:
        """One sweep, five minutes after the last. Was anything to be done?"""
        self.world.clock(STEP)
        swept = self.image(self._swept)
        self._take()
        found = bool(self._waiting) or not swept
        self.deliver()
        return found

    def settle(self) -> None:
        """All events, then sweeps."""
        self.deliver()
        for _ in range(SWEEPS):
            if not self.sweep():
                return
        self.world.clock(STEP)
        if queued := self._swept().queued:
            self.tap.wrong.append(f"not settled after {SWEEPS} sweeps: {queued}")
            self.world.queued()

    def upload(self, project: str, edit: Edit = lambda manifest: None, name: str = "") -> None:
        """As `aws s3 sync` of the project's folder does, with the manifest edited; its event follows. `name`: of another project."""
        self.world.clock(SECOND)  # of two versions with one date S3 in this process cannot tell the newer
        folder = ROOT / "projects" / project
        for file in sorted(folder.rglob("*")):
            if file.is_file() and file.name != "project.yaml" and "__pycache__" not in file.parts:
                self.world.put_file(name or project, file.relative_to(folder).as_posix(), file.read_bytes())
        yaml, text = YAML(), StringIO()
        manifest = yaml.load((folder / "project.yaml").read_text())
        edit(manifest)
        yaml.dump(manifest, text)
        self.world.put(name or project, text.getvalue())
        self.event(name or project)

    def drop(self, project: str) -> None:
        """Delete the manifest; its event follows."""
        self.world.clock(SECOND)
        self.world.drop(project)
        self.event(project)

    def _handled(self, project: str, message: str) -> bool:
        return self.image(lambda: self.world.look(project, message))

    def _swept(self) -> Swept:
        world = self.world
        ports = SweepPorts(world.run_ports, RawLandings(world.clients, world.naming))

        def runs(projects: Sequence[str]) -> Mapping[str, PlaneError]:
            faults = sweep_runs(ports, projects) if self.sweeps_runs else {}
            for fault in faults.values():
                raise fault  # as one that the next sweep has to mend
            return faults

        return sweep_projects(world.states, world.manifests, world.queue, world.clock, runs)

    def image(self, work: Callable[[], object]) -> bool:
        """One invocation of a function. False when it died or failed: whoever called it calls again."""
        try:
            with self.tap.image():
                work()
        except (Died, PlaneError):
            return False
        except Exception:  # noqa: BLE001 - a finding, not a failure of the harness
            self.tap.wrong.append(f"neither handled nor translated: {traceback.format_exc()}")
            return False
        return True

    def _take(self) -> None:
        for project in self.world.queued():
            self.event(project)
