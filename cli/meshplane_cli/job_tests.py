"""Runs the tests of `fixtures` in a `laboratory`: arranges the rows, runs the job as a pipeline would (on a branch, judged, published when
its verdict says yes), and compares whole tables. Called by `meshplane test`."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from meshplane.aws.iceberg.commit import Commits
from meshplane.kinds.iceberg_table import KIND, ownership_properties
from meshplane.model.project import Job, Project
from meshplane.model.release import Release
from meshplane.model.runs import Run
from meshplane_cli import job_process
from meshplane_cli.fixtures import Case, RunPart, text_of
from meshplane_cli.laboratory import Laboratory, importing
from meshplane_cli.local_jobs import arguments, context, description, import_paths, script
from meshplane_cli.manifests import project_of
from meshplane_cli.row_differences import differences

WITHOUT_TIME = "2027-01-01T00:00:00Z"  # when a run of a test was created; nothing may depend on it


@dataclass(slots=True)
class Outcome:
    """How one test ended; `differences` are lines for people, none when it passed."""

    project: str
    file: str
    job: str
    case: str
    seconds: float = 0.0
    differences: list[str] = field(default_factory=list)
    log: str = ""

    @property
    def passed(self) -> bool:
        """Nothing differs."""
        return not self.differences

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {**asdict(self), "passed": self.passed}


class JobTests:
    """The tests of one project."""

    def __init__(self, laboratory: Laboratory, project: Project) -> None:
        self._lab, self._project = laboratory, project
        self._target = laboratory.target
        self._folder = self._target.checkout.folder(project.name)

    def run(self, case: Case) -> Outcome:
        """One test on an empty AWS. Never raises for what the job does."""
        outcome, started = Outcome(self._project.name, case.file, case.job, case.name), time.monotonic()
        job = self._project.jobs[case.job]
        self._lab.clean()
        told = description(self._target, self._project, job)
        self._tables(told)
        ended, record = job_process.Ended("", ""), {}
        for number, part in enumerate(case.runs, 1):
            words = arguments(job, told, self._run(part, number))
            job_process.begin_process(["arrange", *words])
            self._arrange(told, part, number)
            with importing(import_paths(self._folder, job)):
                ended = job_process.run(script(self._target, self._project.name, job), [*words, "--meshplane-gate", "audit"])
            record = self._record(job, number)
            job_process.begin_process(["look", *words])
            self._publish(told, record)
        outcome.differences = self._compare(case, told, ended, record)
        job_process.begin_process(["done"])
        outcome.seconds, outcome.log = round(time.monotonic() - started, 2), ended.printed
        return outcome

    def _run(self, part: RunPart, number: int) -> Run:
        window = (part.window.start, part.window.end) if part.window else ("", "")
        return Run(f"test-{number}", self._project.name, "", "RUNNING", "", "manual", WITHOUT_TIME, window_start=window[0],
                   window_end=window[1], params=part.params)  # fmt: skip

    # --- what stands before ---------------------------------------------------------------------------------------------------------

    def _tables(self, told: Mapping[str, Any]) -> None:
        """The Iceberg tables of the job as the plane makes them, with the quarantines of what it writes where a contract needs one."""
        projects = {table["project"] for table in told["tables"].values()}
        wanted = {f"{table['database']}.{table['name']}" for table in told["tables"].values()}
        wanted |= {f"{told['tables'][w['table']]['database']}.{self._aside(w['table'])}" for w in told["writes"]}
        commits = Commits(self._target.clients)
        for name in projects:
            project = self._project if name == self._project.name else project_of(self._target.checkout, name, self._target.env)
            around = context(self._target, project, Release())
            for want in KIND.desired(project, around):
                if want.id.name in wanted:
                    database, table = want.id.name.split(".")
                    commits.create(database, table, want.spec, ownership_properties(around.owner(name)))

    def _arrange(self, told: Mapping[str, Any], part: RunPart, number: int) -> None:
        spark = _spark()
        for name, rows in part.given.items():
            table = told["tables"].get(name) or self._drop(told, name)
            cells = [{column: text_of(value) for column, value in row.items()} for row in rows]
            if table["format"] == "iceberg":
                _typed(spark, table, cells).writeTo(f"glue_catalog.{table['database']}.{table['name']}").append()
            else:
                self._files(spark, table, cells, number)

    def _drop(self, told: Mapping[str, Any], folder: str) -> Mapping[str, Any]:
        """The folder of `use: files` as a table of files with the target's columns."""
        target = told["tables"][told["writes"][0]["table"]]
        place = f"s3://{self._target.naming.bucket('raw')}/{self._project.name}/{folder}"
        return {**target, "location": place, "format": told["with"]["format"]}

    def _files(self, spark: Any, table: Mapping[str, Any], cells: Sequence[Mapping[str, str | None]], number: int) -> None:
        """One file per partition, as the table says that files look."""
        places: dict[str, list[Mapping[str, str | None]]] = {}
        for row in cells:
            path = "".join(f"{name}={row.get(name) or 'given'}/" for name in table["hive_partition"])
            places.setdefault(path, []).append(row)
        bucket, _, prefix = table["location"].removeprefix("s3://").partition("/")
        for path, rows in places.items():
            if table["format"] == "parquet":
                _typed(spark, table, rows).write.mode("append").parquet(f"{table['location']}{path}")
                continue
            body = _csv(table, rows) if table["format"] == "csv" else _json(table, rows)
            key = f"{prefix}{path}given-{number}.{table['format']}"
            self._target.clients("s3").put_object(Bucket=bucket, Key=key, Body=body)

    # --- what stands after ----------------------------------------------------------------------------------------------------------

    def _record(self, job: Job, number: int) -> dict[str, Any]:
        naming = self._target.naming
        key = f"{naming.of('runs_prefix', project=self._project.name)}test-{number}/{job.name}.json"
        clients = self._target.clients("s3")
        try:
            return dict(json.loads(clients.get_object(Bucket=naming.bucket("refined"), Key=key)["Body"].read()))
        except clients.exceptions.NoSuchKey:
            return {}

    def _publish(self, told: Mapping[str, Any], record: Mapping[str, Any]) -> None:
        """What the gate let through is on `main` then, as `publish_tables` would leave it."""
        verdicts = {verdict["table"]: verdict for verdict in record.get("verdicts", ())}
        for output in record.get("outputs", ()):
            if record["state"] == "done" and output["branch"] != "main" and all(v["passed"] for v in verdicts.values()):
                table = told["tables"][output["table"]]
                with self._lab.catalog.load_table(f"{table['database']}.{table['name']}").manage_snapshots() as snapshots:
                    snapshots.set_current_snapshot(snapshot_id=output["snapshot"])

    def _compare(self, case: Case, told: Mapping[str, Any], ended: job_process.Ended, record: Mapping[str, Any]) -> list[str]:
        expect, lines = case.part.expect, []
        if expect.error not in ended.error or bool(expect.error) != bool(ended.error):
            lines += [f"error: expected {expect.error or 'none'}", *(f"  found {line}" for line in (ended.error or "none").splitlines())]
        spark = _spark()
        for name, rows in expect.rows.items():
            table = told["tables"][name]
            columns = [c["name"] for c in table["columns"] if any(c["name"] in row for row in rows)] or [
                c["name"] for c in table["columns"]
            ]
            cells = [{column: text_of(value) for column, value in row.items()} for row in rows]
            wanted = _plain(_typed(spark, table, cells).select(*columns))
            lines += differences(name, wanted, _plain(self._main(spark, table).select(*columns)), table["key"])
        for name, expected in expect.quarantine.items():
            lines += self._quarantined(spark, name, told["tables"][name], [(part.row, part.reasons) for part in expected])
        for name, words in expect.verdicts.items():
            lines += _verdict(name, words, record)
        return lines

    def _main(self, spark: Any, table: Mapping[str, Any]) -> Any:
        return spark.table(f"glue_catalog.{table['database']}.{table['name']}")

    def _aside(self, table: str) -> str:
        return self._target.naming.of("quarantine_table", project=self._project.name, table=table)

    def _quarantined(self, spark: Any, name: str, table: Mapping[str, Any], expected: Sequence[tuple[Mapping[str, Any], Any]]) -> list[str]:
        place = self._aside(name)
        reasons = "transform(reasons, r -> concat(r.entity, ' ', r.column)) AS reasons"
        found = spark.table(f"glue_catalog.{table['database']}.{place}").selectExpr("row", reasons).collect()
        named = {column for row, _ in expected for column in row}
        because = any(why for _, why in expected)
        wanted = [{**{c: text_of(v) for c, v in row.items()}, **({"reasons": sorted(why)} if because else {})} for row, why in expected]
        had = [
            {**{c: v for c, v in json.loads(row["row"]).items() if c in named}, **({"reasons": sorted(row["reasons"])} if because else {})}
            for row in found
        ]
        return differences(f"quarantine of {name}", wanted, had, ())


def _spark() -> Any:
    from dp_foundation.spark.session import get_spark

    spark = get_spark(app_name="meshplane test")
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def _typed(spark: Any, table: Mapping[str, Any], cells: Sequence[Mapping[str, str | None]]) -> Any:
    """The rows with the table's columns and types; a cell that its column cannot hold fails, and says so."""
    columns = [(c["name"], c["type"]) for c in table["columns"]] + [(name, "string") for name in table["hive_partition"]]
    text = ", ".join(f"`{name}` string" for name, _ in columns)
    frame = spark.createDataFrame([tuple(row.get(name) for name, _ in columns) for row in cells], text)
    return frame.selectExpr(*(_cast(name, kind) for name, kind in columns if name not in table["hive_partition"]))


def _cast(name: str, kind: str) -> str:
    nested = kind.startswith(("struct", "array", "map"))
    value = f"from_json(`{name}`, '{kind}')" if nested else f"try_cast(`{name}` AS {kind})"
    told = f"concat('{name}: ', `{name}`, ' is no {kind}')"
    return f"CASE WHEN `{name}` IS NULL OR {value} IS NOT NULL THEN {value} ELSE cast(raise_error({told}) AS {kind}) END AS `{name}`"


def _csv(table: Mapping[str, Any], rows: Sequence[Mapping[str, str | None]]) -> bytes:
    how, names = table["csv"], [column["name"] for column in table["columns"]]
    made = io.StringIO()
    writer = csv.writer(made, delimiter=how["delimiter"], quotechar=how["quote"] or None, lineterminator="\n")
    if how["header"]:
        writer.writerow(names)
    writer.writerows([how["null_text"] if (cell := row.get(name)) is None else cell for name in names] for row in rows)
    return made.getvalue().encode(how["encoding"])


def _json(table: Mapping[str, Any], rows: Sequence[Mapping[str, str | None]]) -> bytes:
    lines = [{name: _value(row[name], kind) for name, kind in _kinds(table) if name in row} for row in rows]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()


def _kinds(table: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(column["name"], column["type"]) for column in table["columns"]]


def _value(text: str | None, kind: str) -> Any:
    """A cell of a json file: text stays text, everything else is JSON already."""
    return text if text is None or kind in ("string", "date", "timestamp", "timestamp_ntz", "binary") else json.loads(text)


def _plain(frame: Any) -> list[dict[str, Any]]:
    return [row.asDict(recursive=True) for row in frame.collect()]


def _verdict(name: str, words: Sequence[str], record: Mapping[str, Any]) -> list[str]:
    told = next((verdict for verdict in record.get("verdicts", ()) if verdict["table"] == name), None)
    if told is None:
        return [f"verdict on {name}: expected {', '.join(words)}, found none"]
    broken = sorted(result["rule"] for result in told["results"] if result["outcome"] != "passed")
    passed = "passed" if told["passed"] else "failed"
    right = list(words) in ([], [passed]) or (set(words) - {"passed", "failed"} and sorted(words) == broken)
    found = f"{passed}{'; not kept: ' + ', '.join(broken) if broken else ''}"
    return [] if right else [f"verdict on {name}: expected {', '.join(words)}, found {found}"]
