"""The root of the authoring models: the whole manifest as an author writes it, overlay applied. Read by `shape`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Strict, StringConstraints, WithJsonSchema

from meshplane.model.manifest.jobs import JobName, JobPart
from meshplane.model.manifest.monitoring import AlarmName, AlarmPart, DashboardPart
from meshplane.model.manifest.parts import Description, OneOrList, Part, Text, field, refuse
from meshplane.model.manifest.pipelines import PipelineName, PipelinePart
from meshplane.model.manifest.sources import SourceName, SourcePart
from meshplane.model.manifest.tables import ProjectName, TableName, TablePart
from meshplane.model.problems import LATER

Verb = Literal["observe", "create", "update", "delete"]
Verbs = Annotated[tuple[Verb, ...], OneOrList()]


class Metadata(Part):
    """Who the project is."""

    name: ProjectName = field("2 to 20 lower-case letters and digits; equals the folder; part of every physical name.")
    title: Text = field("For people.", default="")
    owner: Text = field("Who answers for it: a mail address.", default="")
    description: Description = field("What it is for; at most 2,048 characters.", default="")


def _adopt(value: object) -> object:
    if value == "named":
        refuse("not-delivered", f"not delivered yet: 'named' comes with {LATER['operate']}", "named", "never", "leave it out until then")
    return value


Adopt = Annotated[Literal["never"], BeforeValidator(_adopt)]


class PolicyPart(Part):
    """What the plane may do, and how."""

    manage: Verbs = field(
        "Leave verbs out to pause, observe only, or never delete. Default: all four.", default=("observe", "create", "update", "delete")
    )
    drift: Literal["heal", "report"] = field("What happens to drift. Default heal.", default="heal")
    adopt: Adopt = field("Whether tables that exist are taken over: `named` is not delivered yet. Default never.", default="never")
    approve: Annotated[str, Strict(), StringConstraints(pattern=r"^(plan-[0-9a-f]{8,64})?$")] = field(
        "Digest of a held plan, `plan-` and 8 to 64 hex digits: goes on with exactly that plan.", default=""
    )
    while_running: Literal["finish", "stop"] = field("Removal waits for open runs, or stops them. Default finish.", default="finish")


class Document(Part):
    """A Meshplane project: what a data engineer writes."""

    api_version: Literal["meshplane/v1"] = field("The version of this format.")
    kind: Literal["Project"] = field("Always Project.")
    metadata: Metadata = field("Who the project is.")
    sources: dict[SourceName, SourcePart] = field("What is fetched from outside, by name.", default_factory=dict)
    tables: dict[TableName, TablePart] = field("Tables by name.", default_factory=dict)
    jobs: dict[JobName, JobPart] = field("Glue jobs by name.", default_factory=dict)
    pipelines: dict[PipelineName, PipelinePart] = field("Pipelines by name.", default_factory=dict)
    alarms: dict[AlarmName, AlarmPart] = field(
        "Alarms beside the default ones, and default ones that the project does without, by name.", overlay=True, default_factory=dict
    )
    dashboard: DashboardPart = field("default, off, or own graphs.", overlay=True, default="default")
    environments: Annotated[dict[str, Any], WithJsonSchema({"type": "object"})] = field(
        "What differs per environment, by dotted path or nested.", default_factory=dict
    )
    policy: PolicyPart = field("What the plane may do.", overlay=True, default_factory=dict)
