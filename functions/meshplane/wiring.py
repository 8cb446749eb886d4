"""The composition root: the only reader of the environment. Handlers ask it for the ports of their flow; the tests build their own.

Clients and what SSM publishes are kept for the life of the process; listings and everything else are made anew for each invocation.
The account and Region come from the function's own ARN, the domain from the packaged `domain.json`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from importlib.resources import files
from time import monotonic, sleep
from typing import Any, TypeVar
from urllib.parse import urlsplit

import boto3

from meshplane.aws.clients import Clients
from meshplane.aws.executions import AwsExecutions, RawLandings, SqsTriggers
from meshplane.aws.ingest_store import S3IngestStore
from meshplane.aws.kinds import adapters
from meshplane.aws.listings import Listings
from meshplane.aws.manifest_store import S3Manifests
from meshplane.aws.metrics import emit_late, emit_runs
from meshplane.aws.publisher import AwsPublisher, PublishRecords
from meshplane.aws.queue import SqsReconciles
from meshplane.aws.releases import SsmReleases
from meshplane.aws.restorer import AwsRestorer
from meshplane.aws.runs_store import DynamoRuns
from meshplane.aws.state_store import DynamoStates
from meshplane.aws.tellings import S3Tellings
from meshplane.aws.watcher import AwsWatcher
from meshplane.flows.converge import Tools
from meshplane.flows.ingest_api import source_of
from meshplane.flows.ingest_ports import IngestPorts
from meshplane.flows.open_runs import ProjectRuns
from meshplane.flows.plan_project import PlanPorts
from meshplane.flows.preparation import Here, Surroundings
from meshplane.flows.reconcile_project import Ports
from meshplane.flows.run_slots import RunPorts
from meshplane.flows.sweep_projects import Swept, sweep_projects
from meshplane.flows.sweep_runs import SweepPorts, sweep_runs
from meshplane.kinds import all_kinds
from meshplane.model.context import PlaneNames
from meshplane.model.domain import Domain
from meshplane.model.naming import Naming
from meshplane.model.resource import Provenance
from meshplane.model.sources import Source
from meshplane.model.urls import LOOPBACK, Allowed
from meshplane.net.http import SafeHttp
from meshplane.ports import Adapter
from meshplane.sandbox.process import interpreting

R = TypeVar("R")
S = TypeVar("S")
THREADS = 12  # fewer than the clients' pools hold connections


class SystemClock:
    """The real time. The embedded AWS sets `now` to its own."""

    def now(self) -> datetime:
        """The present moment, UTC."""
        return datetime.now(UTC)


class Threads:
    """Workers on threads."""

    def each(self, call: Callable[[R], S], over: Sequence[R]) -> list[S]:
        """Results in order; the first exception after all have ended."""
        if len(over) < 2:
            return [call(item) for item in over]
        with ThreadPoolExecutor(min(THREADS, len(over))) as pool:
            futures = [pool.submit(call, item) for item in over]
        return [future.result() for future in futures]


@dataclass(frozen=True, slots=True)
class Settings:
    """The environment variables of the functions (docs/contracts.md §6)."""

    env: str
    state_table: str
    reconcile_queue_url: str
    trigger_queue_url: str
    plane: PlaneNames

    @staticmethod
    def read(values: Mapping[str, str]) -> Settings:
        """Raises KeyError naming the variable that is missing: a fault of the deployment."""
        plane = PlaneNames(
            values["MESHPLANE_TRIGGER_QUEUE_ARN"],
            values["MESHPLANE_TARGET_DLQ_ARN"],
            values["MESHPLANE_SCHEDULER_ROLE_ARN"],
            values.get("MESHPLANE_ALERT_TOPIC_ARN", ""),
        )
        urls = (values["MESHPLANE_RECONCILE_QUEUE_URL"], values["MESHPLANE_TRIGGER_QUEUE_URL"])
        return Settings(values["MESHPLANE_ENV"], values["MESHPLANE_STATE_TABLE"], *urls, plane)


@cache
def clients() -> Clients:
    """Every client of this process, from one session: hook `clients().session.events` to see every request."""
    return Clients(boto3.Session())


@cache
def settings() -> Settings:
    """This function's settings."""
    return Settings.read(os.environ)


@cache
def domain() -> Domain:
    """`domain.json` beside the code: in a checkout a link to the one at the root, in what a build ships its content."""
    return Domain.model_validate_json(files("meshplane").joinpath("domain.json").read_text(encoding="utf-8"))


@cache
def naming(arn: str) -> Naming:
    """The names in the account and environment of the function with this ARN."""
    return domain().naming(settings().env, arn.split(":")[4])


@cache
def releases(arn: str) -> SsmReleases:
    """What the platform publishes, kept for the life of the process."""
    return SsmReleases(clients(), naming(arn))


def reconcile(context: Any) -> Ports:
    """For `reconcile_project`."""
    arn = context.invoked_function_arn
    return Ports(_states(), _manifests(arn), reconcile_queue(context), ProjectRuns(run_ports(context)), _surroundings(arn), _tools(context))


def plan(context: Any) -> PlanPorts:
    """For `plan_project`."""
    return PlanPorts(_states(), _surroundings(context.invoked_function_arn), _tools(context))


def sweep(context: Any) -> Swept:
    """One sweep of projects and of their runs."""
    names = naming(context.invoked_function_arn)
    queue = reconcile_queue(context)
    runs = SweepPorts(run_ports(context), RawLandings(clients(), names))
    swept = sweep_projects(_states(), S3Manifests(clients(), names), queue, SystemClock(), lambda projects: sweep_runs(runs, projects))
    emit_runs(runs.run.ended)
    emit_late(runs.late)
    return swept


def publisher(context: Any) -> AwsPublisher:
    """For `publish_tables`."""
    runs = DynamoRuns(clients()("dynamodb"), settings().state_table)
    return AwsPublisher(clients(), naming(context.invoked_function_arn), runs)


def restorer(context: Any) -> AwsRestorer:
    """For `restore_table`."""
    runs = DynamoRuns(clients()("dynamodb"), settings().state_table)
    queues = SqsTriggers(clients(), settings().trigger_queue_url), reconcile_queue(context)
    return AwsRestorer(clients(), naming(context.invoked_function_arn), runs, queues)


def watcher(context: Any) -> AwsWatcher:
    """For `watch_tables`."""
    arn = context.invoked_function_arn
    stores = DynamoRuns(clients()("dynamodb"), settings().state_table), _states()
    return AwsWatcher(clients(), naming(arn), stores, reconcile_queue(context), releases(arn))


def ingest(context: Any, project: str, pipeline: str, source: str, script: str = "") -> tuple[Source, IngestPorts]:
    """For `ingest_api`: the source as applied, and what fetching it needs. Loopback is called only where AWS is on loopback, too."""
    names = naming(context.invoked_function_arn)
    runs = DynamoRuns(clients()("dynamodb"), settings().state_table)
    found = source_of(runs.policies(project) or {}, pipeline, source, script)
    here = urlsplit(os.environ.get("AWS_ENDPOINT_URL", "")).hostname in LOOPBACK
    allowed = Allowed.of(domain().api_hosts, domain().loopback_hosts if here else ())

    def left() -> timedelta:
        return timedelta(milliseconds=context.get_remaining_time_in_millis())

    def pause(time: timedelta) -> None:
        sleep(time.total_seconds())

    store = S3IngestStore(clients(), names, project, found)
    loader = {name: value for name, value in os.environ.items() if name == "LD_LIBRARY_PATH"}  # where Lambda's Python finds itself
    return found, IngestPorts(SafeHttp(allowed, monotonic), store, SystemClock(), left, pause, partial(interpreting, environment=loader))


def run_ports(context: Any) -> RunPorts:
    """For `start_run`, `record_run` and whatever else looks at runs."""
    runs = DynamoRuns(clients()("dynamodb"), settings().state_table)
    records = PublishRecords(clients(), naming(context.invoked_function_arn))
    return RunPorts(runs, AwsExecutions(clients()), SqsTriggers(clients(), settings().trigger_queue_url), SystemClock(), records)


def tellings(context: Any) -> S3Tellings:
    """For `record_run`: lineage goes where domain.json says."""
    lineage = domain().lineage
    return S3Tellings(clients(), naming(context.invoked_function_arn), lineage.bus if lineage.target == "eventbridge" else "")


def reconcile_queue(context: Any) -> SqsReconciles:
    """For whoever asks for a look at a project."""
    return SqsReconciles(clients()("sqs"), settings().reconcile_queue_url, naming(context.invoked_function_arn))


def _states() -> DynamoStates:
    return DynamoStates(clients()("dynamodb"), settings().state_table)


def _manifests(arn: str) -> S3Manifests:
    return S3Manifests(clients(), naming(arn))


def _surroundings(arn: str) -> Surroundings:
    return Surroundings(Here(domain(), naming(arn), settings().plane), _manifests(arn), releases(arn), _states())


def _tools(context: Any) -> Tools:
    names = naming(context.invoked_function_arn)

    def opened(provenance: Provenance) -> Mapping[str, Adapter[Any]]:
        return adapters(clients(), Listings(clients(), names), names, provenance, SystemClock())

    def left() -> timedelta:
        return timedelta(milliseconds=context.get_remaining_time_in_millis())

    def pause(time: timedelta) -> None:
        sleep(time.total_seconds())

    return Tools(opened, all_kinds(), Threads(), SystemClock(), left, pause)
