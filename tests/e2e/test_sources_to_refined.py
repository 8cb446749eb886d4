"""The five examples of sources, from real servers on loopback through raw into refined: real template, policies, machines and Spark; each
run twice.

A shop's cursor-paged API (429, 500, a schema that changes half-way), dated exchange rates (holidays, a restated day), a vendor's csv, a
table of PostgreSQL (updates, deletes, a column that comes), and a topic of Kafka (late, twice, poison, a broker that starts anew).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.e2e.examples_here import Servers, checkout, domain, projects
from tests.e2e.plane import HEAD, Plane, eventually, plane_in
from tests.jobs.servers import PASSWORD, broker, postgres
from tests.sources.apis import TOKEN, Rates, Shop, as_json, serving

pytestmark = [pytest.mark.local, pytest.mark.spark, pytest.mark.timeout(900)]

# Example → its refined table.
EXAMPLES = {"restorders": "orders", "fxrates": "rates", "vendorcsv": "prices", "jdbccontacts": "contacts", "kafkastock": "stock"}
WORLD = """jobs:
  outside: {{ script: jobs/outside.py, secrets: {{ crm: crm-owner }} }}
pipelines:
  seed: {{ params: {{ said: string }}, steps: [outside] }}
"""
OUTSIDE = '''"""What happens in the world outside: statements in the database, records in the topic."""
import json

from dp_foundation.config.arguments import invocation
from dp_foundation.config.secrets import get_secret
from dp_foundation.spark.session import get_spark

spark, said = get_spark("outside"), json.loads(invocation().run.params["said"])
known = spark._jvm.java.util.Properties()
for name, value in json.loads(get_secret("crm")).items():
    known.setProperty("user" if name == "username" else name, value)
opened = spark._jvm.org.postgresql.Driver().connect(said["database"], known)
for text in said["statements"]:
    opened.createStatement().execute(text)
opened.close()
if said["records"]:
    rows = spark.createDataFrame([(text.encode(),) for text in said["records"]], "value binary").coalesce(1)
    rows.write.format("kafka").option("kafka.bootstrap.servers", said["broker"]).option("topic", "stock").save()
'''
MADE = (
    "CREATE TABLE contacts (id bigint PRIMARY KEY, name text, updated_at timestamptz)",
    "INSERT INTO contacts SELECT i, 'n' || i, '2026-01-01'::timestamptz + i * interval '1 minute' FROM generate_series(1, 50) i",
    "INSERT INTO contacts VALUES (60, NULL, '2026-01-01 00:10:00+00')",
)
CHANGED = (
    "ALTER TABLE contacts ADD COLUMN segment text DEFAULT 'private'",
    "UPDATE contacts SET name = 'new', updated_at = '2026-02-01' WHERE id = 7",
    "DELETE FROM contacts WHERE id = 9",
    "INSERT INTO contacts VALUES (51, 'late', '2026-01-01 00:50:00+00')",
)
FIRST = [
    '{"id": 1, "amount": 5, "at": "2030-01-01T00:02:00Z"}',
    '{"id": 1, "amount": 9, "at": "2030-01-01T00:01:00Z"}',
    *['{"id": 2, "amount": 3, "at": "2030-01-01T00:01:00Z"}'] * 2,
    "poison {",
]
THEN = ['{"id": 2, "amount": 1, "at": "2030-01-01T00:05:00Z"}', '{"id": 2, "amount": 8, "at": "2030-01-01T00:04:00Z"}']


class Outside:
    """The plane, and the servers that the examples fetch from."""

    def __init__(self, plane: Plane, servers: Servers) -> None:
        self.plane, self.servers = plane, servers

    def publish(self) -> None:
        """The examples as they are published from a checkout, and a project that does what happens outside."""
        reader = {"username": "shop", "password": PASSWORD}
        secrets = {("restorders", "shop-api"): {"token": TOKEN}, ("jdbccontacts", "crm-reader"): reader, ("world", "crm-owner"): reader}
        for (project, name), told in secrets.items():
            secret = self.plane.stack.naming.of("secret", project=project, name=name)
            self.plane.client("secretsmanager").create_secret(Name=secret, SecretString=json.dumps(told))
        projects(self.plane.folder, self.servers)
        self.plane.write("world", HEAD.format(name="world") + WORLD.format(), {"jobs/outside.py": OUTSIDE})
        done = self.plane.meshplane("publish", "--all")
        assert done.returncode == 0, done.stdout + done.stderr
        assert {name: self.plane.synced(name) for name in EXAMPLES} == dict.fromkeys(EXAMPLES, ("True", "Applied"))

    def happens(self, name: str, statements: tuple[str, ...], records: list[str]) -> None:
        places = {"database": f"jdbc:postgresql://127.0.0.1:{self.servers.database.port}/postgres"}
        places["broker"] = f"127.0.0.1:{self.servers.topic.port}"
        said = json.dumps({**places, "statements": statements, "records": records})
        assert self.ended(self.begin("world", "seed", name, params={"said": said})) == "SUCCEEDED"

    def ingest(self, name: str, *examples: str) -> dict[str, str]:
        """How the pipelines of the examples (all of them by default) ended: one after the other, so that one JVM serves them all."""
        return {example: self.ended(self.begin(example, "ingest", name)) for example in examples or EXAMPLES}

    def begin(self, project: str, pipeline: str, name: str, **more: Any) -> str:
        """An execution about 4 to 8 January 2030, Friday to Tuesday."""
        naming = self.plane.stack.naming
        given = {"schema": 1, "run_id": name, "project": project, "pipeline": pipeline, "trigger": "manual", "params": {}, **more}
        given |= {"window_start": "2030-01-04T00:00:00Z", "window_end": "2030-01-09T00:00:00Z"}
        machine = naming.arn("states", f"stateMachine:{naming.state_machine(project, pipeline)}")
        states = self.plane.client("stepfunctions")
        return str(states.start_execution(stateMachineArn=machine, name=name, input=json.dumps({"run": given}))["executionArn"])

    def ended(self, arn: str) -> str:
        def looked() -> Any:
            told = self.plane.client("stepfunctions").describe_execution(executionArn=arn)
            return told if told["status"] != "RUNNING" else None

        told = eventually(looked, 400)
        cause = told.get("cause", "")
        why = json.loads(cause).get("ErrorMessage", cause) if cause.startswith("{") else cause
        return f"{told['status']} {told.get('error', '')} {why}".strip()

    def rows(self, example: str, suffix: str = "") -> list[dict[str, Any]]:
        """Of the example's refined table, or of the one beside it."""
        name = f"{self.plane.stack.naming.database('refined')}.{example}_{EXAMPLES[example]}{suffix}"
        return list(self.plane.catalog.load_table(name).scan().to_arrow().to_pylist())

    def refined(self) -> dict[str, list[tuple[Any, ...]]]:
        return {example: sorted(tuple(row.values()) for row in self.rows(example)) for example in EXAMPLES}

    def kept_out(self) -> dict[str, list[tuple[str, str]]]:
        """Example → what broke its contract, as the row and why."""
        return {
            example: sorted(
                (row["row"], "; ".join(f"{why['entity']} {why['column']}".strip() for why in row["reasons"]))
                for row in self.rows(example, "_quarantine")
            )
            for example in EXAMPLES
        }

    def judged(self, run: str) -> dict[str, dict[str, str]]:
        """`example.table` → what the run's record says of the gate, and of each rule of the manifest's own."""
        made: dict[str, dict[str, str]] = {}
        for example in EXAMPLES:
            for key in self.plane.keys("refined", f"{example}/_runs/{run}/load_"):
                told = json.loads(self.plane.client("s3").get_object(Bucket=self.plane.bucket("refined"), Key=key)["Body"].read())
                for verdict in told["verdicts"]:
                    own = {one["rule"]: one["outcome"] for one in verdict["results"] if not one["rule"].startswith("implied_")}
                    gate = {"gate": "passed" if verdict["passed"] else "failed"}
                    made |= {f"{example}.{verdict['table']}": gate | own} if own else {}
        return made

    def landed(self) -> dict[str, list[str]]:
        keys = {example: self.plane.keys("raw", f"{example}/") for example in EXAMPLES}
        return {example: [key for key in found if "/_" not in key and "/iceberg/" not in key] for example, found in keys.items()}

    def vendor(self, name: str, text: str) -> None:
        body = gzip.compress(text.encode("iso-8859-1"))
        self.plane.client("s3").put_object(Bucket=self.plane.bucket("raw"), Key=f"vendorcsv/inbox/vendor/{name}", Body=body)

    def said_by_jobs(self) -> str:
        pages = self.plane.client("logs").get_paginator("filter_log_events")
        groups = ("/aws-glue/jobs/output", "/aws-glue/jobs/error")
        return "\n".join(one["message"] for group in groups for page in pages.paginate(logGroupName=group) for one in page["events"])


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    folder = tmp_path_factory.mktemp("sources")
    with postgres() as database, broker() as topic, serving(Shop()) as shop, serving(Rates()) as rates:
        assert isinstance(shop, Shop)
        assert isinstance(rates, Rates)
        servers = Servers(shop, rates, database, topic)
        with plane_in(folder / "person", warm=True, root=checkout(folder / "root", domain(servers))) as plane:
            made = Outside(plane, servers)
            made.publish()
            yield made


def minute(number: int, year: int = 2030) -> datetime:
    return datetime(year, 1, 1, tzinfo=UTC) + timedelta(minutes=number)


def days(tuesday: str) -> list[tuple[Any, ...]]:
    """The rates of the days that have some, Tuesday's dollar as it is stated; Friday's franc was none."""
    dollar = [(date(2030, 1, day), "USD", Decimal(rate)) for day, rate in ((4, "1.1"), (7, "1.1"), (8, tuesday))]
    return sorted([*dollar, *((date(2030, 1, day), "CHF", Decimal("0.95")) for day in (7, 8))])


def expected(tuesday: str, prices: tuple[str, str], contacts: dict[int, tuple[str, datetime]], second: tuple[int, int]) -> dict[str, Any]:
    """The five refined tables, whole, in plain Python; of the rates without the time of the answer."""
    return {
        "restorders": [(number, Decimal(f"{number}.50"), minute(number)) for number in range(250) if number != 13],
        "fxrates": days(tuesday),
        "vendorcsv": [(1, "Größe", Decimal(prices[0])), (2, "Müller", Decimal(prices[1]))],
        "jdbccontacts": sorted((number, *rest) for number, rest in contacts.items()),
        "kafkastock": [(1, 5, minute(2)), (2, second[0], minute(second[1]))],
    }


def without_seen(refined: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    return {**refined, "fxrates": [row[:3] for row in refined["fxrates"]]}


def why_kept_out(kept: dict[str, list[tuple[str, str]]]) -> dict[str, list[str]]:
    return {example: sorted({why for _, why in rows}) for example, rows in kept.items()}


RULES = {
    "restorders.orders": ["paid", "amounts"],
    "fxrates.rates": ["known", "positive"],
    "vendorcsv.prices_raw": ["header"],
    "vendorcsv.prices": ["named", "prices"],
    "jdbccontacts.contacts": ["names"],
    "kafkastock.events_raw": ["once"],
    "kafkastock.stock": ["amounts"],
}
WHY = {
    "restorders": ["types amount"],
    "fxrates": ["types rate"],
    "vendorcsv": ["line"],
    "jdbccontacts": ["nullability name"],
    "kafkastock": ["nullability id"],
}


def test_the_examples_reach_refined_and_a_second_run_changes_nothing(outside: Outside) -> None:
    servers, whole = outside.servers, dict.fromkeys(EXAMPLES, "SUCCEEDED")
    outside.happens("seed-1", MADE, FIRST)
    outside.vendor("a.csv.gz", "nr;name;price\n1;Größe;0,10\n2;Müller;5,00\n3;kaputt\n")
    servers.shop.failing = [as_json({}, 429, **{"Retry-After": "1"}), as_json({}, 500)]
    servers.shop.garbled, servers.rates.odd = {13: "on demand"}, {"2030-01-04": {"CHF": "n/a"}}
    assert outside.ingest("ingest-1") == whole
    contacts = {number: (f"n{number}", minute(number, 2026)) for number in range(1, 51)}
    first, landed, kept = outside.refined(), outside.landed(), outside.kept_out()
    assert without_seen(first) == expected("1.1", ("0.10", "5.00"), contacts, (3, 1))
    assert why_kept_out(kept) == WHY
    assert ["n/a" in kept["fxrates"][0][0], "3;kaputt" in kept["vendorcsv"][0][0], "poison {" in kept["kafkastock"][0][0]] == [True] * 3
    passed = {table: dict.fromkeys(["gate", *rules], "passed") for table, rules in RULES.items()}
    assert outside.judged("ingest-1") == passed
    assert [path for path in servers.rates.asked if "2030-01-05" in path or "2030-01-06" in path] != [], "the weekend was asked for"

    assert outside.ingest("ingest-2") == whole
    assert (outside.refined(), outside.landed(), outside.kept_out()) == (first, landed, kept)

    servers.topic.stop()
    servers.topic.start()
    outside.happens("seed-2", CHANGED, THEN)
    servers.rates.restated = {"2030-01-08": 1.3}
    outside.vendor("a.csv.gz", "nr;name;price\n1;Größe;0,20\n")
    assert outside.ingest("ingest-3") == whole
    contacts |= {7: ("new", datetime(2026, 2, 1, tzinfo=UTC)), 51: ("late", minute(50, 2026))}
    del contacts[9]
    after = outside.refined()
    assert without_seen(after) == expected("1.3", ("0.20", "5.00"), contacts, (1, 5))
    assert "public.contacts: not landed: segment" in outside.said_by_jobs()

    outside.vendor("b.csv.gz", "nr;name;price\n2;Müller;-1,00\n")
    told = outside.ingest("ingest-4", "vendorcsv")
    assert told["vendorcsv"].startswith("FAILED"), told
    refused = {**passed["vendorcsv.prices"], "gate": "failed", "prices": "failed"}
    assert outside.judged("ingest-4") == {"vendorcsv.prices_raw": passed["vendorcsv.prices_raw"], "vendorcsv.prices": refused}
    assert outside.refined() == after, "the gate let nothing of it through"
    logs = "".join(path.read_text(errors="replace") for path in outside.plane.stack.place.log.rglob("*.log"))
    assert [word for word in (TOKEN, PASSWORD) if word in logs] == []
