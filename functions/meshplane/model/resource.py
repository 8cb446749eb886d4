"""What the planner knows of anything in AWS: who it is, whose it is, what it should be, what it is, how the two differ.

Plain frozen values; no kind of resource is known here. A kind (`kinds/x.py`) fills `Want.spec`, its adapter (`aws/kinds/x.py`)
fills `Seen.spec`, both with the same frozen dataclass and with the server's own defaults filled in, so that compare is equality.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Generic, TypeVar

S = TypeVar("S")


@dataclass(frozen=True, slots=True, order=True)
class Id:
    """`kind` is a Kind's name (`glue_job`); `name` is the physical name, unique within the kind in one account and region.

    Tables are `database.table`, optimizers `database.table/compaction`, schedules `group/name`; `label` is what the author calls it.
    """

    kind: str
    name: str
    label: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.kind} {self.label or self.name}"


@dataclass(frozen=True, slots=True)
class Owner:
    """Who may write to a resource: the triple that tags and table properties carry."""

    domain: str
    env: str
    project: str


class Effect(IntEnum):
    """How much a difference asks for, in rising order. The guard looks at nothing else."""

    ADDITIVE = 1
    SAFE = 2
    BREAKING = 3
    DESTRUCTIVE = 4


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that is not as wanted. `was` and `wanted` are short texts for people; `detail` is for the adapter's update.

    `refused` says why it cannot be done to what stands there, and the way out (narrowing a column's type): the plan is blocked.
    """

    field: str
    was: str
    wanted: str
    effect: Effect = Effect.SAFE
    note: str = ""
    detail: object = None
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Want(Generic[S]):
    """A resource as the manifest asks for it. `needs`: ids that must stand before it (and leave after it)."""

    id: Id
    spec: S
    needs: frozenset[Id] = frozenset()
    refused: str = ""  # why it cannot be as declared, known without looking at AWS; the plan shows it as blocked
    waits: str = ""  # a stated wait known at compile time (another project's table, a missing file)
    files: frozenset[str] = frozenset()  # content-addressed keys in the artifacts bucket that the spec names


@dataclass(frozen=True, slots=True)
class Seen(Generic[S]):
    """A resource as it is in AWS.

    `spec` is None when `mark` equals the mark known from the last look (the body was not read: unchanged). `owner` is None when
    nobody of ours claimed it. `busy` says why it can be neither written nor compared just now (`DELETING`). `extra` names what
    somebody else added and what is therefore reported, never removed. `tags` are the provenance tags as found.
    """

    id: Id
    spec: S | None
    mark: str = ""
    owner: Owner | None = None
    busy: str = ""
    extra: tuple[str, ...] = ()
    resting: bool = False  # already in the state in which an undeclared one stays (tombstoned table, disabled optimizer)
    detail: object = None  # what the adapter needs again for its update (version id, lock token); never compared or stored


@dataclass(frozen=True, slots=True)
class Done:
    """A write that took effect. `mark` is the resource's new mark; `settle`: how long until it may be relied upon (IAM)."""

    mark: str = ""
    settle: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Wait:
    """A write that cannot be done yet, and is no error: look again at `until`."""

    until: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who changed what last (D4). Set with a change, never compared."""

    git_sha: str = "local"
    deployed_by: str = "local"
    repository: str = "local"

    def tags(self) -> Mapping[str, str]:
        """The three tags of D4."""
        return {"git_sha": self.git_sha, "deployed_by": self.deployed_by, "repository": self.repository}


def ownership_tags(owner: Owner) -> Mapping[str, str]:
    """The tags that prove ownership, in the spelling of every kind."""
    return {"meshplane:domain": owner.domain, "meshplane:env": owner.env, "meshplane:project": owner.project}
