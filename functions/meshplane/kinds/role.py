"""The IAM roles of a project: one for its jobs, one for its tables' optimizers, one for its pipelines. Pure.

What each may do is `model/access`. A role is there only when something would assume it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from meshplane.kinds.comparing import differences
from meshplane.model.access import INLINE_LIMIT, Access, canonical, trust
from meshplane.model.context import Context
from meshplane.model.project import Project
from meshplane.model.resource import Difference, Id, Seen, Want

INLINE = "meshplane"  # the name of the one inline policy


@dataclass(frozen=True, slots=True)
class RoleSpec:
    """`trust` and the values of `policies` (inline, by name) are canonical JSON; `attached` are managed policies' ARNs: none is wanted."""

    path: str
    trust: str
    boundary: str
    policies: Mapping[str, str]
    attached: tuple[str, ...] = ()


def role_id(purpose: str, project: str, context: Context) -> Id:
    """purpose is `job`, `optimizer` or `pipeline`: the id that other kinds need."""
    return Id("role", context.naming.role(purpose, project), f"{purpose} role")


class Role:
    """Roles live under the path /meshplane/projects/, which the control plane's own policy is bound to."""

    name = "role"

    def desired(self, project: Project, context: Context) -> Iterable[Want[RoleSpec]]:
        """The job role if there are jobs, the optimizer role if there are Iceberg tables, the pipeline role if there are pipelines."""
        access, naming = Access(project, context), context.naming
        machines = naming.arn("states", f"stateMachine:{naming.state_machine(project.name, '*')}")
        if project.jobs:
            yield self._want("job", project, context, trust("glue", context), access.job)
        if any(table.is_iceberg for table in project.tables.values()):
            yield self._want("optimizer", project, context, trust("glue", context), access.optimizer)
        if project.pipelines:
            yield self._want("pipeline", project, context, trust("states", context, machines), access.pipeline)

    def _want(
        self, purpose: str, project: Project, context: Context, trusted: Mapping[str, Any], policy: Callable[[], Mapping[str, Any]]
    ) -> Want[RoleSpec]:
        text = canonical(policy())
        spec = RoleSpec(context.naming.of("role_path"), canonical(trusted), context.baseline.boundary_arn, {INLINE: text})
        refused = ""
        if len(text) > INLINE_LIMIT:
            refused = (
                f"the policy of the {purpose} role has {len(text)} characters, IAM allows {INLINE_LIMIT}: "
                "read fewer tables of other projects, or split the project"
            )
        return Want(role_id(purpose, project.name, context), spec, refused=refused)

    def compare(self, want: RoleSpec, seen: RoleSpec) -> tuple[Difference, ...]:
        """Documents by meaning (canonical JSON); anything beside the one inline policy is a difference.

        A boundary where the baseline publishes none only narrows, and the plane may never remove one: it stays.
        """
        return differences(want, seen if want.boundary else replace(seen, boundary=""))

    def resting(self, seen: Seen[RoleSpec]) -> RoleSpec | None:
        """Deleted."""
        return None


KIND = Role()
