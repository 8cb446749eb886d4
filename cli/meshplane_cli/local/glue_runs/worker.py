"""Takes submitted job runs, readies what each needs, runs it on a lent JVM and tells its state. Started by the embedded AWS."""

from __future__ import annotations

import contextlib
import logging
import queue
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from meshplane.errors import PlaneError
from meshplane_cli.local import role_credentials
from meshplane_cli.local.glue_runs import process, session
from meshplane_cli.local.glue_runs.arguments import customer_environment, listed, script_arguments, spark_conf
from meshplane_cli.local.glue_runs.clients import client
from meshplane_cli.local.glue_runs.files import fetch, install_wheels
from meshplane_cli.local.glue_runs.interpreters import Orders
from meshplane_cli.local.glue_runs.logs import RunLogs
from meshplane_cli.local.glue_runs.standby import Standby
from meshplane_cli.local.jvm import Gateway
from meshplane_cli.local.repairs import glue_job_runs
from meshplane_cli.local.repairs.glue_job_runs import LocalJobRun
from meshplane_cli.local.role_credentials import RoleKey

if TYPE_CHECKING:
    from meshplane_cli.local.optimizers import Optimizers

log = logging.getLogger("meshplane.glue_runs")

PREPARE_AFTER = 1.0  # seconds into a run: then it is Spark that works
STOPPED_WITH_US = "The embedded AWS was stopped while this run was under way"


@dataclass(frozen=True, slots=True)
class Ready:
    """A run's files on this machine."""

    script: Path
    path: tuple[Path, ...]
    jars: tuple[Path, ...]


class Worker:
    """Job runs of one embedded AWS, `slots` at a time, in the order of StartJobRun. `stop` kills what is under way."""

    def __init__(self, standby: Standby) -> None:
        self.settings = settings = standby.settings
        shutil.rmtree(settings.scratch / "runs", ignore_errors=True)
        (settings.scratch / "runs").mkdir(parents=True)
        self.standby, self.jvms, self.interpreters = standby, standby.jvms, standby.interpreters
        self.optimizers: Optimizers | None = None
        self._closing = standby.closing
        self._under_way: set[str] = set()
        self._slots = ThreadPoolExecutor(settings.slots, "glue-run")
        self._dispatcher = threading.Thread(target=self._dispatch, name="glue-runs", daemon=True)

    def start(self) -> None:
        """Begin to take runs; those that were submitted before wait in line already."""
        self._dispatcher.start()

    @property
    def quiet(self) -> bool:
        """No job run is under way."""
        return not self._under_way

    def stop(self) -> None:
        """Runs under way fail, and say why; JVMs end."""
        self._closing.set()
        if self.optimizers is not None:
            self.optimizers.stop()
        if self._dispatcher.is_alive():
            self._dispatcher.join()
        self._slots.shutdown(wait=True)
        self.standby.close()

    def _dispatch(self) -> None:
        while not self._closing.is_set():
            with contextlib.suppress(queue.Empty):
                run = glue_job_runs.submitted.get(timeout=0.2)
                self._slots.submit(self._run, run)

    def _run(self, run: LocalJobRun) -> None:
        if self._closing.is_set() or not run.claim():
            return
        self._under_way.add(run.job_run_id)
        key = role_credentials.of_role(run.role, run.account)
        logs = RunLogs(client("logs", self.settings.endpoint, run.region, key), run.job_run_id)
        folder = Path(tempfile.mkdtemp(dir=self.settings.scratch / "runs"))
        try:
            self._run_ready(run, self._ready(run, key), key, logs, folder)
        except PlaneError as fault:
            logs.write("stderr", str(fault))
            run.move("FAILED", str(fault))
        except Exception as error:  # a fault of the worker must not leave the run RUNNING for ever
            log.exception("job run %s", run.job_run_id)
            run.move("FAILED", f"the embedded AWS failed: {type(error).__name__}: {error}")
        finally:
            self._under_way.discard(run.job_run_id)
            logs.close()
            shutil.rmtree(folder, ignore_errors=True)

    def _prepare_later(self) -> None:
        """Have an interpreter ready for the next run, once this one has come so far that it leaves a core free."""
        later = threading.Timer(PREPARE_AFTER, self.interpreters.prepare)
        later.daemon = True
        later.start()

    def _ready(self, run: LocalJobRun, key: RoleKey) -> Ready:
        s3 = client("s3", self.settings.endpoint, run.region, key)
        cache = self.settings.scratch / "files"
        given = run.arguments or {}

        def all_of(name: str) -> tuple[Path, ...]:
            return tuple(fetch(s3, location, cache) for location in listed(given.get(name, "")))

        libraries = [file.parent if file.suffix == ".py" else file for file in all_of("--extra-py-files")]
        installed = install_wheels(all_of("--additional-python-modules"), cache)
        path = (*libraries, *([installed] if installed else []))
        # Glue guide, job parameters: --scriptLocation overrides the command's own.
        return Ready(fetch(s3, given.get("--scriptLocation") or run.command["ScriptLocation"], cache), path, all_of("--extra-jars"))

    @contextlib.contextmanager
    def _jvm(self, run: LocalJobRun, ready: Ready, key: RoleKey, logs: RunLogs) -> Iterator[tuple[dict[str, str], Callable[[], None]]]:
        """The environment that leads to the run's JVM. A Python shell job has none."""
        if run.command.get("Name") == "pythonshell":
            yield {}, lambda: None
            return
        given = run.arguments or {}
        wanted = session.properties(spark_conf(given.get("--conf", "")), run.job_name, self.settings.endpoint, run.region, key)
        worker_environment = process.environment(self.settings.endpoint, run.region, key, ready.path, {})
        shared = {f"spark.executorEnv.{name}": text for name, text in worker_environment.items() if name.startswith(("AWS_", "PYTHONPATH"))}
        with self.jvms.lend(session.wish(given, ready.jars), {**wanted, **shared}, logs.write) as (gateway, killed):
            yield _gateway_environment(gateway), killed

    def _run_ready(self, run: LocalJobRun, ready: Ready, key: RoleKey, logs: RunLogs, folder: Path) -> None:
        given = run.arguments or {}
        with self._jvm(run, ready, key, logs) as (gateway, killed):
            run.move("RUNNING")
            logs.write("stdout", f"Running {given.get('--scriptLocation') or run.command['ScriptLocation']} as {run.role}")
            extra = {**gateway, **customer_environment(given.get("--customer-driver-env-vars", ""))}
            env = process.environment(self.settings.endpoint, run.region, key, ready.path, extra)
            words = tuple(script_arguments(given, run.job_name, run.job_run_id))
            orders = Orders(str(ready.script), words, env, tuple(map(str, ready.path)), str(folder), str(folder / "outcome"))
            interpreter = self.interpreters.take(env, (ready.script.parent, *ready.path))
            self._prepare_later()

            def stopping() -> bool:
                return run.state == "STOPPING" or self._closing.is_set()

            result = process.run(interpreter, orders, logs.write, run.timeout * 60, stopping)
            logs.flush()
            if result.ending == "ended":
                run.move("FAILED" if result.message else "SUCCEEDED", result.message)
            else:
                killed()
        # A killed run has ended only when nothing of it is at work in the JVM any more.
        if self._closing.is_set():
            run.move("FAILED", STOPPED_WITH_US)
        elif result.ending == "timed out":
            run.move("TIMEOUT", f"Job run exceeded its timeout of {run.timeout} minutes")
        elif result.ending == "stopped":
            run.move("STOPPED")


def _gateway_environment(gateway: Gateway) -> dict[str, str]:
    return {"PYSPARK_GATEWAY_PORT": str(gateway.port), "PYSPARK_GATEWAY_SECRET": gateway.secret}


def start(worker: Worker) -> None:
    """Settle what a restart interrupted, then take job runs. The server must answer at the settings' endpoint.

    The worker's `optimizers` is a source for the timeline; `None` where the settings leave them out.
    """
    from meshplane_cli.local.optimizers import Optimizers
    from meshplane_cli.local.repairs import stepfunctions

    glue_job_runs.settle_interrupted()
    stepfunctions.settle_interrupted()
    worker.start()
    if worker.settings.optimizers:
        worker.optimizers = Optimizers(worker.settings, worker.jvms, lambda: worker.quiet)
        worker.optimizers.start()
