"""One boto3 session for all clients of a process: each session reads the endpoints of AWS and the models of its services anew, a third of
a second that the embedded AWS's other threads wait for."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

import boto3
import botocore.session

_MAKING = threading.Lock()  # boto3's guide, "Multithreading": making clients of one session is nothing for two threads


@cache
def session() -> boto3.session.Session:
    """Credentials, Region and endpoint are each client's own."""
    return boto3.session.Session()


def client(service: str, **given: Any) -> Any:
    """A client, by the arguments of `boto3.client`."""
    with _MAKING:
        make: Any = session().client  # the stubs want a literal name
        return make(service, **given)


@cache
def model(service: str) -> Any:
    """botocore's model of a service."""
    with _MAKING:
        return session()._session.get_service_model(service)


@cache
def regions(service: str, partition: str, non_regional: bool) -> tuple[str, ...]:
    """Where a service is offered, as botocore's `get_available_regions` tells it."""
    with _MAKING:
        return tuple(_ask(session()._session, service, partition, non_regional))


def share_regions() -> None:
    """From now on each session of this process gives these answers. moto asks a new one for each service and partition, EC2's while it is
    imported, and each would read the service's model for it: half a second of EC2's alone."""
    each: Any = botocore.session.Session
    each.get_available_regions = _available


_ask = botocore.session.Session.get_available_regions


def _available(_: Any, service_name: str, partition_name: str = "aws", allow_non_regional: bool = False) -> list[str]:
    return list(regions(service_name, partition_name, allow_non_regional))
