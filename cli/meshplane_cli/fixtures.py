"""Tests of jobs as people write them, `projects/<name>/tests/*.yaml`: rows that stand, runs, rows that are expected. `validate` reads them,
`test` runs them (`job_tests`). Read as strictly as the manifest: every fault at once, with its line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from meshplane.errors import ManifestInvalid, Problem
from meshplane.model.manifest.parts import OneOrList, Part, Setting, Text, field
from meshplane.model.problems import Findings, Loc, did_you_mean, in_order
from meshplane.model.project import Job, Project, Table
from meshplane.model.reading import WrittenFloat, WrittenInt, read
from meshplane.model.shape import understand

Rows = tuple[dict[str, Any], ...]


class WindowPart(Part):
    """The window of a run."""

    start: Text = field("Its first moment, 2027-01-31T00:00:00Z.")
    end: Text = field("The first moment after it.")


class RunPart(Part):
    """One run, and what arrives before it."""

    given: dict[str, Rows] = field(
        "Rows by table, which arrive before the run: own tables, `project.table`, or the folder of `use: files`.", default_factory=dict
    )
    window: WindowPart | None = field("The run's window. Default: none.", default=None)
    params: dict[str, Setting] = field("The run's parameters.", default_factory=dict)


class QuarantinedPart(Part):
    """A row that is to be in quarantine."""

    row: dict[str, Any] = field("Columns of the source's row; those that are not named are not compared.")
    reasons: tuple[Text, ...] = field("`types amount`, `enum status`: the kind of fault and the column. Not compared without.", default=())


class ExpectPart(Part):
    """What is to be so in the end."""

    rows: dict[str, Rows] = field(
        "All rows of a table as its readers see it; columns that no row names are not compared.", default_factory=dict
    )
    quarantine: dict[str, tuple[QuarantinedPart, ...]] = field("All rows of a table's quarantine.", default_factory=dict)
    verdicts: dict[str, Annotated[tuple[Text, ...], OneOrList()]] = field(
        "By table: passed, failed, or the rules that do not hold in the last run.", default_factory=dict
    )
    error: Text = field("Words of the error that the last run ends with. Default: none, it succeeds.", default="")


class CasePart(RunPart):
    """One test: runs, then what is expected."""

    then: tuple[RunPart, ...] = field("Further runs of the job, one after the other.", default=())
    expect: ExpectPart = field("What is to be so after the last run.")


class FixturePart(Part):
    """One file: the tests of one job."""

    job: Text = field("A job of this project.")
    cases: dict[str, CasePart] = field("By what they show, in words.")


@dataclass(frozen=True, slots=True)
class Case:
    """One test that is fit to run."""

    file: str
    job: str
    name: str
    part: CasePart

    @property
    def runs(self) -> tuple[RunPart, ...]:
        """Its runs in order."""
        return (self.part, *self.part.then)


def cases(folder: Path, project: Project) -> tuple[tuple[Case, ...], tuple[Problem, ...]]:
    """All tests of a project, and everything that is wrong with their files. `folder` is the project's."""
    found: list[Case] = []
    problems: list[Problem] = []
    for path in sorted((folder / "tests").glob("*.y*ml")):
        file = f"projects/{folder.name}/tests/{path.name}"
        try:
            root, faults = read(path.read_text(encoding="utf-8"), file)
        except ManifestInvalid as invalid:
            problems += invalid.problems
            continue
        findings = Findings(file, root)
        part = understand(FixturePart, findings, lambda loc: None)
        if part is not None:
            _judge(findings, part, project)
            found += [Case(file, part.job, name, case) for name, case in part.cases.items()]
        problems += [*faults, *findings.problems]
    return tuple(found), in_order(problems)


def tables_of(project: Project, job: Job) -> dict[str, Table | None]:
    """What a fixture of the job may name: its tables by the names that it uses; None for another project's, whose columns are its own."""
    reads = {ref.table if ref.project == project.name else f"{ref.project}.{ref.table}": ref for ref in job.reads}
    named: dict[str, Table | None] = {name: project.tables.get(name) for name in reads}
    return named | {write.table: project.tables[write.table] for write in job.writes}


def plain(value: Any) -> Any:
    """A cell as it was written: numbers and booleans as their text (a column's own type reads it), lists and maps inside too."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, WrittenInt | WrittenFloat):
        return value.text
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def text_of(value: Any) -> str | None:
    """A cell as text: what stands in a csv, and what a typed column is cast from."""
    told = plain(value)
    return told if told is None or isinstance(told, str) else json.dumps(told, ensure_ascii=False)


def _judge(findings: Findings, part: FixturePart, project: Project) -> None:
    job = project.jobs.get(part.job)
    if job is None:
        mend = did_you_mean(part.job, project.jobs)
        findings.add(
            "fixture-job", ("job",), f"no job '{part.job}' in this project", found=part.job, allowed=", ".join(project.jobs), mend=mend
        )
        return
    tables = tables_of(project, job)
    if job.use == "files":
        tables[str(job.options["from"])] = project.tables[job.writes[0].table]
    written = {write.table for write in job.writes}
    for loc, name, rows in _named(part):
        inside = loc[-2] in ("given", "rows")
        allowed = [each for each in tables if loc[-2] not in ("rows", "quarantine") or each in written]
        if name not in allowed:
            message = f"job '{part.job}' has no such table here"
            findings.add(
                "fixture-table", loc, message, found=name, allowed=", ".join(allowed), mend=did_you_mean(name, allowed), at_key=True
            )
        elif inside and (table := tables[name]) is not None:
            _columns(findings, loc, rows, table)
    for case, form in part.cases.items():
        for name, told in form.expect.verdicts.items():
            rules = {rule.name for rule in table.gate.rules} if (table := tables.get(name)) else set()
            for word in told if rules else ():
                if word not in rules | {"passed", "failed"}:
                    loc = ("cases", case, "expect", "verdicts", name)
                    message = f"table '{name}' has no such rule"
                    findings.add("fixture-rule", loc, message, found=word, allowed=f"passed, failed, or of {', '.join(sorted(rules))}")


def _named(part: FixturePart) -> Iterator[tuple[Loc, str, Any]]:
    """Every table that is named somewhere, with its place and rows."""
    for case, form in part.cases.items():
        at: Loc = ("cases", case)
        for loc, run in ((at, form), *(((*at, "then", index), each) for index, each in enumerate(form.then))):
            yield from (((*loc, "given", name), name, rows) for name, rows in run.given.items())
        expected: dict[str, Mapping[str, Any]] = {
            "rows": form.expect.rows,
            "quarantine": form.expect.quarantine,
            "verdicts": form.expect.verdicts,
        }
        for word, tables in expected.items():
            yield from (((*at, "expect", word, name), name, rows) for name, rows in tables.items())


def _columns(findings: Findings, loc: Loc, rows: Rows, table: Table) -> None:
    known = [*(column.name for column in table.columns), *table.hive_partition]
    for index, row in enumerate(rows):
        for column in row:
            if column not in known:
                mend = did_you_mean(column, known)
                message = f"no column '{column}' in table '{table.name}'"
                findings.add(
                    "fixture-column", (*loc, index, column), message, found=column, allowed=", ".join(known), mend=mend, at_key=True
                )
