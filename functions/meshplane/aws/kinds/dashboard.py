"""CloudWatch dashboards: one GetDashboard by the project's one name. PutDashboard replaces the whole body."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from meshplane.aws.faults import translated
from meshplane.aws.kinds.opening import Opening, mapping, owner_in, pairs, prove
from meshplane.errors import AlreadyExists, NotFound
from meshplane.kinds.dashboard import DashboardSpec, canonical, marked
from meshplane.model.resource import Difference, Done, Id, Owner, Seen, Wait, Want


class DashboardAdapter:
    """Ownership: tags. The index of tags is a Region's and dashboards have none, so the body names its owner for the look."""

    def __init__(self, opening: Opening) -> None:
        self.opening = opening
        self.cloudwatch = opening.clients("cloudwatch")

    def observe(self, ids: Collection[Id], owner: Owner, known: Mapping[Id, str]) -> Sequence[Seen[DashboardSpec]]:
        """The project's own name, wanted or not: an undeclared one is found by it."""
        asked = {each.name: each for each in ids}
        own = self.opening.naming.dashboard(owner.project)
        found = []
        for name in sorted({*asked, own}):
            body = self._body(name)
            if body is not None:
                holder = marked(body)
                holder = holder if holder == owner else owner_in(self._tags(name))
                if name in asked or holder == owner:
                    found.append(Seen(asked.get(name, Id("dashboard", name)), DashboardSpec(canonical(body)), owner=holder))
        return found

    def create(self, want: Want[DashboardSpec], owner: Owner) -> Done | Wait:
        """Looks first: PutDashboard would replace a dashboard that stands there, whosever it is. Tags come with the call."""
        name = want.id.name
        if self._body(name) is not None:
            raise AlreadyExists(f"dashboard {name} exists")
        with translated("cloudwatch:PutDashboard", name):
            self.cloudwatch.put_dashboard(DashboardName=name, DashboardBody=want.spec.body, Tags=pairs(self.opening.tags(owner)))
        return Done()

    def update(self, seen: Seen[DashboardSpec], to: DashboardSpec, diff: tuple[Difference, ...], owner: Owner) -> Done | Wait:
        """The whole body. Tags are ignored on an update and have a call of their own."""
        name = seen.id.name
        prove(owner_in(self._tags(name)), owner, seen.id)
        with translated("cloudwatch:PutDashboard", name):
            self.cloudwatch.put_dashboard(DashboardName=name, DashboardBody=to.body)
        self._tag(name, self.opening.provenance.tags())
        return Done()

    def claim(self, seen: Seen[DashboardSpec], owner: Owner) -> Done | Wait:
        """Tags only."""
        self._tag(seen.id.name, self.opening.tags(owner))
        return Done()

    def delete(self, seen: Seen[DashboardSpec], owner: Owner) -> Done | Wait:
        """Gone already is done."""
        name = seen.id.name
        try:
            prove(owner_in(self._tags(name)), owner, seen.id)
            with translated("cloudwatch:DeleteDashboards", name):
                self.cloudwatch.delete_dashboards(DashboardNames=[name])
        except NotFound:
            return Done()
        return Done()

    def _body(self, name: str) -> str | None:
        try:
            with translated("cloudwatch:GetDashboard", name):
                body: str = self.cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"]
        except NotFound:
            return None
        return body

    def _tags(self, name: str) -> Mapping[str, str]:
        with translated("cloudwatch:ListTagsForResource", name):
            return mapping(self.cloudwatch.list_tags_for_resource(ResourceARN=self._arn(name))["Tags"])

    def _tag(self, name: str, tags: Mapping[str, str]) -> None:
        with translated("cloudwatch:TagResource", name):
            self.cloudwatch.tag_resource(ResourceARN=self._arn(name), Tags=pairs(tags))

    def _arn(self, name: str) -> str:
        """Dashboards are the account's: the ARN names no Region."""
        return f"arn:aws:cloudwatch::{self.opening.naming.account_id}:dashboard/{name}"


def adapter(opening: Opening) -> DashboardAdapter:
    """Opened for one reconcile."""
    return DashboardAdapter(opening)
