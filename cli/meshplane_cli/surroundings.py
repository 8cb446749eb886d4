"""Where a command works: the checkout, the environment, and the AWS it talks to. Every verb that needs AWS begins with `target()`.

Which AWS: the one that AWS_ENDPOINT_URL names; else, without AWS variables and without `--env`, the embedded AWS of this checkout when
it is up; else the account of the environment, which is compared with domain.json before any other call.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from meshplane.model.domain import ENVIRONMENTS, Domain
from meshplane.model.naming import Naming
from meshplane_cli.output import UNREACHABLE, USAGE, CliError, say

EnvOption = Annotated[str, typer.Option("--env", help="dev, int or prod. Without it: MESHPLANE_ENV, else dev.", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="The answer as JSON on stdout.")]

# What leads boto3 to credentials of somebody's: then the laptop is not meant.
_CREDENTIALS = ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")


@dataclass(frozen=True)
class Checkout:
    """The repository (or what is like one): domain.json and projects/."""

    root: Path

    @cached_property
    def domain(self) -> Domain:
        """domain.json, validated."""
        return Domain.model_validate_json((self.root / "domain.json").read_text(encoding="utf-8"))

    @property
    def projects(self) -> tuple[str, ...]:
        """The folders under projects/ that hold a manifest."""
        return tuple(
            sorted(path.parent.name for path in (self.root / "projects").glob("*/project.yaml") if path.parent.name[0] not in "_.")
        )

    def folder(self, project: str) -> Path:
        """A project's folder. Raises CliError when it holds no manifest."""
        folder = self.root / "projects" / project
        if not (folder / "project.yaml").is_file():
            known = ", ".join(self.projects) or "none yet: meshplane new NAME"
            raise CliError(f"no project '{project}' here", found=f"no {project}/project.yaml under projects/", allowed=known, code=USAGE)
        return folder

    def file(self, project: str) -> str:
        """The manifest's path as messages show it."""
        return f"projects/{project}/project.yaml"


@dataclass(frozen=True)
class Target:
    """An environment in an AWS that may be called: its account was checked."""

    checkout: Checkout
    env: str
    naming: Naming
    local: bool

    @cached_property
    def clients(self) -> Any:
        """The one session's clients."""
        import boto3

        from meshplane.aws.clients import Clients

        return Clients(boto3.Session(region_name=self.naming.region))

    @property
    def state_table(self) -> str:
        """The state table's name."""
        return self.naming.of("state_table")

    @property
    def trigger_queue(self) -> str:
        """The trigger queue's URL."""
        from meshplane.aws.faults import translated

        name = f"{self.naming.abbr}-meshplane-trigger-{self.env}"
        with translated("sqs:GetQueueUrl", name):
            return str(self.clients("sqs").get_queue_url(QueueName=name)["QueueUrl"])

    def function(self, name: str) -> str:
        """A function's name in Lambda: `plan-project` → `f01-meshplane-plan-project-dev`."""
        return f"{self.naming.abbr}-meshplane-{name}-{self.env}"

    def machine(self, name: str) -> str:
        """The ARN of one of the platform's own state machines: `roll-back` → `…:stateMachine:f01-meshplane-roll-back-dev`."""
        return self.naming.arn("states", f"stateMachine:{self.function(name)}")


def checkout(start: Path | None = None) -> Checkout:
    """The nearest folder upwards that holds domain.json. Raises CliError."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "domain.json").is_file():
            return Checkout(folder)
    raise CliError("no domain.json here or above", found=str(here), mend="change into the checkout of your domain", code=USAGE)


def environment(env: str = "", start: Path | None = None) -> Target:
    """The environment by its names, for what asks no AWS. Raises CliError: not understood."""
    place = checkout(start)
    named = env or os.environ.get("MESHPLANE_ENV", "dev")
    if named not in ENVIRONMENTS:
        raise CliError(f"no environment '{named}'", allowed=", ".join(ENVIRONMENTS), code=USAGE)
    return Target(place, named, place.domain.naming(named), _on_loopback(os.environ.get("AWS_ENDPOINT_URL", "")))


def target(env: str = "", start: Path | None = None) -> Target:
    """Find the AWS and check its account. Raises CliError: not understood, or not the environment's account."""
    if not env:
        _use_embedded(checkout(start))
    found = environment(env, start)
    if not found.local:
        _check_account(found)
    return found


def _use_embedded(place: Checkout) -> None:
    """Point every client of this process at the embedded AWS, if that is what a bare environment can only mean."""
    if os.environ.get("AWS_ENDPOINT_URL") or any(os.environ.get(name) for name in _CREDENTIALS):
        return
    from meshplane_cli.local import stack

    found = stack.find(place.root)
    if found:
        say(f"using the embedded AWS at {found.endpoint} (dev)")
        os.environ.update(found.env())


def _on_loopback(endpoint: str) -> bool:
    host = urlsplit(endpoint).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _check_account(found: Target) -> None:
    from meshplane.aws.faults import translated
    from meshplane.errors import ServiceFault

    expected = found.checkout.domain.accounts.get(found.env, "")
    if not expected:
        raise CliError(f"domain.json names no account for {found.env}", mend=f'accounts: {{"{found.env}": "<12 digits>"}}', code=USAGE)
    try:
        with translated("sts:GetCallerIdentity"):
            account = found.clients("sts").get_caller_identity()["Account"]
    except ServiceFault as fault:
        mend = "`meshplane local up` starts the embedded AWS; for an account, sign in first"
        raise CliError("no AWS to talk to", found=str(fault), mend=mend, code=UNREACHABLE) from fault
    if account != expected:
        allowed = f"{expected}, the account of {found.env} in domain.json"
        raise CliError("these credentials are another account's. Nothing was called", found=account, allowed=allowed, code=UNREACHABLE)


def split_name(name: str, what: str) -> tuple[str, str]:
    """`sales.daily` → (`sales`, `daily`). Raises CliError."""
    project, _, rest = name.partition(".")
    if not project or not rest:
        like = {"pipeline": "sales.daily"}.get(what, "sales.load_orders")
        raise CliError(f"'{name}' does not say which project's {what}", allowed=f"PROJECT.{what.upper()}, like {like}", code=USAGE)
    return project, rest
