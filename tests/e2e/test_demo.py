"""The demo as a person runs it: the command, the rows it leaves, a second time, and the five commands that it prints."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from meshplane_cli.local import stack as stacks
from meshplane_cli.local.stack import Stack
from meshplane_cli.sample_data import Sizes, new_shop, write
from tests.e2e import recorded
from tests.e2e.plain_revenue import daily_revenue
from tests.e2e.watched import by_alarms, by_widgets, emitted, watchdog_passes
from tests.unit.docs.pages import blocks

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.local, pytest.mark.spark, pytest.mark.timeout(600)]


def shell(line: str, env: Mapping[str, str], check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, env=dict(env), capture_output=True, text=True, timeout=400, check=False)
    if check:
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A state folder and a port of its own; everything else as in the checkout."""
    folder = tmp_path_factory.mktemp("demo") / ".meshplane"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MESHPLANE_LOCAL"))}
    jars = os.environ.get("MESHPLANE_JARS") or str(ROOT / ".meshplane" / "jars")
    path = f"{Path(sys.executable).parent}{os.pathsep}{inherited['PATH']}"
    here = {"MESHPLANE_LOCAL_DIR": str(folder), "MESHPLANE_LOCAL_PORT": "0", "MESHPLANE_JARS": jars, "COLUMNS": "200"}
    return {**inherited, "PATH": path, **here}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The generated files, with one order altered: what is computed must come from these bytes."""
    files = write(tmp_path_factory.mktemp("sample"), sizes=Sizes())
    path = next(path for key, path in files.items() if key.endswith("orders-2.csv"))
    lines = path.read_text(encoding="utf-8").splitlines()
    fields = lines[1].split(";")
    fields[2], fields[4] = "123456.78", "paid"
    lines[1] = ";".join(fields)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return files


@pytest.fixture(scope="module")
def demo(env: dict[str, str], sample: dict[str, Path]) -> Iterator[str]:
    """What `./dev demo` printed, on that sample."""
    folder = next(iter(sample.values())).parent
    yield shell(f"./dev demo --sample {folder}", env).stdout
    shell("./dev meshplane local down", env)


@pytest.fixture(scope="module")
def stack(demo: str, env: dict[str, str]) -> Iterator[Stack]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MESHPLANE_LOCAL_DIR", env["MESHPLANE_LOCAL_DIR"])
        found = stacks.find(ROOT)
        assert found is not None, "the demo ends with the stack up"
        yield found


def with_new_shop(sample: dict[str, Path]) -> dict[str, Path]:
    """The sample, and the batch that the demo's second act brings."""
    return {**sample, **new_shop(next(iter(sample.values())).parent / "new-shop")}


def curated(stack: Stack) -> list[tuple[object, ...]]:
    """The curated rows, read by pyiceberg from the metadata file that the catalog names, in the order of the plain aggregate."""
    from pyiceberg.table import StaticTable

    glue = stack.client("glue")
    table = glue.get_table(DatabaseName=stack.naming.database("curated"), Name="sales_daily_revenue")["Table"]
    developer = stack.env()
    properties = {
        "s3.endpoint": stack.endpoint,
        "s3.region": stack.naming.region,
        "s3.access-key-id": developer["AWS_ACCESS_KEY_ID"],
        "s3.secret-access-key": developer["AWS_SECRET_ACCESS_KEY"],
    }
    rows = StaticTable.from_metadata(table["Parameters"]["metadata_location"], properties).scan().to_arrow().to_pylist()
    return [(str(r["day"]), r["country"], r["currency"], r["orders"], r["revenue"], r["revenue_eur"]) for r in rows]


def test_the_rows_are_those_of_plain_python(stack: Stack, sample: dict[str, Path]) -> None:
    expected = daily_revenue(with_new_shop(sample))
    found = curated(stack)
    assert len(found) == len(set(found)) == len(expected) > 1000
    assert set(found) == expected


def test_no_role_lacked_a_grant(stack: Stack) -> None:
    """Functions, jobs and pipelines were judged by their deployed policies at every call."""
    recorded.keep(stack)
    assert {"reconcile-project", "start-run", "record-run", "job", "pipeline"} <= set(recorded.seen())


def test_the_demo_prints_the_first_rows_and_five_commands(demo: str, sample: dict[str, Path]) -> None:
    day, country, currency, orders, revenue, euro = min(daily_revenue(sample))
    assert re.search(rf"{day}\s+{country}\s+{currency}\s+{orders}\s+{revenue}\s+{euro}", demo)
    assert len(_commands(demo)) == 5


def test_the_execution_ran_the_published_script(stack: Stack) -> None:
    """From the history of the execution to the log of its job run, which names the script by its digest."""
    import hashlib
    import json

    digest = hashlib.sha256((ROOT / "projects/sales/jobs/daily_revenue.py").read_bytes()).hexdigest()
    states, logs = stack.client("stepfunctions"), stack.client("logs")
    machine = stack.naming.arn("states", f"stateMachine:{stack.naming.state_machine('sales', 'daily')}")
    done = states.list_executions(stateMachineArn=machine, statusFilter="SUCCEEDED")["executions"]
    history = states.get_execution_history(executionArn=done[0]["executionArn"])["events"]
    ended = [json.loads(event["taskSucceededEventDetails"]["output"]) for event in history if "taskSucceededEventDetails" in event]
    runs = [run["Id"] for run in ended if run.get("JobName") == stack.naming.job("sales", "daily_revenue")]
    assert runs
    text = [
        event["message"]
        for group in ("/aws-glue/jobs/output", "/aws-glue/jobs/error")
        for stream in logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=runs[0])["logStreams"]
        for event in logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])["events"]
    ]
    assert any(digest in line for line in text)


@pytest.mark.parametrize("of", ["f01-meshplane", "f01-customers", "f01-sales"])
def test_every_widget_and_alarm_names_what_these_runs_emitted(stack: Stack, of: str) -> None:
    """The domain's dashboard and alarms, and each project's, by metric and exact dimensions."""
    watchdog_passes(stack)  # it tells of published tables, once an hour
    stack.advance(timedelta(minutes=6))
    cloudwatch = stack.client("cloudwatch")
    found = by_widgets(cloudwatch, f"{of}-dev") | by_alarms(cloudwatch, f"{of}-")
    assert len(found) > 20
    assert found - emitted(cloudwatch) == set()


def test_a_second_demo_adds_no_duplicate(stack: Stack, env: dict[str, str], sample: dict[str, Path]) -> None:
    shell(f"./dev demo --sample {next(iter(sample.values())).parent}", env)
    found = curated(stack)
    assert len(found) == len(set(found))
    assert set(found) == daily_revenue(with_new_shop(sample))


def test_the_bad_batch_waited_in_quarantine_and_was_published_by_the_replay(demo: str, stack: Stack) -> None:
    act = demo.partition("A bad batch")[2]
    before, _, after = act.partition("After the fix and the replay, published:")
    assert re.search(r"39\s+enum\s+currency\s+currencies\s+quarantine_row\s+waiting", before), "the rows, with their reason"
    readers = re.search(r"rows\s+orders\s+revenue_eur\n(.+)\n", demo)
    assert readers is not None
    assert readers[1].split() == before.splitlines()[-1].split(), "readers see what they saw"
    assert int(after.split()[4]) == int(readers[1].split()[1]) + 39


def test_the_commands_of_getting_started_look_around(demo: str, env: dict[str, str]) -> None:
    """docs/getting-started.md, the block after the demo's."""
    first, then = [one.text for one in blocks("docs/getting-started.md") if one.language == "bash"][:2]
    assert first == "./dev demo\n"
    told = shell(f"set -e\n{then}", env).stdout
    for found in ("customers", "sales.daily", "SUCCEEDED", "revenue_eur"):
        assert found in told


def test_each_of_the_five_commands_does_what_it_says(stack: Stack, demo: str, env: dict[str, str]) -> None:
    change, broken, look, back, down = _commands(demo)
    here = {**env, "MESHPLANE_WAIT": "1"}

    def columns() -> set[str]:
        table = stack.client("glue").get_table(DatabaseName=stack.naming.database("refined"), Name="sales_orders")["Table"]
        live = [c for c in table["StorageDescriptor"]["Columns"] if c.get("Parameters", {}).get("iceberg.field.current") == "true"]
        return {column["Name"] for column in live}

    before = columns()
    shell(change, here)
    _until(lambda: "channel" in columns(), "the new column is there")
    assert columns() == before | {"channel"}
    _until(lambda: "True" in shell(look, here, check=False).stdout, "Synced again")

    shell(broken, here)
    _until(lambda: "decimal(40,2)" in shell(look, here, check=False).stdout, "status tells the fault")
    told = shell(look, here, check=False).stdout
    assert "tables.orders.columns.amount" in told
    assert "1 ≤ p ≤ 38" in told
    assert columns() == before | {"channel"}, "a broken manifest changes nothing"

    shell(back, here)
    assert "Synced True" in shell(look, here).stdout
    shell(down, here)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MESHPLANE_LOCAL_DIR", env["MESHPLANE_LOCAL_DIR"])
        assert stacks.find(ROOT) is None


def test_without_sparks_jars_the_demo_fails(tmp_path: Path, env: dict[str, str]) -> None:
    """Nothing is staged: the rows come from Spark, or not at all. (The jars are named past ./dev, which would resolve them again.)"""
    (tmp_path / "none").mkdir()
    bare = {
        **env,
        "MESHPLANE_LOCAL_DIR": str(tmp_path / ".meshplane"),
        "MESHPLANE_JARS": str(tmp_path / "none"),
        "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("functions", "glue_jobs", "cli")),
    }
    try:
        done = shell("python -m meshplane_cli demo", bare, check=False)
        assert done.returncode != 0
        failed = re.search(r"error: (\S+) failed", done.stderr)  # whichever of the two comes first to the one JVM at a time
        assert failed
        told = shell(f"python -m meshplane_cli logs {failed[1]}", bare, check=False).stdout
        assert "ClassNotFoundException: org.apache.iceberg" in told
    finally:
        shell("python -m meshplane_cli local down", bare, check=False)


def _commands(printed: str) -> list[str]:
    tail = printed.partition("Now you (copy one line at a time):")[2]
    return [line.strip() for line in tail.splitlines() if line.strip() and not line.strip().startswith("#")]


def _until(holds: object, what: str, seconds: float = 60) -> None:
    import time

    until = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < until, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.5)
