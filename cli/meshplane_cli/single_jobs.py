"""One job's run by a person's hand: started, followed, and, where it writes what is published, taken through its gate as a pipeline would.

Called by `commands.run` and `commands.run_local`. A job that writes gated tables writes to a branch here too; then the plane judges and
publishes, in at most as many rounds as a pipeline has when other runs move `main` meanwhile. Nothing writes a gated `main` directly
(decision 7).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from meshplane.aws.executions import job_run_of
from meshplane.aws.faults import translated
from meshplane.model.publishing import ROUNDS
from meshplane.model.runs import GLUE_STATUS, Run
from meshplane_cli.output import CliError
from meshplane_cli.records import as_run
from meshplane_cli.surroundings import Target

Wait = Callable[[Callable[[], Run]], Run | None]
_MOVED = "MainMoved"  # errorType, as Lambda names the class of the error


@dataclass(frozen=True)
class SingleJob:
    """A job, in AWS or on this machine, and the run that a person asks for."""

    target: Target
    project: str
    job: str
    run: Mapping[str, Any]

    @property
    def physical(self) -> str:
        """Its name in Glue."""
        return self.target.naming.job(self.project, self.job)

    def gated(self) -> bool:
        """Whether it writes a table that is published through a gate. Raises NotFound for no job of this name."""
        with translated("glue:GetJob", self.physical):
            found = self.target.clients("glue").get_job(JobName=self.physical)["Job"]
        return self.gates(json.loads(found["DefaultArguments"].get("--meshplane-job") or "{}"))

    @staticmethod
    def gates(told: Mapping[str, Any]) -> bool:
        """Whether a job with this description (docs/contracts.md §1) writes a table that is published through a gate."""
        tables = [told["tables"].get(write["table"], {}) for write in told.get("writes", ())]
        return any(table.get("gate") and table["format"] == "iceberg" and table["layer"] != "raw" for table in tables)

    def start(self, nth: int | None = None) -> Callable[[], Run]:
        """Start it; `nth`: the round of a gated one. What is returned looks how it stands. Raises NotFound for no job of this name."""
        attempt = {"--meshplane-attempt": "0"} if nth is None else {"--meshplane-attempt": f"{nth}_0", "--meshplane-gate": "audit"}
        arguments = {"--meshplane-run": json.dumps(self.run), "--meshplane-step": self.job, **attempt}
        glue = self.target.clients("glue")
        with translated("glue:StartJobRun", self.physical):
            started = glue.start_job_run(JobName=self.physical, Arguments=arguments)["JobRunId"]

        def look() -> Run:
            with translated("glue:GetJobRun", self.physical):
                found = glue.get_job_run(JobName=self.physical, RunId=started)["JobRun"]
            return as_run(self.project, self.job, job_run_of(self.physical, found))

        return look

    def through_the_gate(self, wait: Wait) -> Run | None:
        """Job and gate, again on a fresh branch while `main` moves. A gate that says no is a failed run with its cause."""
        end: Run | None = None
        error = cause = ""
        for nth in range(ROUNDS):
            end = wait(self.start(nth))
            if end is None or end.status != "SUCCEEDED":
                return end
            error, cause = self.publish(nth)
            if not error:
                return end
            if error != _MOVED:
                break
        return replace(end, status="FAILED", error=error, cause=f"{error}: {cause}") if end else None

    def publish(self, nth: int) -> tuple[str, str]:
        """The name of publish_tables' error and what it says; two empty texts when it published."""
        name = self.target.function("publish-tables")
        asked = {"run": self.run, "step": self.job, "attempt": f"{nth}_0"}
        with translated("lambda:Invoke", name):
            answer = self.target.clients("lambda").invoke(FunctionName=name, Payload=json.dumps(asked).encode())
        told = json.loads(answer["Payload"].read() or b"{}")
        if not answer.get("FunctionError"):
            return "", ""
        return str(told.get("errorType", "Unhandled")), str(told.get("errorMessage", ""))


def refuse_unless_ended(end: Run | None, started: str) -> Run:
    """The run's end. Raises CliError when waiting stopped first: then nothing was published."""
    if end is None or end.status not in GLUE_STATUS.values():
        raise CliError(
            f"{started} had not ended when the time was up: nothing was published",
            mend="a longer --timeout; or run its pipeline, which publishes by itself",
        )
    return end
