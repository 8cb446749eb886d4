"""One boto3 session for all clients of a process: each session reads the endpoints of AWS and the models of its services anew, a third of
a second that the embedded AWS's other threads wait for."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

import boto3

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
