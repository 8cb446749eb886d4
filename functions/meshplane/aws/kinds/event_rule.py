"""EventBridge rules on the default bus: one ListRules by the project's prefix, one ListTargetsByRule each."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from meshplane.aws.faults import refused, translated
from meshplane.aws.kinds.opening import Opening, mapping, owner_in, pairs, prove
from meshplane.aws.listings import pages
from meshplane.errors import AlreadyExists, NotFound
from meshplane.kinds.comparing import changed
from meshplane.kinds.event_rule import EventRuleSpec, RuleTarget, canonical_pattern
from meshplane.model.resource import Difference, Done, Id, Owner, Seen, Wait, Want


class EventRuleAdapter:
    """Ownership: tags, found by the shared index."""

    def __init__(self, opening: Opening) -> None:
        self.opening = opening
        self.events = opening.clients("events")

    def observe(self, ids: Collection[Id], owner: Owner, known: Mapping[Id, str]) -> Sequence[Seen[EventRuleSpec]]:
        """The wanted and the indexed ones; nothing is asked when there are neither."""
        indexed = {arn.rpartition("/")[2]: tags for arn, tags in self.opening.listings.tagged(owner, "events:rule").items()}
        asked = {each.name: each for each in ids}
        if not asked and not indexed:
            return []
        naming = self.opening.naming
        prefix = naming.rule(owner.project, "*", "*").partition("*")[0]
        found = []
        for rule in pages(self.opening.clients, "events", "list_rules", "Rules", NamePrefix=prefix):
            name = rule["Name"]
            if name in asked or name in indexed:
                tags = indexed[name] if name in indexed else self._tags(name)
                spec = _spec(rule, self._targets(name))
                found.append(Seen(asked.get(name, Id("event_rule", name)), spec, owner=owner_in(tags)))
        return found

    def create(self, want: Want[EventRuleSpec], owner: Owner) -> Done | Wait:
        """Looks first: PutRule would change a rule that stands there, whosever it is. Tags come with the first call."""
        name = want.id.name
        if self._stands(name):
            raise AlreadyExists(f"rule {name} exists")
        self._put(name, want.spec, Tags=pairs(self.opening.tags(owner)))
        self._aim(name, want.spec.targets)
        return Done()

    def update(self, seen: Seen[EventRuleSpec], to: EventRuleSpec, diff: tuple[Difference, ...], owner: Owner) -> Done | Wait:
        """PutRule replaces what it does not name, and ignores tags on an update: those have a call of their own."""
        name = seen.id.name
        prove(owner_in(self._tags(name)), owner, seen.id)
        if changed(diff, "pattern", "enabled", "description", "schedule"):
            self._put(name, to)
        if changed(diff, "targets"):
            keep = {target.id for target in to.targets}
            self._unaim(name, [target["Id"] for target in self._targets(name) if target["Id"] not in keep])
            self._aim(name, to.targets)
        self._tag(name, self.opening.provenance.tags())
        return Done()

    def claim(self, seen: Seen[EventRuleSpec], owner: Owner) -> Done | Wait:
        """Tags only."""
        self._tag(seen.id.name, self.opening.tags(owner))
        return Done()

    def delete(self, seen: Seen[EventRuleSpec], owner: Owner) -> Done | Wait:
        """Targets first: EventBridge refuses to delete a rule that has one. A target that is not there says nothing of the rule."""
        name = seen.id.name
        try:
            prove(owner_in(self._tags(name)), owner, seen.id)
        except NotFound:
            return Done()
        self._unaim(name, [target["Id"] for target in self._targets(name)])
        with translated("events:DeleteRule", name):
            self.events.delete_rule(Name=name)
        return Done()

    def _stands(self, name: str) -> bool:
        try:
            with translated("events:DescribeRule", name):
                self.events.describe_rule(Name=name)
        except NotFound:
            return False
        return True

    def _put(self, name: str, spec: EventRuleSpec, **tags: Any) -> None:
        state = "ENABLED" if spec.enabled else "DISABLED"
        with translated("events:PutRule", name):
            self.events.put_rule(Name=name, EventPattern=spec.pattern, State=state, Description=spec.description, **tags)

    def _targets(self, name: str) -> Sequence[Mapping[str, Any]]:
        return pages(self.opening.clients, "events", "list_targets_by_rule", "Targets", Rule=name)

    def _aim(self, name: str, targets: Sequence[RuleTarget]) -> None:
        entries = [
            {
                "Id": target.id,
                "Arn": target.arn,
                "DeadLetterConfig": {"Arn": target.dead_letters},
                "InputTransformer": {"InputTemplate": target.template},
            }
            for target in targets
        ]
        with translated("events:PutTargets", name):
            answer = self.events.put_targets(Rule=name, Targets=entries)
        _raise_failed("events:PutTargets", name, answer)

    def _unaim(self, name: str, targets: Sequence[str]) -> None:
        if not targets:
            return
        with translated("events:RemoveTargets", name):
            answer = self.events.remove_targets(Rule=name, Ids=list(targets))
        _raise_failed("events:RemoveTargets", name, answer)

    def _tags(self, name: str) -> Mapping[str, str]:
        with translated("events:ListTagsForResource", name):
            return mapping(self.events.list_tags_for_resource(ResourceARN=self._arn(name))["Tags"])

    def _tag(self, name: str, tags: Mapping[str, str]) -> None:
        with translated("events:TagResource", name):
            self.events.tag_resource(ResourceARN=self._arn(name), Tags=pairs(tags))

    def _arn(self, name: str) -> str:
        return self.opening.naming.arn("events", f"rule/{name}")


def _raise_failed(action: str, name: str, answer: Mapping[str, Any]) -> None:
    """A batch that failed in part answers 200."""
    for entry in answer.get("FailedEntries", ()):
        raise refused(action, entry.get("ErrorCode", ""), entry.get("ErrorMessage", ""), name)


def _spec(rule: Mapping[str, Any], targets: Sequence[Mapping[str, Any]]) -> EventRuleSpec:
    return EventRuleSpec(
        canonical_pattern(rule.get("EventPattern") or ""),
        tuple(sorted((_target(target) for target in targets), key=lambda target: target.id)),
        rule.get("State") == "ENABLED",
        rule.get("Description") or "",
        rule.get("ScheduleExpression") or "",
    )


def _target(target: Mapping[str, Any]) -> RuleTarget:
    transformer = target.get("InputTransformer") or {}
    rest = {key: value for key, value in target.items() if key not in ("Id", "Arn", "DeadLetterConfig", "InputTransformer") and value}
    if transformer.get("InputPathsMap"):
        rest["InputPathsMap"] = transformer["InputPathsMap"]
    return RuleTarget(
        target["Id"],
        target["Arn"],
        (target.get("DeadLetterConfig") or {}).get("Arn", ""),
        transformer.get("InputTemplate", ""),
        json.dumps(rest, sort_keys=True) if rest else "",
    )


def adapter(opening: Opening) -> EventRuleAdapter:
    """Opened for one reconcile."""
    return EventRuleAdapter(opening)
