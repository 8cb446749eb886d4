"""Terraform for the tests: a copy of baseline_tf, one init and one offline plan per session, one apply onto an embedded AWS.

The provider comes from a mirror on this machine or from the registry. Where neither can be had, what needs it is left out, said in one
loud line, and arguments are checked against the committed schema instead. A mirror that is there must work: then nothing is left out. Where
MESHPLANE_TERRAFORM=required, as on GitHub, leaving out is failing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from meshplane.model.domain import Domain
from meshplane.model.naming import Naming
from meshplane.model.resource import Provenance
from meshplane_cli.baseline import provider_mirror, variables
from tests.baseline.provider import may_be_lacking

ROOT = Path(__file__).parents[2]
_OFFLINE = """\
terraform {
  backend "local" {}
}
provider "aws" {
  allowed_account_ids         = null
  access_key                  = "AKIAIOSFODNN7EXAMPLE"
  secret_key                  = "not-a-secret"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true
}
"""
REACHABLE = {
    "shop": {"kind": "postgresql", "host": "shop.db.example.org", "port": 5432, "database": "shop", "cidr": "10.20.0.0/24"},
    "erp": {"kind": "sqlserver", "host": "10.40.0.7", "port": 1433, "database": "erp"},
    "events": {"kind": "kafka", "host": "broker.example.org", "port": 9094, "cidr": "10.30.0.0/24"},
}
_missing: list[str] = []


@dataclass(frozen=True)
class Plan:
    """A plan's JSON, asked the way the promises are written."""

    document: Mapping[str, Any]

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Address without its type → planned values: `this["raw"]` → {…}."""
        rows = self.document["planned_values"]["root_module"]["resources"]
        return {row["address"].removeprefix(f"{kind}."): row["values"] for row in rows if row["type"] == kind}

    def refers(self, address: str, *path: str) -> set[str]:
        """What an argument of a resource refers to, where its value is known only after apply."""
        rows = self.document["configuration"]["root_module"]["resources"]
        found: Any = next(row for row in rows if row["address"] == address)["expressions"]
        for step in path:
            found = found[0][step] if isinstance(found, list) else found[step]
        return set(found.get("references", ()))

    @cached_property
    def types(self) -> set[str]:
        return {row["type"] for row in self.document["planned_values"]["root_module"]["resources"]}


@dataclass(frozen=True)
class Work:
    """A copy in which Terraform may write."""

    folder: Path
    config: Path | None

    @property
    def source(self) -> Path:
        return self.folder / "baseline_tf"

    def run(self, *words: str, folder: str = "") -> subprocess.CompletedProcess[str]:
        settings = {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
        if self.config is not None:
            settings["TF_CLI_CONFIG_FILE"] = str(self.config)
        env = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
        return subprocess.run(
            ["terraform", *words], cwd=self.source / folder, env={**env, **settings}, capture_output=True, text=True, check=False
        )

    def done(self, *words: str, folder: str = "") -> str:
        answer = self.run(*words, folder=folder)
        assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr[-3000:]
        return answer.stdout

    def plan(self, *files: str) -> Plan:
        """With the variables of these files; `offline` only."""
        words = ("-input=false", "-no-color", "-refresh=false", *(f"-var-file={file}" for file in files))
        self.done("plan", *words, "-out=offline.tfplan")
        return Plan(json.loads(self.done("show", "-json", "offline.tfplan")))


def mirror_config(folder: Path, mirror: Path | None) -> Path | None:
    """Terraform's own configuration for a mirror; made here, never committed."""
    if mirror is None:
        return None
    config = folder / "mirror.tfrc"
    config.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n', encoding="utf-8")
    return config


@pytest.fixture(scope="session")
def domain() -> Domain:
    """The example domain, with places that jobs may reach."""
    told = json.loads((ROOT / "domain.json").read_text(encoding="utf-8"))
    return Domain.read(json.dumps({**told, "reachable": REACHABLE, "repository": "acme/retail"}))


@pytest.fixture(scope="session")
def naming(domain: Domain) -> Naming:
    return domain.naming("dev")


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory, domain: Domain, naming: Naming) -> Work:
    """Copied, not initialised: enough for fmt and for modules without a provider."""
    if shutil.which("terraform") is None:
        _leave_out("no terraform on the PATH")
    folder = tmp_path_factory.mktemp("baseline")
    shutil.copytree(ROOT / "baseline_tf", folder / "baseline_tf", ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
    (folder / "functions/meshplane").mkdir(parents=True)
    shutil.copy(ROOT / "functions/meshplane/naming.json", folder / "functions/meshplane")
    given = variables(domain, naming, domain.repository, Provenance())
    (folder / "baseline_tf/domain.tfvars.json").write_text(json.dumps(given), encoding="utf-8")
    return Work(folder, mirror_config(folder, provider_mirror()))


@pytest.fixture(scope="session")
def initialised(work: Work) -> Work:
    """With the real provider."""
    answer = work.run("init", "-input=false", "-backend=false", "-no-color")
    if answer.returncode:
        assert work.config is None, f"the provider mirror of this machine does not serve: {answer.stderr}"
        _leave_out("no hashicorp/aws provider: no mirror on this machine, and the registry does not answer")
    return work


@pytest.fixture(scope="session")
def planned(initialised: Work) -> Plan:
    """The whole baseline of dev, planned with no AWS."""
    with offline(initialised) as work:
        return work.plan("domain.tfvars.json", "environments/dev.tfvars")


@contextmanager
def offline(work: Work) -> Iterator[Work]:
    """Meanwhile Terraform asks no AWS; state is a file that is never written."""
    override = work.source / "offline_override.tf"
    override.write_text(_OFFLINE, encoding="utf-8")
    work.done("init", "-input=false", "-reconfigure", "-no-color")
    yield work
    override.unlink()


def _leave_out(why: str) -> None:
    may_be_lacking(why)
    told = f"TERRAFORM NOT CHECKED BY ITS PROVIDER: {why}. Arguments were checked by the committed schema."
    _missing.append(told)
    pytest.skip(told)


@pytest.hookimpl
def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The one loud line."""
    for told in sorted(set(_missing)):
        terminalreporter.write_line(told, red=True, bold=True)
