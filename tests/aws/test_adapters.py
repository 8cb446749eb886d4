"""The adapters of roles, jobs, pipelines and triggers, against moto, all through the one behaviour suite."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from meshplane.aws.clients import Clients
from meshplane.aws.kinds.opening import Opening
from meshplane.aws.listings import Listings
from meshplane.kinds import event_rule, glue_job, log_group, role, schedule, schedule_group, state_machine
from meshplane.model.resource import Provenance, Want, ownership_tags
from tests.aws.behaviour import OTHER, OWNER, AdapterBehaviour, Subject
from tests.aws.clock import StandingClock
from tests.unit.kinds.sample import ARN, BASELINE, CONTEXT, NAMING, PLANE, SALES

FOREIGN = dict(ownership_tags(OTHER))


def as_list(tags: dict[str, str], key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    return [{key: name, value: text} for name, text in tags.items()]


SOMEBODY = Provenance("abc123", "ci", "example/repository")


def opened(clients: Clients, module: str, provenance: Provenance = SOMEBODY) -> Callable[[], Any]:
    """The adapter of a kind, over fresh listings each time."""
    adapter = import_module(f"meshplane.aws.kinds.{module}").adapter

    def open_one() -> Any:
        return adapter(Opening(clients, Listings(clients, NAMING), NAMING, provenance, StandingClock()))

    return open_one


def wanted(kind: Any, label: str) -> Want[Any]:
    return next(want for want in kind.desired(SALES, CONTEXT) if want.id.label == label)


class TaggedBehaviour(AdapterBehaviour):
    """Kinds whose resources carry tags themselves."""

    def tags(self, subject: Subject) -> dict[str, str]:
        raise NotImplementedError("each kind reads tags in its own way")

    def test_provenance_comes_with_a_change_and_only_then(self, subject: Subject) -> None:
        """A commit that does not change a resource does not touch it (D4)."""
        subject.made()
        assert self.tags(subject) == {**ownership_tags(OWNER), **SOMEBODY.tags()}
        later = Provenance("def456", "somebody", "example/fork")
        module = type(subject.kind).__module__.rpartition(".")[2]
        adapter = opened(subject.clients, module, later)
        seen = subject.seen()
        assert subject.kind.compare(subject.want.spec, seen.spec) == (), "provenance is never compared"
        assert self.tags(subject)["git_sha"] == "abc123"
        next(iter(subject.drifts.values()))()
        seen = subject.seen()
        adapter().update(seen, subject.want.spec, subject.kind.compare(subject.want.spec, seen.spec), OWNER)
        assert self.tags(subject) == {**ownership_tags(OWNER), **later.tags()}

    def test_what_the_index_does_not_know_yet_is_asked_itself(self, subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
        """The tag index may be seconds old: our own resource must not look like a stranger's meanwhile."""
        subject.made()
        monkeypatch.setattr(Listings, "tagged", lambda *_: {})
        assert subject.seen().owner == OWNER


class TestRole(TaggedBehaviour):
    def tags(self, subject: Subject) -> dict[str, str]:
        role = subject.clients("iam").get_role(RoleName=subject.want.id.name)["Role"]
        return {tag["Key"]: tag["Value"] for tag in role["Tags"]}

    @pytest.fixture
    def subject(self, clients: Clients) -> Subject:
        iam = clients("iam")
        want = wanted(role.KIND, "job role")
        name = want.id.name
        narrow = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})
        other = json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
            }
        )
        boundary = iam.create_policy(PolicyName="f01-project-boundary-dev", PolicyDocument=narrow)["Policy"]["Arn"]
        assert boundary == BASELINE.boundary_arn
        managed = iam.create_policy(PolicyName="somebody-elses", PolicyDocument=narrow)["Policy"]["Arn"]

        def vanish() -> None:
            iam.delete_role_policy(RoleName=name, PolicyName="meshplane")
            iam.delete_role(RoleName=name)

        return Subject(
            role.KIND,
            want,
            clients,
            opened(clients, "role"),
            drifts={
                "trust": lambda: iam.update_assume_role_policy(RoleName=name, PolicyDocument=other),
                "boundary": lambda: iam.delete_role_permissions_boundary(RoleName=name),
                "policies": lambda: iam.put_role_policy(RoleName=name, PolicyName="more", PolicyDocument=narrow),
                "attached": lambda: iam.attach_role_policy(RoleName=name, PolicyArn=managed),
            },
            vanish=vanish,
            foreign=lambda: iam.create_role(RoleName=name, AssumeRolePolicyDocument=other, Path=want.spec.path, Tags=as_list(FOREIGN)),
            dump=lambda: iam.get_role(RoleName=name)["Role"],
            fixed={"path": "IAM cannot move a role; one of that name elsewhere is not ours"},
        )

    def test_a_role_of_that_name_under_another_path_is_not_ours_whatever_its_tags_say(self, subject: Subject) -> None:
        trust = subject.want.spec.trust
        subject.clients("iam").create_role(
            RoleName=subject.want.id.name, AssumeRolePolicyDocument=trust, Tags=as_list(dict(ownership_tags(OWNER)))
        )
        assert subject.seen().owner is None

    def test_a_widened_inline_policy_is_drift(self, subject: Subject) -> None:
        subject.made()
        wide = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})
        subject.clients("iam").put_role_policy(RoleName=subject.want.id.name, PolicyName="meshplane", PolicyDocument=wide)
        assert subject.differing() == ["policies.meshplane"]

    def test_a_role_without_its_policy_yet_is_a_legal_sight(self, subject: Subject) -> None:
        subject.clients("iam").create_role(
            RoleName=subject.want.id.name,
            Path=subject.want.spec.path,
            AssumeRolePolicyDocument=subject.want.spec.trust,
            PermissionsBoundary=subject.want.spec.boundary,
            Tags=as_list(dict(ownership_tags(OWNER))),
        )
        seen = subject.seen()
        assert seen.owner == OWNER
        subject.heal(seen)
        assert subject.seen().spec == subject.want.spec


class TestGlueJob(TaggedBehaviour):
    def tags(self, subject: Subject) -> dict[str, str]:
        arn = ARN("glue", f"job/{subject.want.id.name}")
        return dict(subject.clients("glue").get_tags(ResourceArn=arn)["Tags"])

    @pytest.fixture
    def subject(self, clients: Clients) -> Subject:
        glue = clients("glue")
        want = wanted(glue_job.KIND, "daily_revenue")
        name = want.id.name

        def alter(**changes: Any) -> Callable[[], None]:
            def other_hand() -> None:
                job = glue.get_job(JobName=name)["Job"]
                kept = {key: value for key, value in job.items() if key in UPDATABLE}
                glue.update_job(JobName=name, JobUpdate={**kept, **changes})

            return other_hand

        command = {"Name": "glueetl", "ScriptLocation": want.spec.script, "PythonVersion": "3"}
        drifts = {
            "role": alter(Role="arn:aws:iam::390403879405:role/other"),
            "script": alter(Command={**command, "ScriptLocation": "s3://elsewhere/x.py"}),
            "command": alter(Command={**command, "Name": "pythonshell"}),
            "python_version": alter(Command={**command, "PythonVersion": "2"}),
            "arguments": alter(DefaultArguments={**want.spec.arguments, "--conf": "spark.x=1"}),
            "connections": alter(Connections={"Connections": ["other"]}),
            "worker_type": alter(WorkerType="G.8X"),
            "workers": alter(NumberOfWorkers=99),
            "timeout_minutes": alter(Timeout=2880),
            "max_concurrent_runs": alter(ExecutionProperty={"MaxConcurrentRuns": 1}),
            "description": alter(Description="changed"),
            "glue_version": alter(GlueVersion="6.0"),
            "max_retries": alter(MaxRetries=3),
            "execution_class": alter(ExecutionClass="FLEX"),
            "queuing": alter(JobRunQueuingEnabled=True),
            "security_configuration": alter(SecurityConfiguration="other"),
            "maintenance_window": alter(MaintenanceWindow="Sun:1"),
            "notify_delay_minutes": alter(NotificationProperty={"NotifyDelayAfter": 5}),
            "fixed_arguments": alter(NonOverridableArguments={"--x": "1"}),
        }
        return Subject(
            glue_job.KIND,
            want,
            clients,
            opened(clients, "glue_job"),
            drifts,
            vanish=lambda: glue.delete_job(JobName=name),
            foreign=lambda: glue.create_job(Name=name, Role="x", Command=command, Tags=FOREIGN),
            dump=lambda: (glue.get_job(JobName=name)["Job"], glue.get_tags(ResourceArn=ARN("glue", f"job/{name}"))["Tags"]),
        )

    def test_an_unset_glue_version_is_drift(self, subject: Subject) -> None:
        """Glue would choose 6.0 for it (aws-facts C1)."""
        subject.made()
        glue, name = subject.clients("glue"), subject.want.id.name
        job = glue.get_job(JobName=name)["Job"]
        glue.update_job(JobName=name, JobUpdate={key: value for key, value in job.items() if key in UPDATABLE and key != "GlueVersion"})
        assert subject.differing() == ["glue_version"]

    def test_all_jobs_of_a_project_are_one_look(self, clients: Clients) -> None:
        wants = list(glue_job.KIND.desired(SALES, CONTEXT))
        adapter = opened(clients, "glue_job")
        for want in wants:
            adapter().create(want, OWNER)
        subject = Subject(glue_job.KIND, wants[0], clients, adapter, {}, vanish=list, foreign=list, dump=list)
        sent = subject.recorded(lambda: adapter().observe([want.id for want in wants], OWNER, {}))
        assert sorted(operation.partition(":")[2] for operation in sent) == ["BatchGetJobs", "GetResources"]


UPDATABLE = (
    "Role",
    "Command",
    "DefaultArguments",
    "Connections",
    "WorkerType",
    "NumberOfWorkers",
    "Timeout",
    "ExecutionProperty",
    "Description",
    "GlueVersion",
    "MaxRetries",
    "ExecutionClass",
    "JobRunQueuingEnabled",
)


class TestLogGroup(TaggedBehaviour):
    def tags(self, subject: Subject) -> dict[str, str]:
        arn = ARN("logs", f"log-group:{subject.want.id.name}")
        return dict(subject.clients("logs").list_tags_for_resource(resourceArn=arn)["tags"])

    @pytest.fixture
    def subject(self, clients: Clients) -> Subject:
        logs = clients("logs")
        want = wanted(log_group.KIND, "daily")
        name = want.id.name

        return Subject(
            log_group.KIND,
            want,
            clients,
            opened(clients, "log_group"),
            drifts={
                "kms_key": lambda: logs.disassociate_kms_key(logGroupName=name),
                "retention_days": lambda: logs.put_retention_policy(logGroupName=name, retentionInDays=1),
            },
            vanish=lambda: logs.delete_log_group(logGroupName=name),
            foreign=lambda: logs.create_log_group(logGroupName=name, tags=FOREIGN),
            dump=lambda: logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"],
        )


class TestStateMachine(TaggedBehaviour):
    def tags(self, subject: Subject) -> dict[str, str]:
        arn = ARN("states", f"stateMachine:{subject.want.id.name}")
        found = subject.clients("stepfunctions").list_tags_for_resource(resourceArn=arn)["tags"]
        return {tag["key"]: tag["value"] for tag in found}

    @pytest.fixture
    def subject(self, clients: Clients) -> Subject:
        states = clients("stepfunctions")
        want = wanted(state_machine.KIND, "daily")
        name, arn = want.id.name, ARN("states", f"stateMachine:{want.id.name}")
        trivial = json.dumps({"StartAt": "a", "States": {"a": {"Type": "Succeed"}}})
        elsewhere = [{"cloudWatchLogsLogGroup": {"logGroupArn": ARN("logs", "log-group:/aws/vendedlogs/states/other:*")}}]
        here = [{"cloudWatchLogsLogGroup": {"logGroupArn": f"{want.spec.log_group}:*"}}]

        def logged(level: str, data: bool, destinations: list[Any]) -> Callable[[], Any]:
            to = {"level": level, "includeExecutionData": data, "destinations": destinations}
            return lambda: states.update_state_machine(stateMachineArn=arn, loggingConfiguration=to)

        return Subject(
            state_machine.KIND,
            want,
            clients,
            opened(clients, "state_machine"),
            drifts={
                "definition": lambda: states.update_state_machine(stateMachineArn=arn, definition=trivial),
                "role": lambda: states.update_state_machine(stateMachineArn=arn, roleArn="arn:aws:iam::390403879405:role/other"),
                "log_group": logged("ALL", True, elsewhere),
                "log_level": logged("ERROR", True, here),
                "log_data": logged("ALL", False, here),
                "tracing": lambda: states.update_state_machine(stateMachineArn=arn, tracingConfiguration={"enabled": True}),
            },
            vanish=lambda: states.delete_state_machine(stateMachineArn=arn),
            foreign=lambda: states.create_state_machine(
                name=name, definition=want.spec.definition, roleArn=want.spec.role, tags=as_list(FOREIGN, "key", "value")
            ),
            dump=lambda: {
                key: value for key, value in states.describe_state_machine(stateMachineArn=arn).items() if key != "ResponseMetadata"
            },
        )


class TestEventRule(TaggedBehaviour):
    def tags(self, subject: Subject) -> dict[str, str]:
        found = subject.clients("events").list_tags_for_resource(ResourceARN=ARN("events", f"rule/{subject.want.id.name}"))["Tags"]
        return {tag["Key"]: tag["Value"] for tag in found}

    @pytest.fixture
    def subject(self, clients: Clients) -> Subject:
        events = clients("events")
        want = wanted(event_rule.KIND, "daily.landed")
        name = want.id.name
        pattern = want.spec.pattern
        whole = {"Name": name, "EventPattern": pattern, "State": "ENABLED", "Description": want.spec.description}

        def vanish() -> None:
            events.remove_targets(Rule=name, Ids=["trigger-queue"])
            events.delete_rule(Name=name)

        return Subject(
            event_rule.KIND,
            want,
            clients,
            opened(clients, "event_rule"),
            drifts={
                "pattern": lambda: events.put_rule(**{**whole, "EventPattern": json.dumps({"source": ["aws.ec2"]})}),
                "enabled": lambda: events.disable_rule(Name=name),
                "description": lambda: events.put_rule(**{**whole, "Description": "other"}),
                "schedule": lambda: events.put_rule(**{**whole, "ScheduleExpression": "rate(1 minute)"}),
                "targets": lambda: events.put_targets(Rule=name, Targets=[{"Id": "spy", "Arn": ARN("sqs", "spy")}]),
            },
            vanish=vanish,
            foreign=lambda: events.put_rule(Name=name, EventPattern=pattern, Tags=as_list(FOREIGN)),
            dump=lambda: {key: value for key, value in events.describe_rule(Name=name).items() if key != "ResponseMetadata"},
        )

    @pytest.mark.parametrize(
        "change",
        [
            {"Arn": ARN("sqs", "elsewhere")},
            {"DeadLetterConfig": {"Arn": ARN("sqs", "elsewhere")}},
            {"InputTransformer": {"InputTemplate": '{"other": <aws.events.event.json>}'}},
            {"RetryPolicy": {"MaximumRetryAttempts": 1}},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_every_part_of_the_target_is_compared(self, subject: Subject, change: dict[str, Any]) -> None:
        subject.made()
        events, name = subject.clients("events"), subject.want.id.name
        target = events.list_targets_by_rule(Rule=name)["Targets"][0]
        events.put_targets(Rule=name, Targets=[{**target, **change}])
        assert subject.differing() == ["targets"]
        subject.heal(subject.seen())
        assert subject.seen().spec == subject.want.spec

    def test_a_rule_without_its_target_yet_is_a_legal_sight(self, subject: Subject) -> None:
        spec, name = subject.want.spec, subject.want.id.name
        events = subject.clients("events")
        events.put_rule(Name=name, EventPattern=spec.pattern, Description=spec.description, Tags=as_list(dict(ownership_tags(OWNER))))
        assert subject.differing() == ["targets"]
        subject.heal(subject.seen())
        assert subject.seen().spec == spec

    def test_what_cannot_be_delivered_goes_to_the_dead_letter_queue(self, subject: Subject) -> None:
        subject.made()
        targets = subject.clients("events").list_targets_by_rule(Rule=subject.want.id.name)["Targets"]
        assert [target["DeadLetterConfig"] for target in targets] == [{"Arn": PLANE.target_dlq_arn}]


class TestScheduleGroup(AdapterBehaviour):
    @pytest.fixture
    def subject(self, clients: Clients) -> Subject:
        scheduler = clients("scheduler")
        want = wanted(schedule_group.KIND, "schedules")
        name = want.id.name

        return Subject(
            schedule_group.KIND,
            want,
            clients,
            opened(clients, "schedule_group"),
            drifts={},
            vanish=lambda: scheduler.delete_schedule_group(Name=name),
            foreign=lambda: scheduler.create_schedule_group(Name=name, Tags=as_list(FOREIGN)),
            dump=lambda: {key: value for key, value in scheduler.get_schedule_group(Name=name).items() if key != "ResponseMetadata"},
        )


class TestSchedule(AdapterBehaviour):
    @pytest.fixture
    def subject(self, clients: Clients) -> Subject:
        scheduler = clients("scheduler")
        want = wanted(schedule.KIND, "daily.nightly")
        group, _, name = want.id.name.partition("/")

        def grouped(tags: dict[str, str]) -> None:
            scheduler.create_schedule_group(Name=group, Tags=as_list(tags))

        def altered(target: dict[str, Any] | None = None, **changes: Any) -> Callable[[], Any]:
            def other_hand() -> Any:
                standing = scheduler.get_schedule(GroupName=group, Name=name)
                kept = {key: value for key, value in standing.items() if key in SCHEDULE and value is not None}
                return scheduler.update_schedule(**{**kept, **changes, "Target": {**standing["Target"], **(target or {})}})

            return other_hand

        def foreign() -> None:
            grouped(FOREIGN)
            spec = want.spec
            scheduler.create_schedule(
                GroupName=group,
                Name=name,
                ScheduleExpression=spec.expression,
                FlexibleTimeWindow={"Mode": "OFF"},
                Target={"Arn": spec.target, "RoleArn": spec.role},
            )

        class Grouped(Subject):
            def made(self) -> Any:
                if group not in [each["Name"] for each in scheduler.list_schedule_groups()["ScheduleGroups"]]:
                    grouped(dict(ownership_tags(OWNER)))
                return super().made()

        retry = {"MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 185}
        return Grouped(
            schedule.KIND,
            want,
            clients,
            opened(clients, "schedule"),
            drifts={
                "expression": altered(ScheduleExpression="rate(1 minute)"),
                "timezone": altered(ScheduleExpressionTimezone="America/New_York"),
                "enabled": altered(State="DISABLED"),
                "description": altered(Description="other"),
                "window": altered(FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15}),
                "start": altered(StartDate="2040-01-01T00:00:00Z"),
                "end": altered(EndDate="2041-01-01T00:00:00Z"),
                "kms_key": altered(KmsKeyArn=ARN("kms", "key/other")),
                "target": altered({"Arn": ARN("sqs", "elsewhere")}),
                "role": altered({"RoleArn": "arn:aws:iam::390403879405:role/other"}),
                "dead_letters": altered({"DeadLetterConfig": {"Arn": ARN("sqs", "elsewhere")}}),
                "input": altered({"Input": "{}"}),
                "max_age_seconds": altered({"RetryPolicy": {**retry, "MaximumEventAgeInSeconds": 60}}),
                "max_attempts": altered({"RetryPolicy": {**retry, "MaximumRetryAttempts": 0}}),
                "other": altered({"SqsParameters": {"MessageGroupId": "x"}}),
            },
            vanish=lambda: scheduler.delete_schedule(GroupName=group, Name=name),
            foreign=foreign,
            dump=lambda: {
                key: value for key, value in scheduler.get_schedule(GroupName=group, Name=name).items() if key != "ResponseMetadata"
            },
        )


SCHEDULE = (
    "GroupName",
    "Name",
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "State",
    "Description",
    "FlexibleTimeWindow",
    "StartDate",
    "EndDate",
    "KmsKeyArn",
)
