"""Complete listings that several adapters share, made at most once per reconcile: opened by `wiring`, read by `aws/kinds`.

A listing is complete or it raises: only paginators, because a list that stopped half-way would read as "the rest is gone".
The tag index is an index: it may miss what is seconds old and name what is gone. Adapters prove by a direct read before a write.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from threading import Lock
from typing import Any, TypeVar

from meshplane.aws.clients import Clients
from meshplane.aws.faults import translated
from meshplane.errors import NotFound
from meshplane.model.naming import Naming
from meshplane.model.resource import Owner, ownership_tags

T = TypeVar("T")

# The services whose resources carry our tags. Types are told apart by ARN: their spelling in the index is not the ARN's (`logs:loggroup`).
TAGGED = ("glue", "states", "logs", "events", "scheduler", "cloudwatch")


def pages(clients: Clients, service: str, operation: str, key: str, **arguments: Any) -> list[Any]:
    """All items under `key` of every page of a list operation (snake case). Raises `meshplane.errors`."""
    action = f"{service}:{''.join(part.title() for part in operation.split('_'))}"
    with translated(action):
        return [item for page in clients(service).get_paginator(operation).paginate(**arguments) for item in page.get(key, ())]


class Listings:
    """Lazily made, cached, safe to share between threads. One instance lives for one reconcile: open a new one to look again."""

    def __init__(self, clients: Clients, naming: Naming) -> None:
        self._clients, self._naming = clients, naming
        self._kept: dict[Hashable, Any] = {}
        self._locks: dict[Hashable, Lock] = {}
        self._lock = Lock()

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """`make()`, remembered under `key`. A second thread waits for the first; an error is not remembered."""
        with self._lock:
            lock = self._locks.setdefault(key, Lock())
        with lock:
            if key not in self._kept:
                self._kept[key] = make()
            found: T = self._kept[key]
            return found

    def tagged(self, owner: Owner, resource_type: str) -> Mapping[str, Mapping[str, str]]:
        """ARN → tags of everything that carries the owner's tags, by service and type as in the ARN (`glue:job`,
        `states:stateMachine`, `logs:log-group`, `events:rule`, `scheduler:schedule-group`, `cloudwatch:alarm`): one listing for all."""

        def make() -> list[tuple[str, Mapping[str, str]]]:
            filters = [{"Key": key, "Values": [value]} for key, value in ownership_tags(owner).items()]
            found = pages(
                self._clients,
                "resourcegroupstaggingapi",
                "get_resources",
                "ResourceTagMappingList",
                TagFilters=filters,
                ResourceTypeFilters=list(TAGGED),
                ResourcesPerPage=100,
            )
            return [(item["ResourceARN"], {tag["Key"]: tag["Value"] for tag in item["Tags"]}) for item in found]

        service, _, kind = resource_type.partition(":")
        everything = self.once(("tagged", owner), make)
        return {arn: tags for arn, tags in everything if arn.split(":")[2] == service and _resource(arn).startswith(kind)}

    def roles(self) -> Sequence[Mapping[str, Any]]:
        """Every role of the account with trust, policies, boundary and tags (GetAccountAuthorizationDetails, 1,000 a page)."""

        def make() -> list[Mapping[str, Any]]:
            return pages(
                self._clients,
                "iam",
                "get_account_authorization_details",
                "RoleDetailList",
                Filter=["Role"],
                PaginationConfig={"PageSize": 1000},
            )

        return self.once("roles", make)

    def schedules(self, group: str) -> Sequence[str] | None:
        """The names of the schedules in a group; None when there is no such group."""

        def make() -> list[str] | None:
            try:
                return [item["Name"] for item in pages(self._clients, "scheduler", "list_schedules", "Schedules", GroupName=group)]
            except NotFound:
                return None

        return self.once(("schedules", group), make)


def _resource(arn: str) -> str:
    """The part of an ARN that names type and resource: `job/f01-…`, `stateMachine:f01-…`."""
    return arn.split(":", 5)[5]
