"""Log groups of pipelines: one DescribeLogGroups by the project's prefix."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from meshplane.aws.faults import translated
from meshplane.aws.kinds.opening import Opening, owner_in, prove
from meshplane.aws.listings import pages
from meshplane.errors import NotFound
from meshplane.kinds.comparing import changed
from meshplane.kinds.log_group import LogGroupSpec
from meshplane.model.resource import Difference, Done, Id, Owner, Seen, Wait, Want


class LogGroupAdapter:
    """Ownership: tags, found by the shared index."""

    def __init__(self, opening: Opening) -> None:
        self.opening = opening
        self.logs = opening.clients("logs")

    def observe(self, ids: Collection[Id], owner: Owner, known: Mapping[Id, str]) -> Sequence[Seen[LogGroupSpec]]:
        """The wanted and the indexed ones; nothing is asked when there are neither."""
        asked = {each.name: each for each in ids}
        tagged = self.opening.listings.tagged(owner, "logs:log-group")
        indexed = {arn.split(":", 6)[6].removesuffix(":*"): tags for arn, tags in tagged.items()}
        if not asked and not indexed:
            return []
        prefix = self.opening.naming.pipeline_log_group(owner.project, "*").partition("*")[0]
        found = []
        for group in pages(self.opening.clients, "logs", "describe_log_groups", "logGroups", logGroupNamePrefix=prefix):
            name = group["logGroupName"]
            if name in asked or name in indexed:
                tags = indexed[name] if name in indexed else self._tags(name)
                spec = LogGroupSpec(group.get("kmsKeyId", ""), group.get("retentionInDays", 0))
                found.append(Seen(asked.get(name, Id("log_group", name)), spec, owner=owner_in(tags)))
        return found

    def create(self, want: Want[LogGroupSpec], owner: Owner) -> Done | Wait:
        """Encrypted and tagged from the first moment; retention needs a call of its own."""
        name = want.id.name
        with translated("logs:CreateLogGroup", name):
            self.logs.create_log_group(logGroupName=name, kmsKeyId=want.spec.kms_key, tags=dict(self.opening.tags(owner)))
        self._retain(name, want.spec.retention_days)
        return Done()

    def update(self, seen: Seen[LogGroupSpec], to: LogGroupSpec, diff: tuple[Difference, ...], owner: Owner) -> Done | Wait:
        """Key and retention, each by its own call."""
        name = seen.id.name
        prove(owner_in(self._tags(name)), owner, seen.id)
        if changed(diff, "kms_key"):
            with translated("logs:AssociateKmsKey", name):
                self.logs.associate_kms_key(logGroupName=name, kmsKeyId=to.kms_key)
        if changed(diff, "retention_days"):
            self._retain(name, to.retention_days)
        self._tag(name, self.opening.provenance.tags())
        return Done()

    def claim(self, seen: Seen[LogGroupSpec], owner: Owner) -> Done | Wait:
        """Tags only."""
        self._tag(seen.id.name, self.opening.tags(owner))
        return Done()

    def delete(self, seen: Seen[LogGroupSpec], owner: Owner) -> Done | Wait:
        """Its logs go with it."""
        name = seen.id.name
        try:
            prove(owner_in(self._tags(name)), owner, seen.id)
            with translated("logs:DeleteLogGroup", name):
                self.logs.delete_log_group(logGroupName=name)
        except NotFound:
            return Done()
        return Done()

    def _retain(self, name: str, days: int) -> None:
        with translated("logs:PutRetentionPolicy", name):
            self.logs.put_retention_policy(logGroupName=name, retentionInDays=days)

    def _tags(self, name: str) -> Mapping[str, str]:
        with translated("logs:ListTagsForResource", name):
            tags: Mapping[str, str] = self.logs.list_tags_for_resource(resourceArn=self._arn(name))["tags"]
        return tags

    def _tag(self, name: str, tags: Mapping[str, str]) -> None:
        with translated("logs:TagResource", name):
            self.logs.tag_resource(resourceArn=self._arn(name), tags=dict(tags))

    def _arn(self, name: str) -> str:
        return self.opening.naming.arn("logs", f"log-group:{name}")


def adapter(opening: Opening) -> LogGroupAdapter:
    """Opened for one reconcile."""
    return LogGroupAdapter(opening)
