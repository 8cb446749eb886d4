"""What flows need of the world, as protocols over plain values: no boto3 or pyiceberg type crosses here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from meshplane.model.resource import Difference, Done, Id, Owner, Provenance, Seen, Wait, Want

S = TypeVar("S")
R = TypeVar("R")


class Adapter(Protocol[S]):
    """The five verbs of one kind, opened per reconcile over shared listings.

    Errors are `meshplane.errors`, translated in `aws.faults`. A write proves ownership first, by a direct read where the
    listing was an index only, and raises Conflict when the resource is not the owner's.
    """

    def observe(self, ids: Collection[Id], owner: Owner, known: Mapping[Id, str]) -> Sequence[Seen[S]]:
        """All of `ids` that exist, and everything else of this kind that `owner` owns. Complete, or it raises: unknown is never
        empty. `known` holds marks of the last look: a body whose mark is unchanged need not be read (spec None)."""
        ...

    def create(self, want: Want[S], owner: Owner) -> Done | Wait:
        """The first write carries owner (and boundary); every prefix of its writes is a legal `seen`. AlreadyExists is raised, not hidden."""
        ...

    def update(self, seen: Seen[S], to: S, diff: tuple[Difference, ...], owner: Owner) -> Done | Wait:
        """Make it `to`, by only the APIs that the differences need; conditional where the API can be."""
        ...

    def claim(self, seen: Seen[S], owner: Owner) -> Done | Wait:
        """Put our ownership on it (adoption), changing nothing else."""
        ...

    def delete(self, seen: Seen[S], owner: Owner) -> Done | Wait:
        """Remove it. Absent already is Done."""
        ...


class AdapterFactory(Protocol):
    """Opens all adapters for one reconcile: they share listings and the provenance that their writes set as tags."""

    def __call__(self, provenance: Provenance) -> Mapping[str, Adapter[object]]:
        """Kind name → adapter."""
        ...


class Clock(Protocol):
    """Time, so that tests can own it."""

    def now(self) -> datetime:
        """The present moment, aware, UTC."""
        ...


class Workers(Protocol):
    """Runs independent calls; in production on threads, in crash tests one after the other."""

    def each(self, call: Callable[[R], S], over: Sequence[R]) -> list[S]:
        """Results in the order of `over`. The first exception is raised after all have ended."""
        ...
