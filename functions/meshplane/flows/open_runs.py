"""Runs that stand in the way of a project's removal: the flows of runs behind `ports.OpenRuns`. Composed by `wiring`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from meshplane.flows.record_run import execution_ended
from meshplane.flows.run_slots import RunPorts, close_run
from meshplane.model.runs import OPEN, Run
from meshplane.model.windows import iso


@dataclass(frozen=True, slots=True)
class ProjectRuns:
    """Reads and ends a project's runs through the ports of runs."""

    ports: RunPorts

    def open(self, project: str) -> Sequence[Run]:
        """The runs that hold a place or wait for one. One whose end nobody told us of is closed on the way."""
        found = []
        for slots in self.ports.runs.all_slots(project).values():
            for run_id in (*slots.open, *(waiting.run_id for waiting in slots.waiting)):
                run = self.ports.runs.run(project, run_id)
                now = self._now(run) if run and run.status in OPEN else None
                found += [now] if now else []
        return found

    def stop(self, run: Run, why: str) -> None:
        """A run that was never started is closed; one that runs is stopped, which closes it too."""
        if run.status == "RUNNING":
            self.ports.executions.stop(run.execution, why)
            self._now(run)
            return
        self._close(replace(run, status="ABORTED", reason=why))

    def _now(self, run: Run) -> Run | None:
        """The run by the service's own word; None when it is over, its record is closed then. A run whose record still says that it
        waits may have been started by a process that died right after."""
        policy = (self.ports.runs.policies(run.project) or {}).get(run.pipeline)
        arn = run.execution or (self.ports.executions.arn(policy.machine, run.run_id) if policy else "")
        execution = self.ports.executions.describe(arn) if arn else None
        if execution is None:
            if run.status == "WAITING":
                return run
            self._close(replace(run, status="ABORTED", reason="its execution is gone"))
            return None
        if execution.status == "RUNNING":
            return replace(run, status="RUNNING", execution=arn)
        execution_ended(self.ports, execution)
        return None

    def _close(self, run: Run) -> None:
        ended = replace(run, ended=iso(self.ports.clock.now()))
        close_run(self.ports, ended, self.ports.runs.policies(run.project))
