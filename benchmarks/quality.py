"""What contract and gate cost while writing: CPU seconds of Spark and driver, and wall seconds, as multiples of a plain write of the same
rows to the same kind of table. `PYTHONPATH=functions:glue_jobs:cli python benchmarks/quality.py [--rows N] [--rounds N] [--no-peer]`

Nine rules on twelve columns: not null (4), in a set (2), range (2), the number of rows; the key's uniqueness is proven by the merge. Two
kinds of key: numbers given out one after the other, and the same scattered over 64 bits. A table without rows, where the gated write fills
its branch by an append, and one that holds as many, half of them under keys that come again. Rounds are interleaved on one JVM, after one
over a tenth of the rows that does not count, and on an AWS (moto) in a process whose CPU is told apart. The peer is cuallee, which
uv puts into a folder of its own (`.meshplane/peers`): the same rules over what a plain write wrote.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
REGION, ACCOUNT = "eu-central-1", "390403879405"
COLUMNS = {
    "id": "bigint",
    "customer": "bigint",
    "status": "string",
    "currency": "string",
    "amount": "double",
    "quantity": "int",
    "country": "string",
    "channel": "string",
    "ordered_at": "timestamp",
    "updated_at": "timestamp",
    "note": "string",
    "score": "double",
}
REQUIRED = ("id", "customer", "ordered_at", "updated_at")
SETS = {"status": ["new", "paid", "sent"], "currency": ["EUR", "USD", "CHF", "GBP"]}
RANGES = {"amount": (0, 10_000), "quantity": (1, 50)}
RULES = [
    *({"name": f"{name}_there", "kind": "not_null", "columns": [name]} for name in REQUIRED),
    *({"name": f"{name}_known", "kind": "in_set", "columns": [name], "params": {"values": values}} for name, values in SETS.items()),
    *({"name": f"{name}_sane", "kind": "range", "columns": [name], "params": {"min": a, "max": b}} for name, (a, b) in RANGES.items()),
    {"name": "some", "kind": "row_count", "params": {"min": 1}},
    {"name": "implied_key_unique", "kind": "unique", "columns": ["id"]},
]
PEER = "cuallee==0.15.4"
MOTO = """
import logging, sys, time
from moto.server import ThreadedMotoServer
from meshplane_cli.local import repairs
repairs.apply()
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


class Bench:
    """One JVM, one AWS; every variant writes a fresh table."""

    def __init__(self, rows: int, aws: int) -> None:
        self.rows, self.aws, self.tables, self.runs, self.folder = rows, aws, 0, 0, ""
        self.held: dict[str, str] = {}
        self._place(["bench"])
        self.spark = _session()
        self.spark.sparkContext.setLogLevel("ERROR")
        self.jvm = self.spark.sparkContext._gateway.proc.pid
        for part in (10, 1):
            self.part(part)
            again = f"id + {self.count // 2}"
            for kind, bad, key in (("clean", 0, "id"), ("dirty", 100, "id"), ("scattered", 0, "xxhash64(id)"), ("earlier", 0, again)):
                self._source(kind, bad, key)
            self.held[self.folder] = self._held()

    def part(self, one_in: int) -> None:
        """What follows works on all rows (1), or on so large a part of them."""
        self.folder, self.count = f"bench/{one_in}", self.rows // one_in

    def _source(self, kind: str, one_in: int, key: str) -> None:
        status = "element_at(array('new', 'paid', 'sent'), cast(id % 3 + 1 AS int))"
        made = self.spark.range(0, self.count, 1, 8).selectExpr(
            f"{key} AS id",
            "id % 25000 AS customer",
            f"CASE WHEN {f'id % {one_in} = 0' if one_in else 'false'} THEN 'lost' ELSE {status} END AS status",
            "element_at(array('EUR', 'USD', 'CHF', 'GBP'), cast(id % 4 + 1 AS int)) AS currency",
            "round(rand(7) * 9999, 2) AS amount",
            "cast(id % 50 + 1 AS int) AS quantity",
            "element_at(array('DE', 'FR', 'IT'), cast(id % 3 + 1 AS int)) AS country",
            "concat('c', id % 11) AS channel",
            "timestamp_seconds(1790000000 + id % 8640000) AS ordered_at",
            "timestamp_seconds(1790000000 + id % 8640001) AS updated_at",
            "concat('note ', id, ' ', hash(id)) AS note",
            "rand(3) AS score",
        )
        made.write.mode("overwrite").parquet(f"s3://f01-raw-{ACCOUNT}-de-dev/{self.folder}/{kind}/")

    def plain(self, kind: str = "clean") -> str:
        """Read the files, append them to an Iceberg table: nothing else."""
        table = self._table()
        self._read(kind).writeTo(f"glue_catalog.{table}").option("check-nullability", "false").append()
        return table

    def _held(self) -> str:
        """A table that already holds as many rows by a published run, half of them under keys that come again."""
        table, branch = self.judged("earlier"), f"audit_r{self.runs:05}_0_0"
        self.spark.sql(f"CALL glue_catalog.system.fast_forward('{table}', 'main', '{branch}')")
        return table

    def merged(self, into: str = "") -> str:
        """Read the files, one MERGE as everybody writes it."""
        table = into or self._table()
        self._read("clean").createOrReplaceTempView("s")
        self.spark.sql(
            f"MERGE INTO glue_catalog.{table} t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
        )
        return table

    def merged_into_rows(self) -> None:
        """The same into a table that holds rows, which has them back afterwards."""
        table = self.held[self.folder]
        before = self.spark.sql(f"SELECT snapshot_id FROM glue_catalog.{table}.refs WHERE name = 'main'").head()[0]
        self.merged(table)
        self.spark.sql(f"CALL glue_catalog.system.rollback_to_snapshot('{table}', {before})")

    def judged(self, kind: str, into: str = "") -> str:
        """`use: merge` as a run of the plane: contract at landing, the branch, the gate's verdict. `main` stays as it is."""
        from dp_foundation.builtin import merge

        table = into or self._table(quarantine=True)
        self.runs += 1
        run = {"schema": 1, "run_id": f"r{self.runs:05}", "project": "bench"}
        words = {"job": self._job(table, kind), "run": run}
        given = [word for name, value in words.items() for word in (f"--meshplane-{name}", json.dumps(value))]
        self._place(["job", *given, "--meshplane-step", "load", "--meshplane-attempt", "0_0", "--meshplane-gate", "audit"])
        merge.run()
        self._hold(table, kind)
        return table

    def _hold(self, table: str, kind: str) -> None:
        """What is measured is what was promised: bad rows in the quarantine, none on the branch, the key proven."""
        from dp_foundation.run.current import begin

        current = begin()
        assert current is not None
        (verdict,) = current.verdicts
        unique = next(r for r in verdict["results"] if r["kind"] == "unique")
        bad = self.count // 100 if kind == "dirty" else 0
        kept = self.spark.table(f"glue_catalog.{table}.branch_{verdict['branch']}").where("status = 'lost'").count() if bad else 0
        aside = self.spark.table(f"glue_catalog.{table}_quarantine").count() if bad else 0
        told = (verdict["rows"], kept, aside, unique["detail"][:6])
        if told != (self.count - bad, 0, bad, "proven") or (not bad and not verdict["passed"]):
            raise SystemExit(f"{kind}: found {told}, {verdict}")

    def _job(self, table: str, kind: str) -> Mapping[str, Any]:
        database, name = table.split(".")
        columns = [{"name": n, "type": t, "required": n in REQUIRED} for n, t in COLUMNS.items()]
        shared = {"project": "bench", "database": database, "columns": columns}
        raw = {
            **shared,
            "layer": "raw",
            "name": kind,
            "location": f"s3://f01-raw-{ACCOUNT}-de-dev/{self.folder}/{kind}/",
            "format": "parquet",
        }
        place = f"s3://f01-refined-{ACCOUNT}-de-dev/bench/iceberg/{name}"
        gate = {"table": name.removeprefix("bench_"), "digest": "d", "rules": RULES, "contract": {}}
        own = {**shared, "layer": "refined", "name": name, "location": place, "format": "iceberg", "key": ["id"], "gate": gate}
        domain = {"name": "retail", "abbr": "f01", "region": REGION, "country_code": "de", "account_id": ACCOUNT}
        logical = name.removeprefix("bench_")
        names = {"schema": 1, "domain": domain, "env": "dev", "project": "bench", "job": "load", "tables": {"raw": raw, logical: own}}
        return {**names, "reads": [{"table": "raw"}], "writes": [{"table": logical, "mode": "merge"}], "use": "merge", "with": {"map": {}}}

    def _read(self, kind: str) -> Any:
        return self.spark.read.parquet(f"s3://f01-raw-{ACCOUNT}-de-dev/{self.folder}/{kind}/")

    def _table(self, quarantine: bool = False) -> str:
        from dp_foundation.contracts.quarantine import COLUMNS as ASIDE

        self.tables += 1
        table = f"f01_de_refined.bench_t{self.tables:05}"
        columns = ", ".join(f"{name} {kind}{' NOT NULL' if name in REQUIRED else ''}" for name, kind in COLUMNS.items())
        self.spark.sql(f"CREATE TABLE glue_catalog.{table} ({columns}) USING iceberg")
        if quarantine:
            columns = ", ".join(f"{name} {kind}" for name, kind in ASIDE.items())
            self.spark.sql(f"CREATE TABLE glue_catalog.{table}_quarantine ({columns}) USING iceberg")
        return table

    @staticmethod
    def _place(argv: list[str]) -> None:
        from dp_foundation.config.arguments import invocation
        from dp_foundation.run.current import begin

        sys.argv = argv
        invocation.cache_clear()
        begin.cache_clear()

    def peer(self) -> None:
        """A plain write, then the same rules by cuallee over what was written, uniqueness among them."""
        from cuallee import Check, CheckLevel

        table = self.spark.table(f"glue_catalog.{self.plain()}")
        check = Check(CheckLevel.WARNING, "orders").is_unique("id")
        for name in REQUIRED:
            check.is_complete(name)
        for name, values in SETS.items():
            check.is_contained_in(name, tuple(values))
        for name, bounds in RANGES.items():
            check.is_between(name, bounds)
        found = check.validate(table).collect()
        if {row["status"] for row in found} != {"PASS"}:
            raise SystemExit(f"cuallee: {found}")

    def cpu(self, work: Callable[[], object]) -> tuple[float, float, float]:
        """(CPU seconds of the JVM and this process, seconds, CPU seconds of the AWS) of one piece of work."""
        self.spark.catalog.clearCache()
        at, aws, wall = _ticks(self.jvm), _used(self.aws), time.monotonic()
        work()
        return _ticks(self.jvm) - at, time.monotonic() - wall, _used(self.aws) - aws


def _session() -> Any:
    """The library's, on a JVM with its own compilers and collector, as Glue has it: a laptop's short jobs are better off without."""
    from dp_foundation.spark import session

    settings = session.local_settings
    session.local_settings = lambda config: {**settings(config), "spark.driver.extraJavaOptions": "-Dmeshplane.benchmark=quality"}
    try:
        return session.get_spark(app_name="quality")
    finally:
        session.local_settings = settings


def _ticks(jvm: int) -> float:
    return time.process_time() + _used(_java(jvm))


def _used(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _java(started: int) -> int:
    """The JVM behind the script that pyspark starts: itself once the shell has given way to it, else its child."""
    children = Path(f"/proc/{started}/task/{started}/children").read_text(encoding="utf-8").split()
    found = [pid for pid in (started, *map(int, children)) if Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() == "java"]
    return found[0]


def main() -> None:
    """Measure, print a table."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--rows", type=int, default=5_000_000)
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--no-peer", action="store_true")
    given = asked.parse_args()
    if not given.no_peer:
        _install_peer()
    # Objects stay in moto's memory: of a file on disk it would read all for each range that is asked for.
    kept = {**os.environ, "MOTO_S3_DEFAULT_KEY_BUFFER_SIZE": str(1 << 30)}
    aws = subprocess.Popen([sys.executable, "-c", MOTO], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=kept)
    assert aws.stdout is not None
    _environment(int(aws.stdout.readline()))
    bench = Bench(given.rows, aws.pid)
    variants: dict[str, Callable[[], object]] = {
        "plain append": bench.plain,
        "plain MERGE": bench.merged,
        "contract and gate, clean": lambda: bench.judged("clean"),
        "contract and gate, 1 % bad": lambda: bench.judged("dirty"),
        "contract and gate, clean, scattered keys": lambda: bench.judged("scattered"),
        "into a table with rows: plain MERGE": bench.merged_into_rows,
        "into a table with rows: contract and gate, clean": lambda: bench.judged("clean", bench.held[bench.folder]),
    }
    if not given.no_peer:
        variants["plain append, then cuallee"] = bench.peer
    times: dict[str, list[tuple[float, float, float]]] = {name: [] for name in variants}
    for at in range(given.rounds + 1):
        bench.part(1 if at else 10)
        for name, work in variants.items():
            took = bench.cpu(work)
            spent = f"{took[0]:.1f} s of CPU, {took[1]:.1f} s, the AWS {took[2]:.1f} s of CPU"
            print(f"round {at}: {name}: {spent}", file=sys.stderr, flush=True)
            times[name] += [took] if at else []
    _print(given.rows, times)
    aws.kill()


def _environment(port: int) -> None:
    import boto3

    from dp_foundation import storage
    from meshplane_cli.local.java import java

    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "x",
        "ENV": "local",
    }
    os.environ |= {
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "JAVA_HOME": str(java().parent.parent),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    os.environ["MESHPLANE_JARS"] = os.environ.get("MESHPLANE_JARS") or str(ROOT / ".meshplane" / "jars")
    os.environ["PYSPARK_SUBMIT_ARGS"] = shlex.join(
        ["--driver-memory", "5g", "--conf", "spark.ui.showConsoleProgress=false", "pyspark-shell"]
    )
    storage.client.cache_clear()
    clients: Any = boto3
    for layer in ("raw", "refined", "curated"):
        where = {"LocationConstraint": REGION}
        clients.client("s3").create_bucket(Bucket=f"f01-{layer}-{ACCOUNT}-de-dev", CreateBucketConfiguration=where)
        clients.client("glue").create_database(DatabaseInput={"Name": f"f01_de_{layer}"})


def _install_peer() -> None:
    """The peer and what it needs, beside the lock: last on the path, so that nothing of ours gives way to it."""
    folder = ROOT / ".meshplane" / "peers"
    if not (folder / "cuallee").exists():
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([str(uv), "pip", "install", "-q", "--target", str(folder), PEER], check=True)
    sys.path.append(str(folder))


def _print(rows: int, times: Mapping[str, list[tuple[float, float, float]]]) -> None:
    append, merge = times["plain append"], times["plain MERGE"]
    print(f"{rows} rows, {len(append)} rounds; x: median (least to most) of the rounds' ratios")
    heads = ("", "CPU s", "wall s", "AWS's CPU s", "CPU x append", "wall x append", "CPU x MERGE", "wall x MERGE")
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    for name, took in times.items():
        middle = [f"{statistics.median(one[at] for one in took):.1f}" for at in (0, 1, 2)]
        ratios = [_spread([o[at] for o in took], [o[at] for o in base]) for base in (append, merge) for at in (0, 1)]
        print("| " + " | ".join([name, *middle, *ratios]) + " |")
    held, gated = times["into a table with rows: plain MERGE"], times["into a table with rows: contract and gate, clean"]
    own = [_spread([o[at] for o in gated], [o[at] for o in held]) for at in (0, 1)]
    print(f"into a table with rows, x its own plain MERGE: CPU {own[0]}, wall {own[1]}")


def _spread(cpu: list[float], base: list[float]) -> str:
    ratios = sorted(a / b for a, b in zip(cpu, base, strict=True))
    return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


if __name__ == "__main__":
    main()
