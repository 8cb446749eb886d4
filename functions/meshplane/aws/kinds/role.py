"""IAM roles, seen in one listing of the account. A role is born with its path, trust, boundary and tags in one call.

IAM takes its time: what was just written is `settle`d before anything relies on it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from meshplane.aws.faults import translated
from meshplane.aws.kinds.opening import Opening, mapping, owner_in, pairs, prove
from meshplane.aws.listings import pages
from meshplane.errors import NotFound
from meshplane.kinds.comparing import changed
from meshplane.kinds.role import RoleSpec
from meshplane.model.access import canonical
from meshplane.model.resource import Difference, Done, Id, Owner, Seen, Wait, Want

# How long a role or policy may take to be seen by every service ("usually seconds", IAM user guide, eventual consistency).
SETTLE = timedelta(seconds=15)


class RoleAdapter:
    """Ownership: the path, and all three tags."""

    def __init__(self, opening: Opening) -> None:
        self.opening = opening
        self.iam = opening.clients("iam")

    def observe(self, ids: Collection[Id], owner: Owner, known: Mapping[Id, str]) -> Sequence[Seen[RoleSpec]]:
        """From the shared listing; a role of a wanted name with another path is seen too, as not ours."""
        asked = {each.name: each for each in ids}
        seen = (self._seen(role, asked) for role in self.opening.listings.roles())
        return [each for each in seen if each.id in ids or each.owner == owner]

    def _seen(self, role: Mapping[str, Any], asked: Mapping[str, Id]) -> Seen[RoleSpec]:
        path = self.opening.naming.of("role_path")
        spec = RoleSpec(
            role["Path"],
            canonical(role["AssumeRolePolicyDocument"]),
            role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", ""),
            {each["PolicyName"]: canonical(each["PolicyDocument"]) for each in role.get("RolePolicyList", ())},
            tuple(sorted(each["PolicyArn"] for each in role.get("AttachedManagedPolicies", ()))),
        )
        owner = owner_in(mapping(role.get("Tags", ()))) if role["Path"] == path else None
        return Seen(asked.get(role["RoleName"], Id("role", role["RoleName"])), spec, owner=owner)

    def create(self, want: Want[RoleSpec], owner: Owner) -> Done | Wait:
        """The role, whole, then its policy: a role without one may do nothing."""
        name, spec = want.id.name, want.spec
        boundary = {"PermissionsBoundary": spec.boundary} if spec.boundary else {}
        with translated("iam:CreateRole", name):
            self.iam.create_role(
                RoleName=name,
                Path=spec.path,
                AssumeRolePolicyDocument=spec.trust,
                Tags=pairs(self.opening.tags(owner)),
                **boundary,
            )
        self._put(name, spec)
        return Done(settle=SETTLE)

    def update(self, seen: Seen[RoleSpec], to: RoleSpec, diff: tuple[Difference, ...], owner: Owner) -> Done | Wait:
        """What others added goes first, so that at no moment more is allowed than before or after."""
        name = seen.id.name
        self._prove(seen.id, owner)
        if changed(diff, "boundary"):
            with translated("iam:PutRolePermissionsBoundary", name):
                self.iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=to.boundary)
        if changed(diff, "attached"):
            self._detach(name, to.attached)
        if changed(diff, "policies"):
            self._prune(name, to.policies)
            self._put(name, to)
        if changed(diff, "trust"):
            with translated("iam:UpdateAssumeRolePolicy", name):
                self.iam.update_assume_role_policy(RoleName=name, PolicyDocument=to.trust)
        with translated("iam:TagRole", name):
            self.iam.tag_role(RoleName=name, Tags=pairs(self.opening.provenance.tags()))
        return Done(settle=SETTLE)

    def claim(self, seen: Seen[RoleSpec], owner: Owner) -> Done | Wait:
        """Tags only."""
        with translated("iam:TagRole", seen.id.name):
            self.iam.tag_role(RoleName=seen.id.name, Tags=pairs(self.opening.tags(owner)))
        return Done()

    def delete(self, seen: Seen[RoleSpec], owner: Owner) -> Done | Wait:
        """All that hangs on it, then the role: IAM refuses to delete a role that still holds a policy.

        Only the role itself proves that it is gone: a policy that is not there says nothing of the role.
        """
        name = seen.id.name
        try:
            self._prove(seen.id, owner)
        except NotFound:
            return Done()
        self._detach(name, ())
        self._prune(name, {})
        with translated("iam:DeleteRole", name):
            self.iam.delete_role(RoleName=name)
        return Done()

    def _prove(self, what: Id, owner: Owner) -> None:
        """By the role itself: the account's listing may be seconds old."""
        with translated("iam:GetRole", what.name):
            role = self.iam.get_role(RoleName=what.name)["Role"]
        ours = role["Path"] == self.opening.naming.of("role_path")
        prove(owner_in(mapping(role.get("Tags", ()))) if ours else None, owner, what)

    def _put(self, name: str, spec: RoleSpec) -> None:
        for policy, document in spec.policies.items():
            with translated("iam:PutRolePolicy", name):
                self.iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=document)

    def _prune(self, name: str, keep: Collection[str]) -> None:
        for policy in pages(self.opening.clients, "iam", "list_role_policies", "PolicyNames", RoleName=name):
            if policy not in keep:
                with translated("iam:DeleteRolePolicy", name):
                    self.iam.delete_role_policy(RoleName=name, PolicyName=policy)

    def _detach(self, name: str, keep: Collection[str]) -> None:
        for policy in pages(self.opening.clients, "iam", "list_attached_role_policies", "AttachedPolicies", RoleName=name):
            if policy["PolicyArn"] not in keep:
                with translated("iam:DetachRolePolicy", name):
                    self.iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])


def adapter(opening: Opening) -> RoleAdapter:
    """Opened for one reconcile."""
    return RoleAdapter(opening)
