"""What a job brings along (P4): packages resolved by hash at publish, modules, Java archives, secrets; as a job run and with run-local."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.e2e.built_files import jar, wheel
from tests.e2e.plane import HEAD, ROOT, Plane

pytestmark = [pytest.mark.spark, pytest.mark.local]

MANIFEST = HEAD.format(name="extras") + (
    """\
tables:
  facts: { layer: curated, columns: { what: string, says: string }, key: what }
jobs:
  tell:
    script: jobs/tell.py
    writes: { table: facts, mode: merge }
    packages: [outer==1.0]
    modules: [lib/, single.py]
    jars: [lib/greeting.jar]
    secrets: { word: magic-word }
"""
)
SCRIPT = """\
from lib.inside import HERE
from outer import told
from pyspark.sql import functions as F
from single import ALONE

from dp_foundation.config.secrets import get_secret
from dp_foundation.io.writers import write_iceberg
from dp_foundation.spark.session import get_spark

spark = get_spark("tell")


def far(_):
    from outer import told

    return told()


rows = [("package", told()), ("module", HERE), ("file", ALONE), ("jar", spark._jvm.Greeting.say()), ("secret", get_secret("word"))]
executor = spark.range(1).select(F.lit("executor").alias("what"), F.udf(far, "string")("id").alias("says"))
write_iceberg(spark.createDataFrame(rows, "what string, says string").unionByName(executor), "facts", mode="merge")
"""
TOLD = {"package": "inner 2.1", "executor": "inner 2.1", "module": "here", "file": "alone", "jar": "hello from Java", "secret": "sesame"}


@pytest.fixture(scope="module")
def index(plane: Plane) -> dict[str, str]:
    """Variables that lead pip to a folder of wheels and to nothing else; `outer` needs `inner`, whose newest version it does not take."""
    folder = plane.folder / "wheels"
    wheel(folder, "inner", "2.1", "VERSION = '2.1'\n")
    wheel(folder, "inner", "3.0", "VERSION = '3.0'\n")
    wheel(folder, "outer", "1.0", "import inner\n\n\ndef told():\n    return f'inner {inner.VERSION}'\n", needs="inner<3")
    wheel(folder, "other", "1.0", "", needs="inner>=3")
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)}


@pytest.fixture(scope="module")
def project(plane: Plane, index: dict[str, str]) -> Path:
    files = {"jobs/tell.py": SCRIPT, "lib/__init__.py": "", "lib/inside.py": "HERE = 'here'\n", "single.py": "ALONE = 'alone'\n"}
    folder = plane.write("extras", MANIFEST, files)
    (folder / "lib" / "greeting.jar").write_bytes(jar("Greeting", TOLD["jar"]))
    for part in ("glue_jobs", "functions"):
        (plane.folder / part).symlink_to(ROOT / part)
    plane.client("secretsmanager").create_secret(Name="f01/dev/extras/magic-word", SecretString=TOLD["secret"])
    told = plane.meshplane("publish", "extras", **index)
    assert told.returncode == 0, told.stdout + told.stderr
    return folder


def facts(plane: Plane) -> dict[str, str]:
    rows = plane.catalog.load_table(f"{plane.stack.naming.database('curated')}.extras_facts").scan().to_arrow().to_pylist()
    return {row["what"]: row["says"] for row in rows}


def test_a_job_run_has_all_that_its_job_names(plane: Plane, project: Path) -> None:
    job = plane.client("glue").get_job(JobName="f01-extras-tell-dev")["Job"]["DefaultArguments"]
    wheels = [path.rpartition("/")[2] for path in job["--additional-python-modules"].split(",")]
    assert sorted(wheels) == ["inner-2.1-py3-none-any.whl", "outer-1.0-py3-none-any.whl"]
    assert job["--python-modules-installer-option"] == "--no-index"
    done = plane.meshplane("run", "extras.tell", "--wait", "--timeout", "110")
    logs = plane.meshplane("logs", "extras.tell").stdout if done.returncode else ""
    assert done.returncode == 0, done.stdout + done.stderr + logs
    assert facts(plane) == TOLD


def test_run_local_has_them_too(plane: Plane, project: Path, index: dict[str, str]) -> None:
    (project / "single.py").write_text("ALONE = 'changed here'\n", encoding="utf-8")
    done = plane.meshplane("run-local", "extras.tell", **index)
    assert done.returncode == 0, done.stdout + done.stderr
    assert facts(plane) == {**TOLD, "file": "changed here"}


def test_two_versions_of_one_package_are_refused_at_publish(plane: Plane, project: Path, index: dict[str, str]) -> None:
    manifest = project / "project.yaml"
    manifest.write_text(MANIFEST.replace("[outer==1.0]", "[outer==1.0, other==1.0]"), encoding="utf-8")
    told = plane.meshplane("publish", "extras", "--json", **index)
    assert told.returncode == 1
    error = json.loads(told.stdout)["error"]
    assert (error["message"], error["found"]) == ("jobs.tell.packages bring several versions of inner", "2.1, 3.0")


def test_a_lock_with_hashes_is_obeyed(plane: Plane, project: Path, index: dict[str, str]) -> None:
    wheel(plane.folder / "wheels", "inner", "2.2", "VERSION = '2.2'\n")
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (plane.folder / "wheels").iterdir()}
    lock = [
        f"{name}=={version} --hash=sha256:{digests[f'{name}-{version}-py3-none-any.whl']}"
        for name, version in (("outer", "1.0"), ("inner", "2.1"))
    ]
    (project / "project.yaml").write_text(MANIFEST, encoding="utf-8")
    (project / "requirements.lock").write_text("\n".join(lock) + "\n", encoding="utf-8")
    told = plane.meshplane("publish", "extras", **index)
    assert told.returncode == 0, told.stderr
    wheels = plane.client("glue").get_job(JobName="f01-extras-tell-dev")["Job"]["DefaultArguments"]["--additional-python-modules"]
    assert "inner-2.1-" in wheels
    (project / "requirements.lock").write_text("\n".join(lock).replace(digests["outer-1.0-py3-none-any.whl"], "0" * 64), encoding="utf-8")
    told = plane.meshplane("publish", "extras", "--json", **index)
    assert told.returncode == 1
    assert json.loads(told.stdout)["error"]["message"] == "outer-1.0-py3-none-any.whl, of outer==1.0, is not in requirements.lock"
