"""What every kind's adapter must do, written once: a test class of each kind inherits `AdapterBehaviour` and says what differs.

A subclass has a fixture `subject`. Raw boto3 calls in the subject stand for other hands: nothing is altered through the adapter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import pytest

from meshplane.aws.clients import Clients
from meshplane.errors import AlreadyExists, Conflict
from meshplane.kinds import Kind
from meshplane.model.resource import Done, Owner, Seen, Wait, Want
from meshplane.ports import Adapter

OWNER = Owner("retail", "dev", "sales")
OTHER = Owner("retail", "dev", "finance")

READS = ("Get", "List", "Describe", "BatchGet", "Head")


@dataclass(frozen=True)
class Subject:
    """One kind under test.

    `open` gives an adapter over fresh listings. `drifts`: spec field → what another hand does to that field. `vanish` deletes the
    resource out of band; `foreign` makes somebody else's of the same name; `dump` is what AWS says of it, for byte-for-byte checks.
    `fixed`: spec fields that nobody can change in place, with the reason.
    """

    kind: Kind[Any]
    want: Want[Any]
    clients: Clients
    open: Callable[[], Adapter[Any]]
    drifts: Mapping[str, Callable[[], object]]
    vanish: Callable[[], object]
    foreign: Callable[[], object]
    dump: Callable[[], object]
    fixed: Mapping[str, str] = field(default_factory=dict)
    rests: bool = False  # an undeclared one rests instead of being deleted

    def look(self) -> Seen[Any] | None:
        """The wanted resource as a fresh adapter sees it."""
        return next((seen for seen in self.open().observe([self.want.id], OWNER, {}) if seen.id == self.want.id), None)

    def seen(self) -> Seen[Any]:
        """The same, which must be there."""
        seen = self.look()
        assert seen is not None
        return seen

    def differing(self) -> list[str]:
        """The fields in which what is there differs from what is wanted."""
        return [each.field for each in self.kind.compare(self.want.spec, self.seen().spec)]

    def made(self) -> Seen[Any]:
        """The resource, created and looked at."""
        assert isinstance(self.open().create(self.want, OWNER), Done)
        seen = self.look()
        assert seen is not None, "created, but not observed"
        return seen

    def heal(self, seen: Seen[Any]) -> None:
        """One update to what is wanted, as the planner would do it."""
        differences = self.kind.compare(self.want.spec, seen.spec)
        assert isinstance(self.open().update(seen, self.want.spec, differences, OWNER), Done)

    def recorded(self, call: Callable[[], object]) -> list[str]:
        """The operations that `call` sends, as `glue:GetJob`."""
        sent: list[str] = []

        def note(model: Any, **_: Any) -> None:
            sent.append(f"{model.service_model.service_name}:{model.name}")

        # A client keeps its own copy of the session's hooks: hook those that exist, and the session for those to come.
        emitters = [self.clients.session.events, *(client.meta.events for client in self.clients._made.values())]
        for emitter in emitters:
            emitter.register("before-call.*.*", note)
        try:
            call()
        finally:
            for emitter in emitters:
                emitter.unregister("before-call.*.*", note)
        return sent


def writes(sent: list[str]) -> list[str]:
    """Those operations that change something."""
    return [operation for operation in sent if not operation.partition(":")[2].startswith(READS)]


class AdapterBehaviour:
    """Inherit, give `subject`, and all of this holds for the kind."""

    @pytest.fixture
    def subject(self) -> Subject:
        raise NotImplementedError("each kind's test gives its subject")

    def test_what_is_created_is_observed_equal_and_owned(self, subject: Subject) -> None:
        assert subject.look() is None
        seen = subject.made()
        assert seen.owner == OWNER
        assert seen.spec == subject.want.spec
        assert seen.busy == ""

    def test_the_second_look_is_silent(self, subject: Subject) -> None:
        seen = subject.made()
        assert subject.kind.compare(subject.want.spec, seen.spec) == ()
        sent = subject.recorded(subject.look)
        assert sent, "an observation that asks nothing sees nothing"
        assert writes(sent) == []

    def test_every_field_changed_by_another_hand_is_seen_and_healed(self, subject: Subject) -> None:
        names = {each.name for each in fields(subject.want.spec)}
        assert names == set(subject.drifts) | set(subject.fixed), "each field of the spec needs a way to drift, or a reason why it cannot"
        subject.made()
        for name, alter in subject.drifts.items():
            alter()
            seen = subject.seen()
            differences = subject.kind.compare(subject.want.spec, seen.spec)
            assert [each for each in differences if each.field.split(".")[0] == name], f"a change of {name} was not seen"
            assert all(each.was != each.wanted for each in differences), f"{name}: the plan would show no difference"
            subject.heal(seen)
            assert subject.seen().spec == subject.want.spec, f"{name} was not healed"

    def test_an_undeclared_one_is_found_by_its_owner(self, subject: Subject) -> None:
        subject.made()
        assert subject.want.id in [seen.id for seen in subject.open().observe([], OWNER, {})]
        assert subject.want.id not in [seen.id for seen in subject.open().observe([], OTHER, {})]

    def test_a_foreign_twin_is_seen_named_and_never_touched(self, subject: Subject) -> None:
        subject.foreign()
        before = subject.dump()
        seen = subject.look()
        assert seen is not None, "a foreign twin must be seen, or the plan would create over it"
        assert seen.owner != OWNER
        adapter = subject.open()
        with pytest.raises((AlreadyExists, Conflict)):
            adapter.create(subject.want, OWNER)
        with pytest.raises(Conflict):
            adapter.update(seen, subject.want.spec, (), OWNER)
        with pytest.raises(Conflict):
            adapter.delete(seen, OWNER)
        assert subject.dump() == before

    def test_gone_by_another_hand_is_seen_as_gone_and_made_again(self, subject: Subject) -> None:
        subject.made()
        subject.vanish()
        assert subject.look() is None
        assert subject.made().spec == subject.want.spec

    def test_deleting_twice_is_done_twice(self, subject: Subject) -> None:
        if subject.rests:
            return
        seen = subject.made()
        assert isinstance(subject.open().delete(seen, OWNER), Done | Wait)
        assert subject.look() is None
        assert subject.open().delete(seen, OWNER) == Done()
