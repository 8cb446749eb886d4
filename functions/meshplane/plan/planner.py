"""What is wanted and what is seen become an ordered list of actions. Pure: the same plan is printed, guarded and applied.

`plan()` is a ladder of small decisions, one per resource. Nothing here knows a kind; kinds compare, and say what rests.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

from meshplane.kinds import Kind
from meshplane.model.project import Policy
from meshplane.model.resource import Difference, Effect, Id, Owner, Seen, Want
from meshplane.plan.compile import Desired
from meshplane.plan.consumers import Impact
from meshplane.plan.digest import digest

AT_REST = "at rest"  # fingerprint of a resource that nobody declares any more and that stays


WATCHING = frozenset({"alarm", "dashboard"})  # kinds that go with what they watch, and hold nothing of their own


class Verb(StrEnum):
    """What is to be done with one resource."""

    CREATE = "create"
    UPDATE = "update"
    CLAIM = "claim"
    REST = "rest"
    DELETE = "delete"
    NONE = "none"
    BLOCKED = "blocked"  # cannot be as declared: the author's
    CONFLICT = "conflict"  # something that is not ours stands there: the operator's
    WAIT = "wait"


WRITES = frozenset({Verb.CREATE, Verb.UPDATE, Verb.CLAIM, Verb.REST, Verb.DELETE})
REMOVALS = frozenset({Verb.REST, Verb.DELETE})


@dataclass(frozen=True, slots=True)
class Known:
    """What the last look left about a resource: the want's fingerprint when it was last as wanted, and the mark it then had."""

    fingerprint: str
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Action:
    """One resource's part of a plan. `reason` is for people; `withheld` says which policy keeps it from being done."""

    verb: Verb
    id: Id
    effect: Effect | None = None
    differences: tuple[Difference, ...] = ()
    reason: str = ""
    needs: frozenset[Id] = frozenset()
    drift: bool = False  # the world changed, not the manifest
    withheld: str = ""
    error: str = ""  # the reason word of an error that kept us from looking
    extra: tuple[str, ...] = ()
    brought: tuple[str, ...] = ()  # what the data added, as a contract lets it
    fingerprint: str = ""
    rank: int = 0  # the kind's place in reading order: removals go from the highest down
    want: Want[Any] | None = field(default=None, repr=False)
    seen: Seen[Any] | None = field(default=None, repr=False)
    to: Any = field(default=None, repr=False)  # the spec that an update or a rest leads to

    @property
    def writes(self) -> bool:
        """Would applying it send a mutating request?"""
        return self.verb in WRITES and not self.withheld

    @property
    def key(self) -> str:
        """Names this action and what it starts from: retry counts begin anew when the manifest or the world changes."""
        return digest((self.verb, self.id.kind, self.id.name, self.fingerprint, self.differences_text()))

    def differences_text(self) -> tuple[tuple[str, str, str, int], ...]:
        """The differences without what only the adapter needs."""
        return tuple((item.field, item.was, item.wanted, int(item.effect)) for item in self.differences)

    def to_json(self) -> dict[str, Any]:
        """Plain data: what a plan's JSON holds of it."""
        return {
            "verb": self.verb.value,
            "kind": self.id.kind,
            "name": self.id.name,
            "label": self.id.label,
            "effect": self.effect.name.lower() if self.effect else "",
            "reason": self.reason,
            "drift": self.drift,
            "withheld": self.withheld,
            "needs": sorted(f"{need.kind}:{need.name}" for need in self.needs),
            "differences": [
                {"field": d.field, "was": d.was, "wanted": d.wanted, "effect": d.effect.name.lower(), "note": d.note}
                for d in self.differences
            ],
            "extra": list(self.extra),
            "brought": list(self.brought),
        }


@dataclass(frozen=True)
class Plan:
    """All actions for one project, what is needed before what needs it, removals last."""

    project: str
    actions: tuple[Action, ...]
    impacts: tuple[Impact, ...] = ()  # on consumers, and of producers on this project

    @cached_property
    def digest(self) -> str:
        """`plan-` and 8 hex digits; equal for the same decisions, whatever was only waited for or left alone."""
        said = sorted(
            (a.verb.value, a.id.kind, a.id.name, a.differences_text(), a.reason)
            for a in self.actions
            if a.verb not in (Verb.NONE, Verb.WAIT) and not a.withheld
        )
        broken = sorted(impact.key for impact in self.impacts if impact.held)
        return f"plan-{digest((self.project, said, broken) if broken else (self.project, said), 8)}"

    def of(self, *verbs: Verb) -> tuple[Action, ...]:
        """The actions with one of these verbs."""
        return tuple(action for action in self.actions if action.verb in verbs)

    @property
    def writes(self) -> tuple[Action, ...]:
        """What applying it would do."""
        return tuple(action for action in self.actions if action.writes)

    @property
    def empty(self) -> bool:
        """Nothing is to be done, nothing is in the way."""
        return all(action.verb is Verb.NONE for action in self.actions) and not any(impact.held for impact in self.impacts)


@dataclass(frozen=True)
class Sight:
    """All that was seen of a project's kinds. `unread` names the kinds that could not be listed, and why: unknown is never empty."""

    seen: tuple[Seen[Any], ...] = ()
    unread: Mapping[str, Exception] = field(default_factory=dict)

    @cached_property
    def by_id(self) -> Mapping[Id, Seen[Any]]:
        """What was seen, by id."""
        return {seen.id: seen for seen in self.seen}


def known_marks(desired: Desired, inventory: Mapping[Id, Known]) -> Mapping[Id, str]:
    """Marks that still speak for themselves: a body behind an equal mark need not be read, since what is wanted did not change either."""
    resting = {key: known for key, known in inventory.items() if known.fingerprint == AT_REST and key not in desired.by_id}
    marks = {key: known.mark for key, known in resting.items() if known.mark}
    for want in desired.wants:
        known = inventory.get(want.id)
        if known and known.mark and known.fingerprint == digest(want.spec):
            marks[want.id] = known.mark
    return marks


def plan(
    desired: Desired,
    sight: Sight,
    *,
    owner: Owner,
    kinds: Sequence[Kind[Any]],
    policy: Policy = Policy(),  # noqa: B008 - frozen
    inventory: Mapping[Id, Known] | None = None,
) -> Plan:
    """Compare everything wanted with everything seen. `inventory` is what the last look left; without it nothing counts as drift."""
    planner = _Planner(owner, {kind.name: kind for kind in kinds}, [kind.name for kind in kinds], policy, inventory or {})
    undeclared_ids = (seen.id for seen in sight.seen if seen.owner == owner and seen.id not in desired.by_id)
    elsewhere = {_of_table(key): key for key in undeclared_ids if key.kind in planner.lasting}
    planner = replace(planner, elsewhere=elsewhere, former=planner.left_behind(desired, sight))
    wanted = [planner.wanted(want, sight) for want in desired.wants]
    undeclared = [planner.undeclared(seen) for seen in sight.seen if seen.id not in desired.by_id and seen.owner == owner]
    removals = sorted((action for action in undeclared if action), key=lambda action: (-action.rank, action.id))
    looked_for = {want.id.kind for want in desired.wants}
    unknown = [planner.unknown(kind, error) for kind, error in sight.unread.items() if kind not in looked_for]
    return Plan(desired.project, tuple(planner.permitted(action) for action in (*wanted, *unknown, *removals)))


@dataclass(frozen=True)
class _Planner:
    owner: Owner
    kinds: Mapping[str, Kind[Any]]
    order: Sequence[str]
    policy: Policy
    inventory: Mapping[Id, Known]
    elsewhere: Mapping[str, Id] = field(default_factory=dict)  # tables of ours that nobody declares any more, by name without database
    former: Mapping[Id, str] = field(default_factory=dict)  # wanted table → the removed project that left one of its name

    @property
    def lasting(self) -> frozenset[str]:
        """The kinds whose resources hold data: one of the same name elsewhere is no replacement."""
        return frozenset(name for name, kind in self.kinds.items() if getattr(kind, "holds_data", False))

    def left_behind(self, desired: Desired, sight: Sight) -> Mapping[Id, str]:
        """A project none of whose tables stands, while another one's of the same names all rest: a rename, as far as can be seen."""
        left = [seen for seen in sight.seen if seen.resting and seen.owner and seen.owner != self.owner and seen.id.kind in self.lasting]
        kinds = {seen.id.kind for seen in left}
        new = [want.id for want in desired.wants if want.id.kind in kinds]
        if not left or any(one in sight.by_id for one in new):
            return {}
        named: dict[str, set[str]] = {}
        for seen in left:
            holder = seen.owner.project if seen.owner else ""
            named.setdefault(holder, set()).add(seen.id.name.replace(f".{holder}_", ".", 1))
        ours = {one.name.replace(f".{self.owner.project}_", ".", 1) for one in new}
        former = next((holder for holder, names in sorted(named.items()) if ours <= names), "")
        return dict.fromkeys(new, former) if former else {}

    def wanted(self, want: Want[Any], sight: Sight) -> Action:
        """The ladder for a declared resource."""
        seen = sight.by_id.get(want.id)
        fingerprint = digest(want.spec)
        base = Action(
            Verb.NONE,
            want.id,
            needs=want.needs,
            fingerprint=fingerprint,
            rank=self.order.index(want.id.kind),
            want=want,
            seen=seen,
            to=want.spec,
            extra=seen.extra if seen else (),
        )
        if want.refused:
            return replace(base, verb=Verb.BLOCKED, effect=Effect.BREAKING, reason=want.refused)
        if want.waits:
            return replace(base, verb=Verb.WAIT, reason=want.waits)
        if want.id.kind in sight.unread:
            error = sight.unread[want.id.kind]
            return replace(base, verb=Verb.WAIT, reason=f"could not be looked at: {error}", error=type(error).__name__)
        known = self.inventory.get(want.id)
        drift = known is not None and known.fingerprint == fingerprint
        if seen is None:
            return self._absent(base, want, drift)
        if seen.owner != self.owner:
            return self._not_ours(base, seen)
        if seen.busy:
            return replace(base, verb=Verb.WAIT, reason=seen.busy)
        if seen.spec is None:  # its mark is the one known, and so is what is wanted
            return base
        return self._present(base, want, seen, drift)

    def _absent(self, base: Action, want: Want[Any], drift: bool) -> Action:
        """Nothing of this name is there: made, unless it would be a table moved or a project renamed."""
        if want.id.kind in self.lasting and (holder := self.elsewhere.get(_of_table(want.id))):
            return replace(base, verb=Verb.BLOCKED, effect=Effect.BREAKING, reason=_moved(want.id, holder, self.owner))
        if left_by := self.former.get(want.id):
            return replace(base, verb=Verb.CREATE, effect=Effect.BREAKING, reason=_renamed(want.id, left_by, self.owner))
        reason = "was deleted outside Meshplane" if drift else ""
        return replace(base, verb=Verb.CREATE, effect=Effect.ADDITIVE, reason=reason, drift=drift)

    def _present(self, base: Action, want: Want[Any], seen: Seen[Any], drift: bool) -> Action:
        """Ours, at rest and read: compared."""
        kind = self.kinds[want.id.kind]
        added = getattr(kind, "extra", None)  # only kinds to which somebody may add without harm have it
        base = replace(base, extra=(*seen.extra, *added(want.spec, seen.spec))) if added else base
        brought = getattr(kind, "brought", None)
        base = replace(base, brought=brought(want.spec, seen.spec)) if brought else base
        differences = kind.compare(want.spec, seen.spec)
        refused = [f"{d.field}: {d.refused}" for d in differences if d.refused]
        if refused:
            return replace(base, verb=Verb.BLOCKED, effect=Effect.BREAKING, differences=differences, reason="; ".join(refused))
        if seen.resting and not differences:
            differences = (Difference("state", "at rest", "in use"),)
        if not differences:
            return base
        return replace(base, verb=Verb.UPDATE, effect=max(d.effect for d in differences), differences=differences, drift=drift)

    def unknown(self, kind: str, error: Exception) -> Action:
        """A kind of which nothing is declared and which could not be listed: something undeclared may stand there."""
        reason = f"could not be looked at: {error}"
        return Action(Verb.WAIT, Id(kind, "*", "of any name"), reason=reason, error=type(error).__name__, rank=self.order.index(kind))

    def _not_ours(self, base: Action, seen: Seen[Any]) -> Action:
        if seen.owner is None and self.policy.adopt == "named":
            return replace(base, verb=Verb.CLAIM, effect=Effect.SAFE, reason="exists, belongs to nobody, and the manifest names it")
        whose = f"the project {seen.owner.project} ({seen.owner.domain}, {seen.owner.env})" if seen.owner else "nobody that Meshplane knows"
        return replace(base, verb=Verb.CONFLICT, effect=None, reason=f"exists already and belongs to {whose}")

    def undeclared(self, seen: Seen[Any]) -> Action | None:
        """The ladder for something ours that nobody declares any more. None: it stays as it is, at rest."""
        known = self.inventory.get(seen.id)
        base = Action(Verb.NONE, seen.id, rank=self.order.index(seen.id.kind), seen=seen, fingerprint=AT_REST, reason="no longer declared")
        if seen.busy:
            return replace(base, verb=Verb.WAIT, reason=seen.busy)
        if seen.resting or (seen.spec is None and known is not None and known.fingerprint == AT_REST):
            return replace(base, reason="at rest")
        kind = self.kinds[seen.id.kind]
        rest = kind.resting(seen)
        if rest is None:
            return replace(base, verb=Verb.DELETE, effect=Effect.SAFE)
        differences = kind.compare(rest, seen.spec) if seen.spec is not None else ()
        return replace(
            base, verb=Verb.REST, effect=Effect.SAFE, differences=differences, to=rest, reason="no longer declared; stays, at rest"
        )

    def permitted(self, action: Action) -> Action:
        """Set aside what `policy.manage` or `policy.drift` keeps from being done."""
        if action.verb not in WRITES:
            return action
        if action.drift and self.policy.drift == "report":
            return replace(action, withheld="policy.drift is report")
        need = {Verb.CREATE: "create", Verb.DELETE: "delete", Verb.REST: "delete"}.get(action.verb, "update")
        if need not in self.policy.manage:
            return replace(action, withheld=f"policy.manage has no {need}")
        return action


def _of_table(table: Id) -> str:
    return table.name.rpartition(".")[2]


def _moved(wanted: Id, holder: Id, owner: Owner) -> str:
    return (
        f"{holder.name} holds this table's data and belongs to the project {owner.project}; a table is not moved to {wanted.name}, nor is "
        "an empty one put in its place: declare the old one as it was and the new one under another name, copy by a job that reads the "
        "one and writes the other, then take the old one out"
    )


def _renamed(wanted: Id, former: str, owner: Owner) -> str:
    return (
        f"the project {former}, which was removed, holds a table of this name with its data; a project is not renamed, and an empty table "
        f"would look like lost data: put the manifest of {former} back with `readers: [{owner.project}]`, copy by a job of {owner.project} "
        f"that reads {former}.{wanted.label} and writes {wanted.label}, then delete it again"
    )


def removed_roots(actions: Collection[Action]) -> int:
    """How many removals there are, what lies beneath another one (a table's optimizers, a group's schedules) counted with it, and what
    only watches the rest not at all."""
    names = {action.id.name for action in actions}
    return sum(1 for action in actions if action.id.kind not in WATCHING and action.id.name.rpartition("/")[0] not in names)
