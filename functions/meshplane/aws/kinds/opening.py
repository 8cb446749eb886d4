"""What every adapter is opened with, and the two rules they share: whose a resource is, and that what is not ours is not touched.

Each module of this package has `adapter(opening)`, called once per reconcile by `adapters`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from meshplane.aws.clients import Clients
from meshplane.aws.listings import Listings
from meshplane.errors import Conflict
from meshplane.model.naming import Naming
from meshplane.model.resource import Id, Owner, Provenance, ownership_tags
from meshplane.ports import Clock

Pairs = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Opening:
    """One reconcile's view of AWS: `listings` live as long as it does. `provenance` is what its writes set as tags."""

    clients: Clients
    listings: Listings
    naming: Naming
    provenance: Provenance
    clock: Clock

    def tags(self, owner: Owner) -> Mapping[str, str]:
        """Ownership and provenance, for a resource's first write (D4)."""
        return {**ownership_tags(owner), **self.provenance.tags()}


def owner_in(tags: Mapping[str, str]) -> Owner | None:
    """The owner that a resource's tags name; None unless all three are there."""
    names = tuple(tags.get(key, "") for key in ownership_tags(Owner("", "", "")))
    return Owner(*names) if all(names) else None


def prove(found: Owner | None, owner: Owner, what: Id) -> None:
    """Before a write to what exists: it is the owner's, or Conflict with the holder named."""
    if found == owner:
        return
    holder = (
        f"project '{found.project}' of {found.domain} {found.env}" if found else "somebody outside Meshplane (it carries no ownership tags)"
    )
    raise Conflict(
        f"{what.name} ({what.kind}) exists and belongs to {holder}; it is never touched. Have its holder remove it, or rename ours",
        owner=found.project if found else "",
    )


def pairs(tags: Mapping[str, str], key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """Tags as the list that most services take."""
    return [{key: name, value: text} for name, text in tags.items()]


def mapping(found: Pairs, key: str = "Key", value: str = "Value") -> Mapping[str, str]:
    """The list that services give, as a mapping."""
    return {pair[key]: pair[value] for pair in found}
