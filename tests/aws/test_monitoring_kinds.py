"""The adapters of alarms and dashboards, against moto, through the one behaviour suite."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest

from meshplane.aws.clients import Clients
from meshplane.kinds import alarm, dashboard
from meshplane.model.resource import ownership_tags
from tests.aws.behaviour import OWNER, Subject
from tests.aws.test_adapters import FOREIGN, TaggedBehaviour, as_list, opened, wanted
from tests.unit.kinds.sample import ACCOUNT, ARN

SPY = ARN("sns", "spy")


class TestAlarm(TaggedBehaviour):
    def tags(self, subject: Subject) -> dict[str, str]:
        found = subject.clients("cloudwatch").list_tags_for_resource(ResourceARN=ARN("cloudwatch", f"alarm:{subject.want.id.name}"))["Tags"]
        return {tag["Key"]: tag["Value"] for tag in found}

    @pytest.fixture
    def subject(self, clients: Clients) -> Subject:
        cloudwatch = clients("cloudwatch")
        want = wanted(alarm.KIND, "stalled")
        name = want.id.name
        bare = {
            "AlarmName": name,
            "Namespace": "Other",
            "MetricName": "Other",
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 5.0,
            "ComparisonOperator": "LessThanThreshold",
        }

        def altered(**changes: Any) -> Callable[[], Any]:
            def other_hand() -> Any:
                (standing,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
                return cloudwatch.put_metric_alarm(**{**{key: standing[key] for key in GIVEN if key in standing}, **changes})

            return other_hand

        return Subject(
            alarm.KIND,
            want,
            clients,
            opened(clients, "alarm"),
            drifts={
                "description": altered(AlarmDescription="other"),
                "namespace": altered(Namespace="Other"),
                "metric": altered(MetricName="Other"),
                "dimensions": altered(Dimensions=[{"Name": "project", "Value": "finance"}]),
                "statistic": altered(Statistic="Average"),
                "period": altered(Period=3600),
                "periods": altered(EvaluationPeriods=5),
                "datapoints": altered(EvaluationPeriods=3, DatapointsToAlarm=2),
                "comparison": altered(ComparisonOperator="LessThanThreshold"),
                "threshold": altered(Threshold=1000.0),
                "missing": altered(TreatMissingData="notBreaching"),
                "actions": altered(AlarmActions=[SPY]),
                "ok_actions": altered(OKActions=[SPY]),
                "enabled": lambda: cloudwatch.disable_alarm_actions(AlarmNames=[name]),
                "other": altered(InsufficientDataActions=[SPY]),
            },
            vanish=lambda: cloudwatch.delete_alarms(AlarmNames=[name]),
            foreign=lambda: cloudwatch.put_metric_alarm(**bare, Tags=as_list(FOREIGN)),
            dump=lambda: cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"],
        )

    def test_healing_leaves_the_state_as_it_is(self, subject: Subject) -> None:
        subject.made()
        cloudwatch, name = subject.clients("cloudwatch"), subject.want.id.name
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test")
        subject.drifts["threshold"]()
        subject.heal(subject.seen())
        assert [one["StateValue"] for one in cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]] == ["ALARM"]
        assert subject.differing() == []

    def test_an_alarm_on_an_expression_is_drift_that_is_healed(self, subject: Subject) -> None:
        subject.made()
        cloudwatch, name = subject.clients("cloudwatch"), subject.want.id.name
        stat = {"Metric": {"Namespace": "Other", "MetricName": "Other"}, "Period": 60, "Stat": "Sum"}
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            EvaluationPeriods=1,
            Threshold=1.0,
            ComparisonOperator="GreaterThanThreshold",
            Metrics=[{"Id": "a", "MetricStat": stat, "ReturnData": True}],
        )
        assert {"metric", "other", "statistic"} <= set(subject.differing())
        subject.heal(subject.seen())
        assert subject.seen().spec == subject.want.spec


GIVEN = (
    "AlarmName",
    "AlarmDescription",
    "Namespace",
    "MetricName",
    "Dimensions",
    "Statistic",
    "Period",
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "ComparisonOperator",
    "Threshold",
    "TreatMissingData",
    "AlarmActions",
    "OKActions",
    "ActionsEnabled",
)


class TestDashboard(TaggedBehaviour):
    def tags(self, subject: Subject) -> dict[str, str]:
        arn = f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/{subject.want.id.name}"
        return {tag["Key"]: tag["Value"] for tag in subject.clients("cloudwatch").list_tags_for_resource(ResourceARN=arn)["Tags"]}

    @pytest.fixture
    def subject(self, clients: Clients) -> Subject:
        cloudwatch = clients("cloudwatch")
        want = wanted(dashboard.KIND, "dashboard")
        name = want.id.name

        def described() -> dict[str, Any]:
            found = cloudwatch.get_dashboard(DashboardName=name)
            return {"body": found["DashboardBody"], "arn": found["DashboardArn"]}

        return Subject(
            dashboard.KIND,
            want,
            clients,
            opened(clients, "dashboard"),
            drifts={"body": lambda: cloudwatch.put_dashboard(DashboardName=name, DashboardBody='{"widgets": []}')},
            vanish=lambda: cloudwatch.delete_dashboards(DashboardNames=[name]),
            foreign=lambda: cloudwatch.put_dashboard(DashboardName=name, DashboardBody='{"widgets": []}', Tags=as_list(FOREIGN)),
            dump=described,
        )

    def test_how_the_body_is_written_makes_no_difference(self, subject: Subject) -> None:
        subject.made()
        spaced = json.dumps(dict(reversed(list(json.loads(subject.want.spec.body).items()))), indent=4)
        subject.clients("cloudwatch").put_dashboard(DashboardName=subject.want.id.name, DashboardBody=spaced)
        assert subject.differing() == []

    def test_a_look_at_its_own_is_one_call(self, subject: Subject) -> None:
        subject.made()
        assert subject.recorded(subject.look) == ["cloudwatch:GetDashboard"]

    def test_a_copy_that_only_says_that_it_is_ours_is_not_written_to(self, subject: Subject) -> None:
        """A body can be copied, tags cannot: they are asked before the first write."""
        cloudwatch, name = subject.clients("cloudwatch"), subject.want.id.name
        cloudwatch.put_dashboard(DashboardName=name, DashboardBody=subject.want.spec.body, Tags=as_list(FOREIGN))
        seen = subject.seen()
        assert seen.owner == OWNER
        with pytest.raises(Exception, match="belongs to project 'finance'"):
            subject.open().update(seen, subject.want.spec, (), OWNER)

    def test_it_is_tagged_from_the_first_moment(self, subject: Subject) -> None:
        subject.made()
        assert self.tags(subject).items() >= ownership_tags(OWNER).items()
        assert list(asdict(subject.want.spec)) == ["body"]
