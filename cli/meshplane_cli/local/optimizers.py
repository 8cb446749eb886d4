"""Glue's table optimizers, run for real with Iceberg's Spark actions when they are due on the clock.

A source of the embedded AWS's timeline: `next_after` says when something is due, `fire` queues it, a thread works it off on a lent
JVM as the optimizer's role. Runs are recorded where ListTableOptimizerRuns and `lastRun` read them (`repairs.glue`).
"""

from __future__ import annotations

import json
import logging
import queue
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError
from moto.glue.models import glue_backends

from meshplane.errors import PlaneError
from meshplane_cli.local import role_credentials
from meshplane_cli.local.clock import CLOCK
from meshplane_cli.local.glue_runs import process, session
from meshplane_cli.local.glue_runs.clients import client
from meshplane_cli.local.glue_runs.interpreters import Interpreter, Orders
from meshplane_cli.local.glue_runs.settings import Settings
from meshplane_cli.local.glue_runs.warm_up import CONF
from meshplane_cli.local.jvm import JvmPool, Wish
from meshplane_cli.local.repairs.glue import optimizers as stored

log = logging.getLogger("meshplane.optimizers")

Key = tuple[str, str, str]
"""database, table, type"""

COMPACTION_EVERY = timedelta(hours=1)
SUSPENDED_AFTER = 4  # failures of compaction in a row (Glue guide, "Considerations and limitations" of table optimization)
SUSPENDED = "; compaction is suspended after 4 failures in a row: mend the cause, then update the optimizer to enable it again"
TIME_LIMIT = 3600.0  # seconds of one run
# Files that a commit under way has written and not named yet must not count as orphans, also when the clock was advanced past them.
YOUNG = timedelta(seconds=10)
_SETTINGS = {
    "compaction": "compactionConfiguration",
    "retention": "retentionConfiguration",
    "orphan_file_deletion": "orphanFileDeletionConfiguration",
}


class Optimizers:
    """All optimizers of one embedded AWS. `quiet` tells that no job run is under way."""

    def __init__(self, settings: Settings, jvms: JvmPool, quiet: Callable[[], bool]) -> None:
        self._settings, self._jvms, self._quiet = settings, jvms, quiet
        self._due: queue.Queue[tuple[str, str, Key]] = queue.Queue()
        self._queued: set[tuple[str, str, Key]] = set()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="optimizers", daemon=True)

    def start(self) -> None:
        """Begin to work off what is fired."""
        self._thread.start()

    def stop(self) -> None:
        """End the run under way, if there is one; it counts as failed."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def idle(self) -> bool:
        """Nothing is queued or under way."""
        return not self._queued

    def next_after(self, moment: datetime) -> datetime | None:
        """The first time later than `moment` at which an enabled optimizer is due."""
        return min((_next(key[2], entry, moment) for _, _, key, entry in _enabled()), default=None)

    def fire(self, moment: datetime) -> None:
        """Queue every optimizer that is due by `moment`."""
        for account, region, key, entry in _enabled():
            if _next(key[2], entry, moment - timedelta(microseconds=1)) <= moment:
                entry["looked"] = moment
                work = (account, region, key)
                if work not in self._queued:
                    self._queued.add(work)
                    self._due.put(work)

    def _work(self) -> None:
        while not self._closing.is_set():
            try:
                work = self._due.get(timeout=0.2)
            except queue.Empty:
                continue
            try:
                self._look(*work)
            except Exception:  # one optimizer's trouble must not end the others
                log.exception("optimizer %s", work)
            finally:
                self._queued.discard(work)

    def _look(self, account: str, region: str, key: Key) -> None:
        entry = stored(glue_backends[account][region]).get(key)
        if entry is None or not entry["configuration"].get("enabled") or _suspended(entry):
            return
        table = glue_backends[account][region].get_table(key[0], key[1]).as_dict()
        location = (table.get("Parameters") or {}).get("metadata_location", "")
        if key[2] == "compaction" and entry.get("seen") == location:
            return  # nothing was committed since the last look
        run: dict[str, Any] = {"eventType": "in_progress", "startTimestamp": CLOCK.now()}
        begun = time.monotonic()
        try:
            role = role_credentials.of_role(entry["configuration"]["roleArn"], account)
            metadata = _metadata(client("s3", self._settings.endpoint, region, role), location)
            task = _task(key, entry["configuration"], metadata)
            if task is None:
                entry["seen"] = location
                return
            entry["runs"].append(run)
            counts = self._run(role, task)
        except (PlaneError, ClientError, BotoCoreError) as fault:
            if run not in entry["runs"]:
                entry["runs"].append(run)
            _failed(entry, run, str(fault), key[2] == "compaction")
            return
        entry["seen"], entry["failing"] = location, None
        run.update(eventType="completed", endTimestamp=CLOCK.now(), **_metrics(key[2], counts, time.monotonic() - begun))

    def _run(self, role: role_credentials.RoleKey, task: dict[str, Any]) -> dict[str, int]:
        """Do `task` in a process of its own; its counts. OptimizerError when it fails."""
        while task["type"] == "orphan_file_deletion" and not (self._quiet() or self._closing.is_set()):
            time.sleep(0.2)
        folder = Path(tempfile.mkdtemp(prefix="optimizer-", dir=self._settings.scratch / "runs"))
        script = Path(__file__).parent / "glue_runs" / "optimize_table.py"
        wanted = session.properties(CONF, "optimizer", self._settings.endpoint, self._settings.region, role)
        try:
            with self._jvms.lend(Wish(), wanted, _to_log) as (gateway, killed):
                extra = {"PYSPARK_GATEWAY_PORT": str(gateway.port), "PYSPARK_GATEWAY_SECRET": gateway.secret}
                env = process.environment(self._settings.endpoint, self._settings.region, role, (), extra)
                orders = Orders(str(script), (json.dumps(task),), env, (), str(folder), str(folder / "outcome"))
                result = process.run(Interpreter(env), orders, _to_log, TIME_LIMIT, self._closing.is_set)
                if result.ending != "ended":
                    killed()
            if result.ending != "ended" or result.message:
                raise OptimizerError(result.message or f"the run was {result.ending}")
            counts: dict[str, int] = json.loads((folder / "result.json").read_text(encoding="ascii"))
            return counts
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class OptimizerError(PlaneError):
    """An optimizer's run failed; the message becomes the run's error."""


def _to_log(_stream: str, line: str) -> None:
    log.debug("%s", line)


def _enabled() -> Iterator[tuple[str, str, Key, dict[str, Any]]]:
    for account, region, backend in list(glue_backends.iter_backends()):
        for key, entry in list(stored(backend).items()):
            if entry["configuration"].get("enabled"):
                yield account, region, key, entry


def _chosen(configuration: dict[str, Any], kind: str) -> dict[str, Any]:
    """The Iceberg settings of one optimizer; absent ones have Glue's defaults where they are read."""
    found: dict[str, Any] = configuration.get(_SETTINGS[kind], {}).get("icebergConfiguration", {})
    return found


def _next(kind: str, entry: dict[str, Any], moment: datetime) -> datetime:
    """When it is due after `moment`. Always at a whole hour, so that a day of many tables has 24 moments, not thousands."""
    since = _hour(entry.setdefault("looked", CLOCK.now()))
    every = COMPACTION_EVERY
    if kind != "compaction":
        every = timedelta(hours=_chosen(entry["configuration"], kind).get("runRateInHours", 24))
    periods = max((moment - since) // every + 1, 1)
    return since + periods * every


def _hour(moment: datetime) -> datetime:
    """The whole hour at or after `moment`."""
    floor = moment.replace(minute=0, second=0, microsecond=0)
    return floor if floor == moment else floor + timedelta(hours=1)


def _suspended(entry: dict[str, Any]) -> bool:
    configuration, times = entry.get("failing") or (None, 0)
    return configuration is entry["configuration"] and times >= SUSPENDED_AFTER


def _failed(entry: dict[str, Any], run: dict[str, Any], error: str, counts: bool) -> None:
    """A failure counts against the configuration that it ran with: an update starts anew."""
    configuration, times = entry.get("failing") or (None, 0)
    times = times + 1 if configuration is entry["configuration"] else 1
    entry["failing"] = (entry["configuration"], times) if counts else None
    suspended = counts and times >= SUSPENDED_AFTER
    run.update(eventType="failed", endTimestamp=CLOCK.now(), error=error + (SUSPENDED if suspended else ""))


def _metadata(s3: Any, location: str) -> dict[str, Any]:
    parts = urlsplit(location)
    if not parts.netloc:
        raise OptimizerError("the table names no metadata file: it is no Iceberg table, or was never committed")
    body: dict[str, Any] = json.loads(s3.get_object(Bucket=parts.netloc, Key=parts.path.lstrip("/"))["Body"].read())
    return body


def _task(key: Key, configuration: dict[str, Any], metadata: dict[str, Any]) -> dict[str, Any] | None:
    """What `optimize_table` is to do, with Glue's defaults (Glue API, Iceberg…Configuration); None when there is nothing to do."""
    database, table, kind = key
    chosen, properties, now = _chosen(configuration, kind), metadata.get("properties", {}), CLOCK.now()
    task: dict[str, Any] = {"type": kind, "table": f"{database}.{table}"}
    if kind == "compaction":
        files, threshold = chosen.get("minInputFiles", 100), chosen.get("deleteFileThreshold", 1)
        if not _worth_compacting(metadata, files, threshold):
            return None
        return {**task, "strategy": chosen.get("strategy", "binpack"), "min_input_files": files, "delete_file_threshold": threshold}
    if kind == "retention":
        age = int(properties.get("history.expire.max-snapshot-age-ms", timedelta(days=5) / timedelta(milliseconds=1)))
        days = chosen.get("snapshotRetentionPeriodInDays")
        kept = timedelta(days=days) if days is not None else timedelta(milliseconds=age)
        keep = chosen.get("numberOfSnapshotsToRetain", int(properties.get("history.expire.min-snapshots-to-keep", 1)))
        return {**task, "older_than": _millis(now - kept), "keep": keep, "clean": bool(chosen.get("cleanExpiredFiles", False))}
    cutoff = min(now - timedelta(days=chosen.get("orphanFileRetentionPeriodInDays", 3)), datetime.now(UTC) - YOUNG)
    return {**task, "older_than": _millis(cutoff), "location": chosen.get("location", "")}


def _worth_compacting(metadata: dict[str, Any], files: int, threshold: int) -> bool:
    """By the counts that every commit writes: enough files to be worth it, or deletes to be merged in."""
    current = metadata.get("current-snapshot-id")
    summary: dict[str, str] = next((shot["summary"] for shot in metadata.get("snapshots", []) if shot["snapshot-id"] == current), {})
    return int(summary.get("total-data-files", 0)) >= files or int(summary.get("total-delete-files", 0)) >= max(threshold, 1)


def _millis(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _metrics(kind: str, counts: dict[str, int], seconds: float) -> dict[str, Any]:
    """As TableOptimizerRun has them (botocore model): the old text fields for compaction, and the typed ones for each."""
    hours = seconds / 3600
    spent = {"DpuHours": 2 * hours, "NumberOfDpus": 2, "JobDurationInHour": hours}
    if kind == "compaction":
        typed = {"NumberOfBytesCompacted": counts["bytes"], "NumberOfFilesCompacted": counts["files"], **spent}
        texts = {name: str(value) for name, value in typed.items() if name != "DpuHours"}
        texts["NumberOfDpus"] = str(spent["NumberOfDpus"])
        return {"metrics": texts, "compactionMetrics": {"IcebergMetrics": typed}}
    if kind == "retention":
        names = {"data_files": "DataFiles", "manifests": "ManifestFiles", "manifest_lists": "ManifestLists"}
        typed = {f"NumberOf{name}Deleted": counts[count] for count, name in names.items()}
        return {"retentionMetrics": {"IcebergMetrics": {**typed, **spent}}}
    return {"orphanFileDeletionMetrics": {"IcebergMetrics": {"NumberOfOrphanFilesDeleted": counts["files"], **spent}}}
