"""Three toy kinds for tests of what knows no kind: a base (a role), a thing that rests (a table), a tool that goes (a job)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from meshplane.model.resource import Difference, Effect, Id, Owner, Seen, Want
from meshplane.plan.compile import Desired

US = Owner("retail", "dev", "sales")
THEM = Owner("retail", "dev", "finance")


@dataclass(frozen=True)
class Spec:
    """Fields by name; `resting` as a table's tombstone."""

    fields: Mapping[str, str] = field(default_factory=dict)
    resting: bool = False


@dataclass(frozen=True)
class Toy:
    """A kind whose differences are its fields'. `effects` names fields that are not harmless, `refuses` a value that cannot be."""

    name: str
    rests: bool = False
    effects: Mapping[str, Effect] = field(default_factory=dict)
    refuses: str = ""

    def desired(self, project: Any, context: Any) -> Iterable[Want[Spec]]:
        return [want for want in context if want.id.kind == self.name]

    def compare(self, want: Spec, seen: Spec) -> tuple[Difference, ...]:
        names = [*want.fields, *(name for name in seen.fields if name not in want.fields)]
        found = [
            Difference(
                name,
                seen.fields.get(name, ""),
                want.fields.get(name, ""),
                self.effects.get(name, Effect.SAFE),
                refused="cannot be; make a new one" if want.fields.get(name) == self.refuses != "" else "",
            )
            for name in names
            if want.fields.get(name) != seen.fields.get(name)
        ]
        if want.resting != seen.resting:
            found.append(Difference("rest", str(seen.resting), str(want.resting)))
        return tuple(found)

    def resting(self, seen: Seen[Spec]) -> Spec | None:
        return replace(seen.spec or Spec(), resting=True) if self.rests else None


BASE = Toy("base")
THING = Toy("thing", rests=True, effects={"type": Effect.BREAKING, "data": Effect.DESTRUCTIVE}, refuses="narrow")
TOOL = Toy("tool")
TRIGGER = Toy("trigger")
KINDS: tuple[Any, ...] = (BASE, THING, TOOL, TRIGGER)


def an_id(of: str) -> Id:
    """`thing:orders` → its id."""
    kind, _, name = of.partition(":")
    return Id(kind, name, name)


def want(of: str, needs: Iterable[str] = (), refused: str = "", waits: str = "", **fields: str) -> Want[Spec]:
    """A want by its short name."""
    return Want(an_id(of), Spec(fields), frozenset(map(an_id, needs)), refused, waits)


def seen(of: str, owner: Owner | None = US, mark: str = "m1", resting: bool = False, **more: Any) -> Seen[Spec]:
    """Something seen; `busy`, `extra` and `unread` go to Seen, everything else is a field."""
    known = {key: more.pop(key) for key in ("busy", "extra") if key in more}
    spec = None if more.pop("unread", False) else Spec(more, resting)
    return Seen(an_id(of), spec, mark, owner, resting=resting, **known)


def desired(*wants: Want[Any]) -> Desired:
    """Wants as compile would leave them."""
    return Desired("sales", wants)
