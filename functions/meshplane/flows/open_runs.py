"""A project's open runs, as its reconcile needs them: the flows of runs behind `ports.OpenRuns`. Composed by `wiring`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from meshplane.flows.record_run import execution_ended
from meshplane.flows.run_slots import RunPorts, change_slots, close_run
from meshplane.model.runs import OPEN, Execution, JobRun, Run
from meshplane.model.slots import Change, Slots, take_up
from meshplane.model.windows import iso


@dataclass(frozen=True, slots=True)
class ProjectRuns:
    """Reads and ends a project's runs through the ports of runs."""

    ports: RunPorts

    def open(self, project: str, jobs: Collection[str] = ()) -> Sequence[Run]:
        """The runs that hold a place or wait for one, and single jobs' runs. One whose end nobody told us of is closed on the way."""
        found = [_of_job(project, job_run) for job_run in self.ports.executions.open_job_runs(jobs) if not job_run.run.get("pipeline")]
        for slots in self.ports.runs.all_slots(project).values():
            for run_id in (*slots.open, *(waiting.run_id for waiting in slots.waiting)):
                run = self.ports.runs.run(project, run_id)
                now = self._now(run) if run and run.status in OPEN else None
                found += [now] if now else []
        return found

    def stop(self, run: Run, why: str) -> None:
        """A run that was never started is closed; one that runs is stopped, which closes it too."""
        if run.job:
            self.ports.executions.stop_job_run(run.job, run.execution)
            return
        if run.status == "RUNNING":
            self.ports.executions.stop(run.execution, why)
            self._now(run)
            return
        self._close(replace(run, status="ABORTED", reason=why))

    def restore(self, project: str, machines: str) -> None:
        """For a project without state, before its pipelines are stored: until then start_run admits nothing."""
        for execution in self.ports.executions.running(machines):
            run = _taken_up(project, execution)
            if run:
                self._hold(run)

    def _hold(self, run: Run) -> None:
        def decide(slots: Slots) -> Change | None:
            held = take_up(slots, run)
            known = self.ports.runs.run(run.project, run.run_id)
            return None if held is slots else Change(held, put=() if known else (run,))

        change_slots(self.ports, run.project, run.pipeline, decide)

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


def _of_job(project: str, found: JobRun) -> Run:
    """A run of one job, whoever started it: `execution` is the job run's id."""
    name, started = str(found.run.get("run_id") or found.job_run_id), found.started
    return Run(name, project, "", "RUNNING", "", "manual", started, job=found.job, started=started, execution=found.job_run_id)


def _taken_up(project: str, execution: Execution) -> Run | None:
    """The record of a run as its execution tells of it; None for one that no run of the project started. Its files, and who asked for
    it, are told nowhere."""
    told = execution.input.get("run")
    name = execution.arn.rpartition(":")[2]
    if not isinstance(told, Mapping) or told.get("project") != project or told.get("run_id") != name or not told.get("pipeline"):
        return None
    pipeline, trigger, begin, end = (str(told.get(key) or "") for key in ("pipeline", "trigger", "window_start", "window_end"))
    params = told.get("params")
    return Run(
        name,
        project,
        pipeline,
        "RUNNING",
        trigger,
        "" if trigger else "manual",
        created=execution.started,
        started=execution.started,
        window_start=begin,
        window_end=end,
        params={str(key): str(value) for key, value in params.items()} if isinstance(params, Mapping) else {},
        execution=execution.arn,
    )
