"""Job runs on real Spark: scripts as a Glue user writes them, and what Glue then shows of their runs."""

from __future__ import annotations

import io
import json
import os
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meshplane_cli.local import role_credentials
from tests.local.glue_stack import CATALOG, CONF, ROLE, Stack, stack

pytestmark = [pytest.mark.spark, pytest.mark.xdist_group("spark")]

MERGE = """
import json, sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
spark.sql("create table if not exists glue_catalog.db.merged (id bigint not null, v string) using iceberg")
spark.range(100).selectExpr("id", "concat('v', id) v").createOrReplaceTempView("news")
spark.sql("merge into glue_catalog.db.merged t using news s on t.id = s.id when matched then update set * when not matched then insert *")
rows = spark.table("glue_catalog.db.merged")
print(json.dumps({"rows": rows.count(), "sum": rows.selectExpr("sum(id)").first()[0], "zone": spark.conf.get("spark.sql.session.timeZone"),
                  "views": [t.name for t in spark.catalog.listTables()]}))
"""
LOOK = """
import json, os, sys, boto3
calls = boto3.client("s3").list_buckets()["Buckets"]
print(json.dumps({"argv": sys.argv, "env": {k: v for k, v in os.environ.items()}, "buckets": len(calls)}))
"""
SLOW = """
import time
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
spark.range(3).createOrReplaceTempView("left_over")
print("ready", flush=True)
spark.sql("select count(*) from range(0, 200000000000, 1, 2) where sin(id) > 2").collect()
"""


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack(tmp_path_factory.mktemp("state")) as found:
        found.job("merge", MERGE)
        found.job("look", LOOK, {"--datalake-formats": "iceberg", "--stage": "job", "--region": "job"})
        found.job("slow", SLOW)
        yield found


def changes(aws: Stack, run_id: str) -> list[dict[str, Any]]:
    return [event["detail"] for event in aws.events if event["detail"].get("jobRunId") == run_id]


def test_success_is_told_by_state_times_logs_and_event(aws: Stack) -> None:
    run = aws.do("merge")
    assert (run["JobRunState"], run.get("ErrorMessage")) == ("SUCCEEDED", None)
    assert run["CompletedOn"] >= run["StartedOn"]
    assert aws.said(run["Id"]) == {"rows": 100, "sum": 4950, "zone": "UTC", "views": ["news"]}
    assert [(change["state"], change["severity"]) for change in changes(aws, run["Id"])] == [("SUCCEEDED", "INFO")]


def test_warm_and_cold_jvm_give_the_same_result(aws: Stack) -> None:
    begun = time.monotonic()
    warm = aws.do("merge")
    lasted = time.monotonic() - begun
    options = " --conf ".join(f"{key}={value}" for key, value in {**CATALOG, "spark.driver.extraJavaOptions": "-Dmine=1"}.items())
    cold = aws.do("merge", conf=options)
    assert (warm["JobRunState"], cold["JobRunState"]) == ("SUCCEEDED", "SUCCEEDED"), cold
    assert aws.said(warm["Id"]) == aws.said(cold["Id"])
    assert lasted < time.monotonic() - begun - lasted, "the second JVM has to be started and to load its classes"


def test_exception_is_shown_as_glue_shows_it(aws: Stack) -> None:
    aws.job("broken", "from pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\nspark.table('nowhere')\n")
    run = aws.do("broken")
    assert run["JobRunState"] == "FAILED"
    assert run["ErrorMessage"].startswith("AnalysisException: [TABLE_OR_VIEW_NOT_FOUND]")
    trace = aws.log(run["Id"], "error", "AnalysisException")
    assert trace.index("Traceback") < trace.index('broken.py", line 3') < trace.index("AnalysisException")
    assert "run_script" not in trace
    assert changes(aws, run["Id"])[0]["message"] == run["ErrorMessage"]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("raise ValueError('two\\nlines')", "ValueError: two"),
        ("import sys\nsys.exit(3)", "SystemExit: 3"),
        ("import os\nos._exit(7)", "Command failed with exit code 7"),
        ("def f(:\n", "SyntaxError: invalid syntax"),
        ("import nothing_like_it", "ModuleNotFoundError: No module named 'nothing_like_it'"),
    ],
)
def test_every_way_to_fail_has_its_message(aws: Stack, script: str, message: str) -> None:
    name = f"fails{abs(hash(script))}"
    aws.job(name, script)
    run = aws.do(name)
    assert run["JobRunState"] == "FAILED"
    assert run["ErrorMessage"].startswith(message)


def test_script_sees_arguments_and_credentials_as_in_glue(aws: Stack) -> None:
    run = aws.do("look", region="run", **{"customer-driver-env-vars": "CUSTOMER_A=1,PATH=/nowhere"})
    seen = aws.said(run["Id"])
    words = seen["argv"]
    pairs = dict(zip(words[1::2], words[2::2], strict=True))
    assert words[0].endswith("/look.py")
    assert (pairs["--stage"], pairs["--region"], pairs["--JOB_NAME"], pairs["--JOB_RUN_ID"]) == ("job", "run", "look", run["Id"])
    env = seen["env"]
    assert role_credentials.role_of(env["AWS_ACCESS_KEY_ID"]) == (ROLE.split(":")[4], "f01-glue-sales-dev")
    assert (env["AWS_ENDPOINT_URL"], env["TZ"], env["CUSTOMER_A"]) == (aws.endpoint, "UTC", "1")
    assert "ENV" not in env
    assert env["PATH"] != "/nowhere"
    assert seen["buckets"] == 2


def test_libraries_and_wheels_are_importable_also_in_executors(aws: Stack) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("lent/__init__.py", "def double(x):\n    return 2 * x\n")
    aws.s3.put_object(Bucket="artifacts", Key="files/aa/lent.zip", Body=archive.getvalue())
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("tripled.py", "def triple(x):\n    return 3 * x\n")
        file.writestr("tripled-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tripled\nVersion: 1.0\n")
        file.writestr("tripled-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr("tripled-1.0.dist-info/RECORD", "tripled.py,,\ntripled-1.0.dist-info/METADATA,,\ntripled-1.0.dist-info/WHEEL,,\n")
    aws.s3.put_object(Bucket="artifacts", Key="files/bb/tripled-1.0-py3-none-any.whl", Body=wheel.getvalue())
    script = """
import json
from lent import double
from tripled import triple
from pyspark.sql import SparkSession, functions as F
def both(x):
    from lent import double
    from tripled import triple
    return double(triple(x))
frame = SparkSession.builder.getOrCreate().range(3).select(F.udf(both, "long")("id").alias("n"))
print(json.dumps({"here": double(triple(1)), "there": [row.n for row in frame.collect()]}))
"""
    files = {"--extra-py-files": "s3://artifacts/files/aa/lent.zip"}
    aws.job("imports", script, {**files, "--additional-python-modules": "s3://artifacts/files/bb/tripled-1.0-py3-none-any.whl"})
    run = aws.do("imports")
    assert run["JobRunState"] == "SUCCEEDED", run
    assert aws.said(run["Id"]) == {"here": 6, "there": [0, 6, 12]}


def test_missing_script_fails_the_run_and_names_it(aws: Stack) -> None:
    command = {"Name": "glueetl", "ScriptLocation": "s3://artifacts/scripts/absent.py"}
    aws.glue.create_job(Name="absent", Role=ROLE, Command=command)
    run = aws.do("absent")
    assert run["JobRunState"] == "FAILED"
    assert "s3://artifacts/scripts/absent.py cannot be read" in run["ErrorMessage"]


def test_without_datalake_formats_there_is_no_iceberg(aws: Stack) -> None:
    aws.job("plain", MERGE, {"--datalake-formats": ""})
    run = aws.do("plain")
    assert run["JobRunState"] == "FAILED"
    assert "iceberg" in (run["ErrorMessage"] + aws.log(run["Id"], "error", "iceberg")).lower()


def test_stop_kills_and_leaves_a_clean_jvm(aws: Stack) -> None:
    run_id = aws.start("slow")
    aws.log(run_id, "output", "ready", 60)
    time.sleep(0.5)
    assert aws.glue.batch_stop_job_run(JobName="slow", JobRunIds=[run_id])["Errors"] == []
    run = aws.finish("slow", run_id, 30)
    assert (run["JobRunState"], run.get("ErrorMessage")) == ("STOPPED", None)
    assert [change["state"] for change in changes(aws, run_id)] == ["STOPPED"]
    after = aws.do("merge")
    assert (after["JobRunState"], aws.said(after["Id"])["views"]) == ("SUCCEEDED", ["news"])


def test_timeout_ends_the_run(aws: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    from meshplane_cli.local.glue_runs import process

    minute = process.run
    monkeypatch.setattr(
        process, "run", lambda interpreter, orders, output, seconds, stopping: minute(interpreter, orders, output, seconds / 20, stopping)
    )
    run = aws.finish("slow", str(aws.glue.start_job_run(JobName="slow", Timeout=1)["JobRunId"]), 60)
    assert run["JobRunState"] == "TIMEOUT"
    assert run["ErrorMessage"] == "Job run exceeded its timeout of 1 minutes"
    assert [(change["state"], change["severity"]) for change in changes(aws, run["Id"])] == [("TIMEOUT", "WARN")]


def test_runs_side_by_side_have_a_jvm_each_and_concurrency_is_honoured(aws: Stack) -> None:
    first = aws.start("slow")
    with pytest.raises(aws.glue.exceptions.ConcurrentRunsExceededException):
        aws.start("slow")
    aws.log(first, "output", "ready", 60)
    beside = aws.do("merge")
    assert beside["JobRunState"] == "SUCCEEDED"
    assert aws.run("slow", first)["JobRunState"] == "RUNNING"
    aws.glue.batch_stop_job_run(JobName="slow", JobRunIds=[first])
    assert aws.finish("slow", first, 30)["JobRunState"] == "STOPPED"


def test_each_run_signs_with_its_own_role_on_the_same_jvm(aws: Stack) -> None:
    from moto.core.responses import BaseResponse

    other = ROLE.replace("sales", "finance")
    aws.s3.put_object(Bucket="data", Key="in/a.csv", Body=b"a\n1\n")
    script = """
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
print(spark.read.csv("s3://data/in/").count(), spark.table("glue_catalog.db.merged").count())
"""
    aws.job("reader", script)
    aws.do("merge")
    seen: list[tuple[str, str]] = []
    original = BaseResponse.setup_class

    def noting(self: Any, request: Any, *more: Any, **named: Any) -> Any:
        signature = str(request.headers.get("Authorization", ""))
        if "Credential=" in signature:
            scope = signature.split("Credential=")[1].split("/")
            seen.append((scope[3], scope[0]))
        return original(self, request, *more, **named)

    for role in (ROLE, other):
        command = {"Name": "glueetl", "ScriptLocation": "s3://artifacts/scripts/reader.py"}
        update = {"Role": role, "Command": command, "DefaultArguments": {"--conf": CONF, "--datalake-formats": "iceberg"}}
        aws.glue.update_job(JobName="reader", JobUpdate=update)
        seen.clear()
        BaseResponse.setup_class = noting
        try:
            run_id = aws.start("reader")
            time.sleep(0.1)
            run = aws.finish("reader", run_id)
        finally:
            BaseResponse.setup_class = original
        assert run["JobRunState"] == "SUCCEEDED", run
        signed = {(service, role_credentials.role_of(key)) for service, key in seen if role_credentials.role_of(key)}
        name = role.rpartition("/")[2]
        assert {service for service, _ in signed} >= {"s3", "glue", "logs"}
        assert {caller for _, caller in signed} == {(ROLE.split(":")[4], name)}


def test_a_python_shell_job_runs_without_any_jvm(aws: Stack) -> None:
    aws.job("shell", LOOK)
    command = {"Name": "pythonshell", "ScriptLocation": "s3://artifacts/scripts/shell.py", "PythonVersion": "3.9"}
    aws.glue.update_job(JobName="shell", JobUpdate={"Role": ROLE, "Command": command, "DefaultArguments": {"--stage": "shell"}})
    run = aws.do("shell")
    assert run["JobRunState"] == "SUCCEEDED", run
    seen = aws.said(run["Id"])
    assert seen["argv"][1:3] == ["--stage", "shell"]
    assert [name for name in seen["env"] if name.startswith("PYSPARK_GATEWAY")] == []


def test_state_machine_waits_for_spark_and_fails_with_it(aws: Stack) -> None:
    task = {"Type": "Task", "Resource": "arn:aws:states:::glue:startJobRun.sync", "End": True}
    retry = [{"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 1, "MaxAttempts": 2}]
    flaky = """
import boto3
from pyspark.sql import SparkSession
s3 = boto3.client("s3")
seen = s3.list_objects_v2(Bucket="data", Prefix="attempts/").get("KeyCount", 0)
s3.put_object(Bucket="data", Key=f"attempts/{seen}", Body=b"")
assert SparkSession.builder.getOrCreate().range(5).count() == 5
if seen < 2:
    raise RuntimeError(f"attempt {seen}")
"""
    aws.job("flaky", flaky)

    def execute(name: str, job: str, **more: Any) -> dict[str, Any]:
        definition = json.dumps({"StartAt": "A", "States": {"A": {**task, "Parameters": {"JobName": job}, **more}}})
        machine = aws.sfn.create_state_machine(name=name, definition=definition, roleArn=ROLE)["stateMachineArn"]
        arn = aws.sfn.start_execution(stateMachineArn=machine)["executionArn"]
        while (found := aws.sfn.describe_execution(executionArn=arn))["status"] == "RUNNING":
            time.sleep(0.1)
        return dict(found)

    good = execute("good", "flaky", Retry=retry)
    assert good["status"] == "SUCCEEDED", good
    assert len(aws.glue.get_job_runs(JobName="flaky")["JobRuns"]) == 3
    bad = execute("bad", "broken")
    assert (bad["status"], bad["error"]) == ("FAILED", "States.TaskFailed")
    assert "TABLE_OR_VIEW_NOT_FOUND" in json.loads(bad["cause"])["ErrorMessage"]


def test_processes_and_files_of_ended_runs_are_gone(aws: Stack) -> None:
    until = time.monotonic() + 15  # a run's state is told before its JVM is cleaned
    while left := list((aws.worker.settings.scratch / "runs").iterdir()):
        assert time.monotonic() < until, left
        time.sleep(0.1)


def test_lost_warm_jvm_is_replaced_by_a_warm_one(aws: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    from meshplane_cli.local.glue_runs import warm_up

    warmed: list[str] = []
    monkeypatch.setattr(warm_up, "warm", lambda *_: warmed.append("again"))
    monkeypatch.setattr(aws.worker.jvms, "on_loss", aws.worker.standby.warm)
    aws.do("merge")
    run_id = aws.start("slow")
    aws.log(run_id, "output", "ready", 60)
    time.sleep(0.5)
    aws.glue.batch_stop_job_run(JobName="slow", JobRunIds=[run_id])
    aws.finish("slow", run_id, 30)
    assert warmed == ["again"], "a loop in an executor thread outlives its run: this JVM cannot be cleaned"


def test_lock_names_what_is_there(tmp_path: Path) -> None:
    from meshplane_cli.local import jars
    from meshplane_cli.local.java import SetupError
    from tests.local.glue_stack import ROOT

    (tmp_path / "glue_jobs").mkdir()
    lines = (ROOT / "glue_jobs" / "jars.lock").read_text(encoding="utf-8").splitlines()
    smallest = next(line for line in lines if "jmespath" in line)
    (tmp_path / "glue_jobs" / "jars.lock").write_text(smallest, encoding="utf-8")
    folder = jars.resolve(tmp_path)
    assert [jar.name for jar in folder.iterdir()] == ["jmespath-java-1.12.262.jar"]
    (folder / "jmespath-java-1.12.262.jar").unlink()
    (folder / "jmespath-java-1.12.262.jar").write_bytes(b"something else")
    with pytest.raises(SetupError, match=r"com\.amazonaws:jmespath-java:1\.12\.262.*is not the file that glue_jobs/jars\.lock names"):
        jars.resolve(tmp_path)


def test_a_jar_is_hashed_again_only_where_its_file_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from meshplane_cli.local import jars
    from meshplane_cli.local.java import SetupError
    from tests.local.glue_stack import ROOT

    (tmp_path / "glue_jobs").mkdir()
    lines = (ROOT / "glue_jobs" / "jars.lock").read_text(encoding="utf-8").splitlines()
    (tmp_path / "glue_jobs" / "jars.lock").write_text(next(line for line in lines if "jmespath" in line), encoding="utf-8")
    hashed: list[str] = []
    check = jars._check

    def noting(path: Path, *more: Any) -> None:
        hashed.append(path.name)
        check(path, *more)

    monkeypatch.setattr(jars, "_check", noting)
    [jar] = jars.resolve(tmp_path).glob("*.jar")
    jars.resolve(tmp_path)
    assert hashed == [jar.name]
    kept, own = jar.stat(), jar.read_bytes()
    jar.unlink()  # it may be a link into the user's cache
    jar.write_bytes(own[:-1] + b"?")
    os.utime(jar, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    for _ in range(2):
        with pytest.raises(SetupError, match="is not the file"):
            jars.resolve(tmp_path)
    (tmp_path / ".meshplane" / "jars.checked.json").write_text("{", encoding="utf-8")
    jar.write_bytes(own)
    jars.resolve(tmp_path)
    assert len(hashed) == 4
