"""Two processes of real Spark that play the jobs of fault plans; one that was killed is started again where it is needed next."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshplane.model.gating import GatedRule, GatedTable
from meshplane.model.rules import Gate, Rule, implied
from tests.aws.publishing_world import NAMING, STEP
from tests.faults.estate import DATABASE, TABLE
from tests.faults.turnstile import PROCESS

if TYPE_CHECKING:
    from tests.faults.writers import Writer

ROOT = Path(__file__).parents[2]
GATE = Gate("orders", (*implied(("order_id", "amount"), ()), Rule("low", "range", ("amount",), {"max": 10})))
DOMAIN = {"name": "retail", "abbr": "f01", "region": NAMING.region, "country_code": "de", "account_id": NAMING.account_id}


class Fleet:
    """`log` takes what the processes say beside their answers."""

    gated = GatedTable("orders", DATABASE, TABLE, GATE.digest, tuple(GatedRule.of(rule) for rule in GATE.rules))

    def __init__(self, log: Path) -> None:
        self._log, self._url = log, ""
        self._running: dict[str, subprocess.Popen[str]] = {}

    def serve(self, url: str) -> None:
        """Where AWS is."""
        assert self._url in ("", url), "a process keeps the endpoint that it began with"
        self._url = url

    def close(self) -> None:
        """Nobody needs them any more."""
        for process in self._running.values():
            _kill(process)
            process.wait()

    def job(self, writer: Writer, attempt: str) -> None:
        """One job run. Raises JobFailedError when it ended with an error, BrokenPipeError when it was killed."""
        from tests.faults.writers import JobFailedError

        process = self._process(writer.name)
        writer.turn.kill = lambda: _kill(process)
        try:
            assert process.stdin is not None
            process.stdin.write(
                json.dumps({"argv": _argv(writer.run_id, attempt), "rows": writer.rows, "amount": 1.0 if writer.good else 99.0})
            )
            process.stdin.write("\n")
            process.stdin.flush()
            answer = self._answer(process)
        finally:
            writer.turn.kill = lambda: None
        if answer.startswith("failed"):
            raise JobFailedError(answer)

    def _process(self, name: str) -> subprocess.Popen[str]:
        found = self._running.get(name)
        if found is None or found.poll() is not None:
            found = self._running[name] = self._start(f"{name}x{PROCESS}")
            assert self._answer(found) == "ready"
        return found

    def _start(self, key: str) -> subprocess.Popen[str]:
        told = {"AWS_ENDPOINT_URL": self._url, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": "test", "ENV": "local"}
        told |= {"AWS_REGION": NAMING.region, "AWS_DEFAULT_REGION": NAMING.region, "PYTHONPATH": str(ROOT / "glue_jobs")}
        told |= {"MESHPLANE_JARS": os.environ.get("MESHPLANE_JARS", str(ROOT / ".meshplane" / "jars"))}
        command = [sys.executable, str(Path(__file__).with_name("spark_writer.py"))]
        with self._log.open("a") as log:
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log, "text": True}
            return subprocess.Popen(command, env={**os.environ, **told}, start_new_session=True, **pipes)

    @staticmethod
    def _answer(process: subprocess.Popen[str]) -> str:
        """The next line that is one; the library's log goes the same way. Raises BrokenPipeError at the end of the process."""
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(("ready", "done", "failed")):
                return line.strip()
        process.wait()
        raise BrokenPipeError("the process ended")


def _kill(process: subprocess.Popen[str]) -> None:
    """Python and its JVM, at once."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def _argv(run_id: str, attempt: str) -> list[str]:
    columns = [{"name": "order_id", "type": "bigint", "required": True}, {"name": "amount", "type": "double", "required": False}]
    table: dict[str, Any] = {"project": "sales", "layer": "refined", "database": DATABASE, "name": TABLE, "format": "iceberg"}
    table |= {"location": NAMING.table_location("sales", "orders", "refined", iceberg=True), "hive_partition": [], "key": []}
    table |= {"columns": columns, "gate": GATE.to_json()}
    job: dict[str, Any] = {"schema": 1, "domain": DOMAIN, "env": "dev", "project": "sales", "job": STEP, "tables": {"orders": table}}
    job |= {"reads": [], "writes": [{"table": "orders", "mode": "append"}], "use": "", "with": {}, "sql": "", "secrets": {}}
    run = {"schema": 1, "run_id": run_id, "project": "sales", "pipeline": "daily", "params": {}}
    argv = ["job.py", "--meshplane-job", json.dumps(job), "--meshplane-run", json.dumps(run), "--meshplane-step", STEP]
    return [*argv, "--meshplane-attempt", attempt, "--meshplane-gate", "audit"]
