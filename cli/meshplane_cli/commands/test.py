"""`meshplane test`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated

import typer

from meshplane.errors import ManifestInvalid
from meshplane.model.project import Project
from meshplane_cli.fixtures import Case, cases
from meshplane_cli.job_tests import JobTests, Outcome
from meshplane_cli.laboratory import laboratory
from meshplane_cli.local.place import ENV
from meshplane_cli.manifests import project_of
from meshplane_cli.output import PROBLEMS, USAGE, CliError, emit, say, show
from meshplane_cli.surroundings import JsonOption, checkout


def command(
    project: Annotated[str, typer.Argument(help="A folder under projects/; all of them when none is named.")] = "",
    job: Annotated[str, typer.Argument(help="A job of it; all that have tests when none is named.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Run the tests of jobs, projects/NAME/tests/*.yaml, on local Spark and an AWS that lasts as long as the command.

    Each test begins with empty tables, brings its rows, runs the job as a pipeline would and compares whole tables. Ends with 1 when
    one of them differs.
    """
    place = checkout()
    chosen = _chosen([project] if project else list(place.projects), job)
    started = time.monotonic()
    outcomes: list[Outcome] = []
    with laboratory(place, place.domain.naming(ENV)) as lab:
        for found, tests in chosen:
            runner = JobTests(lab, found)
            for case in tests:
                outcome = runner.run(case)
                outcomes.append(outcome)
                if not as_json:
                    _tell(outcome)
    failed = sum(not outcome.passed for outcome in outcomes)
    if as_json:
        emit({"tests": [outcome.to_json() for outcome in outcomes], "passed": len(outcomes) - failed, "failed": failed})
    else:
        show(f"{len(outcomes) - failed} passed, {failed} failed in {time.monotonic() - started:.0f} s", style="bold")
    if failed:
        raise typer.Exit(PROBLEMS)


def _chosen(names: Sequence[str], job: str) -> list[tuple[Project, list[Case]]]:
    """The projects with the tests to run. Raises ManifestInvalid for faults in manifests and tests, CliError where there is none."""
    place = checkout()
    made: list[tuple[Project, list[Case]]] = []
    for name in names:
        folder = place.folder(name)
        project = project_of(place, name, ENV)
        if job and job not in project.jobs:
            raise CliError(f"{name} declares no job '{job}'", allowed=", ".join(project.jobs), code=USAGE)
        found, problems = cases(folder, project)
        if problems:
            raise ManifestInvalid(problems)
        made.append((project, [case for case in found if job in ("", case.job)]))
    if not any(tests for _, tests in made):
        where = f"projects/{names[0] if len(names) == 1 else 'NAME'}/tests/"
        raise CliError("there is no test to run", mend=f"write one: {where}{job or 'JOB'}.yaml (docs/testing-jobs.md)", code=USAGE)
    return made


def _tell(outcome: Outcome) -> None:
    word = "ok  " if outcome.passed else "FAIL"
    show(f"{word}  {outcome.project}.{outcome.job}: {outcome.case}  ({outcome.seconds:.1f} s)")
    for line in outcome.differences:
        show(f"      {line}")
    if not outcome.passed:
        say("".join(f"      | {line}\n" for line in outcome.log.splitlines()[-20:]).rstrip("\n"))
