"""Clients and listings: one session, one call per listing, every page."""

from __future__ import annotations

import ast
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest

from meshplane import aws
from meshplane.aws.clients import Clients
from meshplane.aws.listings import Listings
from meshplane.errors import Denied, PlaneError
from meshplane.model.resource import ownership_tags
from tests.aws.behaviour import OTHER, OWNER
from tests.unit.kinds.sample import NAMING


def sent(clients: Clients) -> list[str]:
    """Operations from now on, of clients made from now on: the session is the one place to hook."""
    operations: list[str] = []
    clients.session.events.register("before-call.*.*", lambda model, **_: operations.append(model.name))
    return operations


def test_a_client_is_made_once_and_says_who_it_is(clients: Clients) -> None:
    glue = clients("glue")
    assert clients("glue") is glue
    assert "meshplane" in glue.meta.config.user_agent_extra
    once = clients("glue", retries=False)
    assert once is not glue
    assert once.meta.config.retries["total_max_attempts"] == 1
    assert glue.meta.config.retries["total_max_attempts"] > 1


def test_a_hook_that_raises_before_a_call_stops_it(clients: Clients) -> None:
    def crash(**_: object) -> None:
        raise SystemExit("died here")

    clients.session.events.register("before-call.glue.CreateDatabase", crash)
    with pytest.raises(SystemExit):
        clients("glue").create_database(DatabaseInput={"Name": "x"})
    assert clients("glue").get_databases()["DatabaseList"] == []


def test_every_page_is_read_once_and_shared(clients: Clients) -> None:
    operations = sent(clients)
    glue = clients("glue")
    for number in range(130):
        glue.create_job(Name=f"j{number:03d}", Role="r", Command={"Name": "glueetl"}, Tags=dict(ownership_tags(OWNER)))
    glue.create_job(Name="foreign", Role="r", Command={"Name": "glueetl"}, Tags=dict(ownership_tags(OTHER)))
    operations.clear()
    listings = Listings(clients, NAMING)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: listings.tagged(OWNER, "glue:job"), range(4)))
    assert all(len(each) == 130 for each in found)
    assert not any(arn.endswith("/foreign") for arn in found[0])
    assert listings.tagged(OWNER, "events:rule") == {}
    pages = len(operations)
    assert pages >= 2, "more than a page"
    assert listings.tagged(OWNER, "states:stateMachine") == {}
    assert len(operations) == pages, "one listing serves every type"


def test_a_listing_that_fails_raises_and_is_not_remembered(clients: Clients) -> None:
    listings = Listings(clients, NAMING)
    answers: list[PlaneError | list[int]] = [Denied("no"), [1]]

    def make() -> list[int]:
        answer = answers.pop(0)
        if isinstance(answer, PlaneError):
            raise answer
        return answer

    with pytest.raises(Denied):
        listings.once("x", make)
    assert listings.once("x", make) == [1]
    assert listings.once("x", make) == [1]


def test_a_missing_schedule_group_is_told_from_an_empty_one(clients: Clients) -> None:
    clients("scheduler").create_schedule_group(Name="empty")
    listings = Listings(clients, NAMING)
    assert listings.schedules("empty") == []
    assert listings.schedules("missing") is None


def test_nothing_that_has_pages_is_listed_without_a_paginator() -> None:
    """A list that stops half-way reads as "the rest is gone" (reliability A10)."""
    services = ("glue", "iam", "logs", "events", "scheduler", "stepfunctions", "s3", "dynamodb", "sqs", "ssm", "resourcegroupstaggingapi")
    session = boto3.Session(region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="y")
    paged: set[str] = set()
    for service in services:
        make: Any = session.client
        client = make(service)
        paged |= {name for name in client.meta.method_to_api_mapping if client.can_paginate(name)}
    raw = []
    for path in sorted(Path(aws.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in paged:
                raw.append(f"{path.name}:{node.lineno} {node.func.attr}")
    assert raw == []
