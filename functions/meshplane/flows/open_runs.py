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
                if run and run.status in OPEN and not self._ended(run):
                    found.append(run)
        return found

    def stop(self, run: Run, why: str) -> None:
        """A run that was never started is closed; one that runs is stopped, its execution's end then closes it."""
        if run.status == "RUNNING":
            self.ports.executions.stop(run.execution, why)
            self._ended(run)
            return
        ended = replace(run, status="ABORTED", reason=why, ended=iso(self.ports.clock.now()))
        close_run(self.ports, ended, self.ports.runs.policies(run.project))

    def _ended(self, run: Run) -> bool:
        """Is it over by the service's own word? Then its record is closed."""
        if run.status != "RUNNING" or not run.execution:
            return False
        execution = self.ports.executions.describe(run.execution)
        if execution is None:
            lost = replace(run, status="ABORTED", reason="its execution is gone", ended=iso(self.ports.clock.now()))
            close_run(self.ports, lost, self.ports.runs.policies(run.project))
            return True
        return execution.status != "RUNNING" and bool(execution_ended(self.ports, execution))
