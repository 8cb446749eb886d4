"""Terraform for the secure baseline: what it is given, where it works, how it is run. Called by `meshplane baseline`, the demo and tests.

Against an account Terraform works in `baseline_tf/` itself. Against the embedded AWS it works in a copy, so that the lock file of a
laptop's provider mirror never lands in the checkout. Either way its state lies in the bucket of that AWS, locked by S3 itself.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshplane.aws.faults import translated
from meshplane.errors import NotFound
from meshplane.model.domain import Domain, Reachable
from meshplane.model.naming import Naming
from meshplane.model.resource import Provenance
from meshplane_cli.output import PROBLEMS, UNREACHABLE, USAGE, CliError
from meshplane_cli.releases import provenance

if TYPE_CHECKING:
    from meshplane_cli.local.stack import Stack

Say = Callable[[str], None]
_MIRROR = "registry.terraform.io"  # the folder by which a filesystem mirror of providers is known
_ROUNDS = 3  # folders below the root in which a mirror is looked for


@dataclass(frozen=True)
class Change:
    """What a plan does to one resource; `actions` are Terraform's words: create, update, delete."""

    address: str
    actions: tuple[str, ...]


@dataclass(frozen=True)
class Baseline:
    """The baseline of one environment in one AWS. `env` are variables for Terraform, beside the caller's own."""

    root: Path
    domain: Domain
    naming: Naming
    client: Callable[[str], Any]
    local: bool
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """What is generated: backend, variables, plan, Terraform's own data."""
        return self.root / ".meshplane" / "baseline" / self.naming.env

    @property
    def source(self) -> Path:
        """Where Terraform is run."""
        return (self.folder / "source" if self.local else self.root) / "baseline_tf"

    @property
    def plan_file(self) -> Path:
        """The plan that `plan` wrote and `apply` does."""
        return self.folder / "plan.tfplan"

    def init(self, say: Say, read_only: bool = False) -> None:
        """Generate what Terraform is given, make its state bucket where there is none (not with `read_only`), initialise.

        Idempotent. Raises CliError.
        """
        _terraform_is_here()
        self.folder.mkdir(parents=True, exist_ok=True)
        made_by = provenance(self.root)
        values = variables(self.domain, self.naming, deploying_repository(self.domain, made_by, self.local), made_by)
        (self.folder / "domain.tfvars.json").write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
        (self.folder / "backend.tfbackend").write_text(backend(self.naming), encoding="utf-8")
        if self.local:
            self._copy()
        bucket = self.naming.of("terraform_state_bucket") if read_only else state_bucket(self.client, self.naming)
        say(f"state: s3://{bucket}/{self.naming.of('terraform_state_key')}, locked by S3")
        self.terraform("init", "-input=false", "-reconfigure", f"-backend-config={self.folder / 'backend.tfbackend'}")
        if not read_only and "aws_s3_bucket.state" not in self.terraform("state", "list", known=(0, 1)).split():  # 1: there is no state yet
            self.terraform("import", "-input=false", *self.variable_files, "aws_s3_bucket.state", bucket)
        say(f"variables: {self.folder / 'domain.tfvars.json'} and environments/{self.naming.env}.tfvars")

    def plan(self, lock: bool = True) -> Sequence[Change]:
        """Compare with the account and keep the plan in `plan_file`; its changes, none when all is as written."""
        self.terraform(
            "plan", "-input=false", "-lock-timeout=120s" if lock else "-lock=false", f"-out={self.plan_file}", *self.variable_files
        )
        found = json.loads(self.terraform("show", "-json", str(self.plan_file)))
        rows = [(row["address"], row["change"]["actions"]) for row in found.get("resource_changes", ())]
        rows += [(f"output.{name}", row["actions"]) for name, row in found.get("output_changes", {}).items()]
        return [Change(address, tuple(actions)) for address, actions in rows if actions not in (["no-op"], ["read"])]

    def text(self) -> str:
        """The kept plan as Terraform shows it."""
        return self.terraform("show", "-no-color", str(self.plan_file))

    def apply(self) -> Mapping[str, Any]:
        """Do exactly the kept plan; the outputs."""
        self.terraform("apply", "-input=false", "-lock-timeout=120s", str(self.plan_file))
        return self.outputs()

    def outputs(self) -> Mapping[str, Any]:
        """What the last apply published."""
        return {name: row["value"] for name, row in json.loads(self.terraform("output", "-json")).items()}

    def terraform(self, *words: str, known: Sequence[int] = (0,)) -> str:
        """One run in `source`; its stdout. Raises CliError with Terraform's own words for an exit code that is not `known`."""
        command = ["terraform", words[0], *(() if words[0] in ("output", "state") else ("-no-color",)), *words[1:]]
        if words[:2] == ("show", "-json"):
            command.remove("-no-color")
        settings = {
            "TF_DATA_DIR": str(self.folder / "data"),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
            **self._providers,
            **self.env,
        }
        done = subprocess.run(command, cwd=self.source, env={**os.environ, **settings}, capture_output=True, text=True, check=False)
        if done.returncode in known:
            return done.stdout
        told = "\n".join(line.strip("╷│╵ ") for line in done.stderr.splitlines() if line.strip("╷│╵ "))
        raise CliError(f"terraform {words[0]} failed in {self.naming.env}", found=told or done.stdout[-2000:], code=PROBLEMS)

    @property
    def variable_files(self) -> tuple[str, str]:
        """What domain.json says, and what the environment does otherwise."""
        return f"-var-file={self.folder / 'domain.tfvars.json'}", f"-var-file=environments/{self.naming.env}.tfvars"

    @cached_property
    def _providers(self) -> Mapping[str, str]:
        """Where providers come from: what the caller configured, else a mirror on this machine, else the registry, kept for next time."""
        if Path(os.environ.get("TF_CLI_CONFIG_FILE") or os.devnull).is_file():
            return {}
        mirror = provider_mirror()
        if mirror is not None:
            config = self.folder / "mirror.tfrc"
            config.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n', encoding="utf-8")
            return {"TF_CLI_CONFIG_FILE": str(config)}
        cache = self.root / ".meshplane" / "terraform-plugins"
        cache.mkdir(parents=True, exist_ok=True)
        return {"TF_PLUGIN_CACHE_DIR": str(cache)}

    def _copy(self) -> None:
        there = self.folder / "source"
        for path in there.glob("**/*.tf*"):  # what has left the checkout since, but not the lock file
            path.unlink()
        ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*")
        shutil.copytree(self.root / "baseline_tf", there / "baseline_tf", ignore=ignored, dirs_exist_ok=True)
        names = "functions/meshplane/naming.json"
        (there / names).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.root / names, there / names)


def variables(domain: Domain, naming: Naming, repository: str, made_by: Provenance) -> dict[str, Any]:
    """What Terraform takes from domain.json and from this run. Raises CliError for a reachable host whose range nobody says."""
    return {
        "env": naming.env,
        "domain_name": domain.domain_name,
        "domain_abbr": naming.abbr,
        "country_code": naming.country_code,
        "aws_region": naming.region,
        "account_id": naming.account_id,
        "reachable": reachable(domain),
        "repository": repository,
        "git_sha": made_by.git_sha,
        "deployed_by": made_by.deployed_by,
    }


def reachable(domain: Domain) -> dict[str, dict[str, Any]]:
    """The declared databases and brokers as Terraform takes them. Raises CliError for a host whose range nobody says."""
    return {name: _reachable(name, place) for name, place in domain.reachable.items()}


def _reachable(name: str, place: Reachable) -> dict[str, Any]:
    cidr = place.cidr
    with suppress(ValueError):
        cidr = cidr or f"{ip_address(place.host)}/32"
    if not cidr:
        raise CliError(
            f"domain.json: reachable.{name} is a name; a security group needs addresses",
            found=place.host,
            mend=f'"cidr": the range in which {place.host} lies, such as "10.20.0.0/24"',
            code=USAGE,
        )
    return {"kind": place.kind, "host": place.host, "port": place.port, "database": place.database, "cidr": cidr}


def backend(naming: Naming) -> str:
    """The backend's configuration. No `encrypt`: it would ask for S3's own key, where the bucket's default is the domain's."""
    values = {"bucket": naming.of("terraform_state_bucket"), "key": naming.of("terraform_state_key"), "region": naming.region}
    return "".join(f'{key} = "{value}"\n' for key, value in values.items()) + "use_lockfile = true\n"


def deploying_repository(domain: Domain, made_by: Provenance, local: bool) -> str:
    """The repository whose workflows may deploy: domain.json's, else the one that this checkout or this workflow is of. Raises CliError."""
    named = domain.repository or repository(made_by.repository)
    if named or local:
        return named or f"local/{domain.domain_abbr}"  # no token of GitHub's reaches the embedded AWS
    raise CliError(
        "which GitHub repository may deploy?",
        found="neither `repository` in domain.json, nor GITHUB_REPOSITORY, nor a GitHub remote of this checkout",
        mend='"repository": "owner/name" in domain.json',
        code=USAGE,
    )


def repository(remote: str) -> str:
    """`owner/name` from GITHUB_REPOSITORY or a remote of github.com; empty for anything else."""
    found = re.fullmatch(r"(?:(?:https://|ssh://git@)?github\.com[:/])?([A-Za-z0-9-]+/[A-Za-z0-9._-]+?)(?:\.git)?", remote)
    return found[1] if found else ""


def state_bucket(client: Callable[[str], Any], naming: Naming) -> str:
    """Make the bucket of Terraform's state where there is none, closed and versioned from the start; the rest is the baseline's own."""
    s3, name = client("s3"), naming.of("terraform_state_bucket")
    try:
        with translated("s3:ListBucket", name):
            s3.head_bucket(Bucket=name, ExpectedBucketOwner=naming.account_id)
    except NotFound:
        place = {} if naming.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": naming.region}}
        with translated("s3:CreateBucket", name):
            s3.create_bucket(Bucket=name, **place)
            closed = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
            s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=closed)
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def provider_mirror() -> Path | None:
    """A filesystem mirror of providers on this machine, if there is one; TERRAFORM_MIRROR names it outright."""
    named = os.environ.get("TERRAFORM_MIRROR")
    if named:
        return Path(named)
    tops = [top for top in sorted(Path(os.sep).iterdir()) if top.is_dir() and top.name not in {"proc", "sys", "dev", "run"}]
    for depth in range(_ROUNDS):
        for top in tops:
            with suppress(OSError):
                found = next((path for path in top.glob("*/" * depth + _MIRROR) if (path / "hashicorp" / "aws").is_dir()), None)
                if found is not None:
                    return found.parent
    return None


def apply_baseline(stack: Stack, say: Say) -> None:
    """The real Terraform onto an embedded AWS that is up but not seeded yet (`stacks.up(root, say, deploy=False)`). Raises CliError."""
    domain = stack.place.domain()
    found = Baseline(stack.place.root, domain, stack.naming, stack.client, True, stack.env())
    found.init(say)
    changes = found.plan()
    say(f"baseline_tf: {len(changes)} resources to change; S3 alone takes Terraform a minute")
    if changes:
        found.apply()
    say("baseline applied by Terraform")


def _terraform_is_here() -> None:
    if shutil.which("terraform") is None:
        raise CliError(
            "terraform is not installed", mend="the version that domain.json names (terraform_version), on the PATH", code=UNREACHABLE
        )
