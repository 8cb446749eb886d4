"""State machines: one DescribeStateMachine each, which is the only call that gives the definition."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from meshplane.aws.faults import translated
from meshplane.aws.kinds.opening import Opening, mapping, owner_in, pairs, prove
from meshplane.errors import AlreadyExists, NotFound
from meshplane.kinds.comparing import changed
from meshplane.kinds.state_machine import StateMachineSpec
from meshplane.model.asl import canonical
from meshplane.model.resource import Difference, Done, Id, Owner, Seen, Wait, Want

AGAIN = timedelta(seconds=10)  # a deletion ends when the machine's executions have reached their next transition


class StateMachineAdapter:
    """Ownership: tags, found by the shared index."""

    def __init__(self, opening: Opening) -> None:
        self.opening = opening
        self.states = opening.clients("stepfunctions")

    def observe(self, ids: Collection[Id], owner: Owner, known: Mapping[Id, str]) -> Sequence[Seen[StateMachineSpec]]:
        """The wanted and the indexed ones; one that is being deleted is busy."""
        indexed = {arn.rpartition(":")[2]: tags for arn, tags in self.opening.listings.tagged(owner, "states:stateMachine").items()}
        asked = {each.name: each for each in ids}
        found = []
        for name in sorted({*asked, *indexed}):
            machine = self._described(name)
            if machine is None:
                continue
            busy = machine["status"] if machine["status"] != "ACTIVE" else ""
            tags = indexed[name] if name in indexed else self._tags(name)
            what = asked.get(name, Id("state_machine", name))
            found.append(Seen(what, _spec(machine), machine.get("revisionId", ""), owner_in(tags), busy))
        return found

    def create(self, want: Want[StateMachineSpec], owner: Owner) -> Done | Wait:
        """Looks first: CreateStateMachine answers success for a machine of the same name and definition, whosever it is (B14)."""
        name, spec = want.id.name, want.spec
        standing = self._described(name)
        if standing is not None and standing["status"] == "DELETING":
            return self._wait(name)
        if standing is not None:
            raise AlreadyExists(f"state machine {name} exists")
        with translated("states:CreateStateMachine", name):
            self.states.create_state_machine(
                name=name,
                definition=spec.definition,
                roleArn=spec.role,
                type="STANDARD",
                loggingConfiguration=_logging(spec),
                tracingConfiguration={"enabled": spec.tracing},
                tags=pairs(self.opening.tags(owner), "key", "value"),
            )
        return Done()

    def update(self, seen: Seen[StateMachineSpec], to: StateMachineSpec, diff: tuple[Difference, ...], owner: Owner) -> Done | Wait:
        """Only what differs; runs that are under way keep the definition they started with."""
        name = seen.id.name
        prove(owner_in(self._tags(name)), owner, seen.id)
        fields: dict[str, Any] = {}
        if changed(diff, "definition"):
            fields["definition"] = to.definition
        if changed(diff, "role"):
            fields["roleArn"] = to.role
        if changed(diff, "log_group", "log_level", "log_data"):
            fields["loggingConfiguration"] = _logging(to)
        if changed(diff, "tracing"):
            fields["tracingConfiguration"] = {"enabled": to.tracing}
        if fields:
            with translated("states:UpdateStateMachine", name):
                self.states.update_state_machine(stateMachineArn=self._arn(name), **fields)
        self._tag(name, self.opening.provenance.tags())
        return Done()

    def claim(self, seen: Seen[StateMachineSpec], owner: Owner) -> Done | Wait:
        """Tags only."""
        self._tag(seen.id.name, self.opening.tags(owner))
        return Done()

    def delete(self, seen: Seen[StateMachineSpec], owner: Owner) -> Done | Wait:
        """Asynchronous: Done only when it is gone, so that role and log group outlive it."""
        name = seen.id.name
        standing = self._described(name)
        if standing is None:
            return Done()
        prove(owner_in(self._tags(name)), owner, seen.id)
        if standing["status"] != "DELETING":
            with translated("states:DeleteStateMachine", name):
                self.states.delete_state_machine(stateMachineArn=self._arn(name))
        return Done() if self._described(name) is None else self._wait(name)

    def _wait(self, name: str) -> Wait:
        return Wait(self.opening.clock.now() + AGAIN, f"state machine {name} is still being deleted")

    def _described(self, name: str) -> Mapping[str, Any] | None:
        try:
            with translated("states:DescribeStateMachine", name):
                machine: Mapping[str, Any] = self.states.describe_state_machine(stateMachineArn=self._arn(name))
        except NotFound:
            return None
        return machine

    def _tags(self, name: str) -> Mapping[str, str]:
        with translated("states:ListTagsForResource", name):
            return mapping(self.states.list_tags_for_resource(resourceArn=self._arn(name))["tags"], "key", "value")

    def _tag(self, name: str, tags: Mapping[str, str]) -> None:
        with translated("states:TagResource", name):
            self.states.tag_resource(resourceArn=self._arn(name), tags=pairs(tags, "key", "value"))

    def _arn(self, name: str) -> str:
        return self.opening.naming.arn("states", f"stateMachine:{name}")


def _logging(spec: StateMachineSpec) -> Mapping[str, Any]:
    destinations = [{"cloudWatchLogsLogGroup": {"logGroupArn": f"{spec.log_group}:*"}}] if spec.log_group else []
    return {"level": spec.log_level, "includeExecutionData": spec.log_data, "destinations": destinations}


def _spec(machine: Mapping[str, Any]) -> StateMachineSpec:
    logging = machine.get("loggingConfiguration") or {}
    groups = [each["cloudWatchLogsLogGroup"]["logGroupArn"].removesuffix(":*") for each in logging.get("destinations", ())]
    return StateMachineSpec(
        canonical(machine["definition"]),
        machine["roleArn"],
        ",".join(groups),
        logging.get("level", "OFF"),
        bool(logging.get("includeExecutionData")),
        bool((machine.get("tracingConfiguration") or {}).get("enabled")),
    )


def adapter(opening: Opening) -> StateMachineAdapter:
    """Opened for one reconcile."""
    return StateMachineAdapter(opening)
