"""CloudWatch alarms: one DescribeAlarms by the project's prefix. PutMetricAlarm replaces what it does not name, so all is sent."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from meshplane.aws.faults import translated
from meshplane.aws.kinds.opening import Opening, mapping, owner_in, pairs, prove
from meshplane.aws.listings import pages
from meshplane.errors import AlreadyExists, NotFound
from meshplane.kinds.alarm import AlarmSpec
from meshplane.model.resource import Difference, Done, Id, Owner, Seen, Wait, Want

# Settings of an alarm that we never give. What it says of its state, and when, is none of them.
_FURTHER = (
    *("ExtendedStatistic", "EvaluateLowSampleCountPercentile", "Metrics", "ThresholdMetricId", "Unit", "InsufficientDataActions"),
    *("EvaluationCriteria", "EvaluationInterval"),
)


class AlarmAdapter:
    """Ownership: tags, found by the shared index."""

    def __init__(self, opening: Opening) -> None:
        self.opening = opening
        self.cloudwatch = opening.clients("cloudwatch")

    def observe(self, ids: Collection[Id], owner: Owner, known: Mapping[Id, str]) -> Sequence[Seen[AlarmSpec]]:
        """The wanted and the indexed ones; nothing is asked when there are neither."""
        tagged = self.opening.listings.tagged(owner, "cloudwatch:alarm")
        indexed = {arn.split(":", 6)[6]: tags for arn, tags in tagged.items()}
        asked = {each.name: each for each in ids}
        if not asked and not indexed:
            return []
        prefix = self.opening.naming.alarm(owner.project, "*").partition("*")[0]
        found = []
        for alarm in pages(self.opening.clients, "cloudwatch", "describe_alarms", "MetricAlarms", AlarmNamePrefix=prefix):
            name = alarm["AlarmName"]
            if name in asked or name in indexed:
                tags = indexed[name] if name in indexed else self._tags(name)
                found.append(Seen(asked.get(name, Id("alarm", name)), _spec(alarm), owner=owner_in(tags)))
        return found

    def create(self, want: Want[AlarmSpec], owner: Owner) -> Done | Wait:
        """Looks first: PutMetricAlarm would replace an alarm that stands there, whosever it is."""
        name = want.id.name
        with translated("cloudwatch:DescribeAlarms", name):
            standing = self.cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]  # a composite of that name would refuse ours
        if standing:
            raise AlreadyExists(f"alarm {name} exists")
        self._put(name, want.spec, Tags=pairs(self.opening.tags(owner)))
        return Done()

    def update(self, seen: Seen[AlarmSpec], to: AlarmSpec, diff: tuple[Difference, ...], owner: Owner) -> Done | Wait:
        """The whole alarm; it keeps its state. Tags are ignored on an update and have a call of their own."""
        name = seen.id.name
        prove(owner_in(self._tags(name)), owner, seen.id)
        self._put(name, to)
        self._tag(name, self.opening.provenance.tags())
        return Done()

    def claim(self, seen: Seen[AlarmSpec], owner: Owner) -> Done | Wait:
        """Tags only."""
        self._tag(seen.id.name, self.opening.tags(owner))
        return Done()

    def delete(self, seen: Seen[AlarmSpec], owner: Owner) -> Done | Wait:
        """Gone already is done."""
        name = seen.id.name
        try:
            prove(owner_in(self._tags(name)), owner, seen.id)
            with translated("cloudwatch:DeleteAlarms", name):
                self.cloudwatch.delete_alarms(AlarmNames=[name])
        except NotFound:
            return Done()
        return Done()

    def _put(self, name: str, spec: AlarmSpec, **tags: Any) -> None:
        with translated("cloudwatch:PutMetricAlarm", name):
            self.cloudwatch.put_metric_alarm(
                AlarmName=name,
                AlarmDescription=spec.description,
                Namespace=spec.namespace,
                MetricName=spec.metric,
                Dimensions=pairs(dict(spec.dimensions), "Name"),
                Statistic=spec.statistic,
                Period=spec.period,
                EvaluationPeriods=spec.periods,
                DatapointsToAlarm=spec.datapoints,
                ComparisonOperator=spec.comparison,
                Threshold=spec.threshold,
                TreatMissingData=spec.missing,
                AlarmActions=list(spec.actions),
                OKActions=list(spec.ok_actions),
                ActionsEnabled=spec.enabled,
                **tags,
            )

    def _tags(self, name: str) -> Mapping[str, str]:
        with translated("cloudwatch:ListTagsForResource", name):
            return mapping(self.cloudwatch.list_tags_for_resource(ResourceARN=self._arn(name))["Tags"])

    def _tag(self, name: str, tags: Mapping[str, str]) -> None:
        with translated("cloudwatch:TagResource", name):
            self.cloudwatch.tag_resource(ResourceARN=self._arn(name), Tags=pairs(tags))

    def _arn(self, name: str) -> str:
        return self.opening.naming.arn("cloudwatch", f"alarm:{name}")


def _spec(alarm: Mapping[str, Any]) -> AlarmSpec:
    """What CloudWatch says, its defaults filled in."""
    rest = {key: alarm[key] for key in _FURTHER if alarm.get(key)}
    periods = int(alarm.get("EvaluationPeriods") or 0)
    return AlarmSpec(
        description=alarm.get("AlarmDescription") or "",
        metric=alarm.get("MetricName") or "",
        dimensions=tuple(sorted(mapping(alarm.get("Dimensions", ()), "Name").items())),
        statistic=alarm.get("Statistic") or "",
        period=int(alarm.get("Period") or 0),
        periods=periods,
        datapoints=int(alarm.get("DatapointsToAlarm") or periods),
        comparison=alarm.get("ComparisonOperator") or "",
        threshold=float(alarm.get("Threshold") or 0),
        missing=alarm.get("TreatMissingData") or "missing",
        actions=tuple(alarm.get("AlarmActions", ())),
        ok_actions=tuple(alarm.get("OKActions", ())),
        namespace=alarm.get("Namespace") or "",
        enabled=bool(alarm.get("ActionsEnabled", True)),
        other=json.dumps(rest, sort_keys=True, default=str) if rest else "",
    )


def adapter(opening: Opening) -> AlarmAdapter:
    """Opened for one reconcile."""
    return AlarmAdapter(opening)
