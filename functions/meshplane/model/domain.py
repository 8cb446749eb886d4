"""`domain.json`: the only file edited to adopt the product (REQUIREMENTS D1). Read by the CLI, the build and, copied beside the
code by the build, by the functions."""

from __future__ import annotations

import json
import re
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from meshplane.errors import ManifestInvalid, Problem
from meshplane.model.naming import Naming
from meshplane.model.problems import Findings, Loc, in_order
from meshplane.model.reading import read, shown
from meshplane.model.rules import RuleKind
from meshplane.model.shape import understand

ENVIRONMENTS = ("dev", "int", "prod")

Environment = Annotated[str, StringConstraints(pattern=r"^(dev|int|prod)$")]
Account = Annotated[str, StringConstraints(pattern=r"^[0-9]{12}$")]
Host = Annotated[str, StringConstraints(pattern=r"^(\*\.)?([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
RuleDefaults = dict[str, str | int | float | bool]
RULE_WORDS = {  # what a rule may leave to the domain → its form, and that in words
    "severity": (r"observe|warn|block", "observe, warn, block"),
    "threshold": (r"0|\d+ ?rows?|\d{1,2}(\.\d{1,6})? ?%|100 ?%", "0.1%, 10 rows"),
    "tolerance": (r"\d{1,3}(\.\d{1,6})? ?%", "0.1%"),
}


def _rule_defaults(values: RuleDefaults) -> RuleDefaults:
    """`severity`, for one kind `freshness.severity`, or `not_null: 0.001`: the share of rows that may break rules of that kind."""
    kinds = get_args(RuleKind)
    for key, value in values.items():
        if key in kinds and isinstance(value, int | float) and 0 <= value <= 1:
            continue
        kind, dot, word = key.rpartition(".") if key not in kinds else (key, ".", "threshold")
        form, allowed = RULE_WORDS.get(word, ("", ", ".join((*RULE_WORDS, "kind.severity", "kind.threshold"))))
        known = form and (not dot or kind in kinds) and (word != "tolerance" or kind in ("", "reconciliation"))
        if not known or not re.fullmatch(form, shown(value)):
            text = f"this is no {word}" if known else f"'{key}' is no default of rules"
            context = {"text": text, "found": f"{key}: {shown(value)}", "allowed": allowed, "mend": ""}
            raise PydanticCustomError("text-form", "{text}", context)
    return values


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Reachable(_Part):
    """A database or broker that jobs of the domain may reach from its VPC."""

    kind: Literal["postgresql", "mysql", "sqlserver", "oracle", "kafka"] = Field(description="What answers there.")
    host: str = Field(pattern=r"^[A-Za-z0-9.-]{1,253}$", description="DNS name or address.")
    port: int = Field(ge=1, le=65535, description="TCP port.")
    database: str = Field(default="", description="The database's name; empty for brokers.")
    cidr: str = Field(
        default="",
        pattern=r"^(\d{1,3}(\.\d{1,3}){3}/([1-9]|[12]\d|3[0-2]))?$",
        description="The range that the host's addresses lie in, as 10.20.0.0/24; may be left out when the host is an address.",
    )


def _delivered(target: object) -> object:
    if target in ("http", "datazone"):
        text = f"not delivered yet: events are sent to no '{target}'"
        mend = "eventbridge, and a rule on that bus that passes them on"
        raise PydanticCustomError("not-delivered", "{text}", {"text": text, "found": target, "allowed": "s3, eventbridge", "mend": mend})
    return target


class Lineage(_Part):
    """Where lineage events go."""

    target: Annotated[Literal["s3", "eventbridge"], BeforeValidator(_delivered)] = Field(
        default="s3", description="s3: beside the run records. eventbridge: also on a bus."
    )
    bus: str = Field(
        default="default",
        pattern=r"^[A-Za-z0-9._-]{1,256}$",
        description="For eventbridge: the bus, `default` or one whose name begins with the domain's abbreviation and a hyphen.",
    )


class Library(_Part):
    """An own wheel that takes the place of the job library, pinned by content."""

    path: str = Field(pattern=r"^[A-Za-z0-9._/-]+\.whl$", description="File in the repository.")
    sha256: Sha256 = Field(description="Its SHA-256, hex.")


class Domain(_Part):
    """The domain's identity and its platform-wide settings. Unknown keys are refused."""

    domain_name: str = Field(pattern=r"^[a-z][a-z0-9-]{1,62}$", description="The domain's name, for people and tags.")
    domain_abbr: str = Field(pattern=r"^[a-z][a-z0-9]{1,9}$", description="Short name: the first part of every physical name.")
    aws_region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$", description="The one AWS Region of the domain.")
    country_code: str = Field(pattern=r"^[a-z]{2}$", description="Two letters; part of bucket and database names. Never guessed.")
    accounts: dict[Environment, Account] = Field(default_factory=dict, description="AWS account id (12 digits) per environment.")
    api_hosts: list[Host] = Field(default_factory=list, description="API hosts that sources may call; *.example.org takes its subdomains.")
    loopback_hosts: list[Literal["127.0.0.1", "localhost"]] = Field(
        default_factory=list, description="Names of this machine that sources may call by plain HTTP, on the laptop only."
    )
    reachable: dict[str, Reachable] = Field(default_factory=dict, description="Databases and brokers that jobs may reach, by name.")
    rule_defaults: Annotated[RuleDefaults, AfterValidator(_rule_defaults)] = Field(
        default_factory=dict,
        description="What rules have that do not say it: severity, threshold, tolerance; of one kind: not_null: 0.001, freshness.severity.",
    )
    lineage: Lineage = Field(default=Lineage(), description="Where lineage goes.")
    repository: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9-]+/[A-Za-z0-9._-]+)?$",
        description="The GitHub repository (owner/name) whose workflows may deploy. Default: the one that this checkout came from.",
    )
    library: Library | None = Field(default=None, description="An own library wheel, by hash. Default: the one of this release.")
    python_version: str = Field(default="3.11", pattern=r"^3\.\d+$", description="Python of the jobs: Glue 5.1 runs 3.11.")
    terraform_version: str = Field(default="1.11.4", pattern=r"^\d+\.\d+\.\d+$", description="Terraform of the baseline.")

    def naming(self, env: str, account_id: str = "") -> Naming:
        """The names of this domain in one environment. `account_id` wins over the declared one (a Lambda knows its own)."""
        return Naming(self.domain_abbr, self.country_code, account_id or self.accounts.get(env, ""), self.aws_region, env)

    @staticmethod
    def read(text: str, file: str = "domain.json") -> Domain:
        """The domain that a JSON text declares. Raises ManifestInvalid with every problem, each with its line and column."""
        try:
            json.loads(text)
        except json.JSONDecodeError as error:
            problem = Problem("json-syntax", f"this is not JSON: {error.msg}", "", file, error.lineno, error.colno)
            raise ManifestInvalid([problem]) from error
        # JSON is YAML's flow style; tabs outside texts are only indentation, and YAML wants spaces there.
        root, problems = read(text.replace("\t", " "), file)
        findings = Findings(file, root)
        domain = understand(Domain, findings, _nothing)
        found = in_order((*problems, *findings.problems))
        if found or domain is None:
            raise ManifestInvalid(found)
        return domain


def _nothing(loc: Loc) -> object:
    """Nothing stands in for a missing key."""
    return None
