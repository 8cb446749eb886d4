"""The status document: what the author of a manifest reads. Pure values and their two renderings; `plan.conditions` fills them.

Three axes stay apart: Synced (is AWS as the manifest says), Healthy (does what is declared stand), Drifted (did the world change by
itself). A message holds no time and no counter, so that it changes only when something did; times stand beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from meshplane.errors import Problem

Axis = Literal["Synced", "Healthy", "Drifted"]
Truth = Literal["True", "False", "Unknown"]
Reason = Literal[
    # Synced
    "Applied",
    "InProgress",
    "Waiting",
    "FileMissing",
    "ManifestInvalid",
    "Held",
    "Blocked",
    "Paused",
    "Draining",
    "Removed",
    "NoManifest",
    "Stalled",
    # the words of errors: Synced and what could not be looked at
    "Conflict",
    "Denied",
    "NotReady",
    "NotFound",
    "AlreadyExists",
    "Throttled",
    "Rejected",
    "ServiceFault",
    "Stale",
    "PlaneError",
    # Healthy
    "AllStand",
    "Missing",
    "UnjudgedCommit",
    "RulesBroken",
    "NotJudged",
    "NotFresh",
    # Drifted
    "NoDrift",
    "Drift",
    "NotLooked",
]
REASONS: frozenset[str] = frozenset(get_args(Reason))


@dataclass(frozen=True, slots=True)
class Condition:
    """One axis. `message` is one stable sentence; `object` names the resource it is about, where it is about one."""

    axis: Axis
    status: Truth
    reason: str
    message: str
    object: str = ""

    def __post_init__(self) -> None:
        """A reason outside the closed list is a fault of the code."""
        if self.reason not in REASONS:
            raise ValueError(f"{self.reason} is no reason that status knows")


@dataclass(frozen=True, slots=True)
class Drift:
    """One field that the world changed: what it was as applied, what it is now. `healed` False: only reported, by policy."""

    object: str
    field: str
    was: str
    is_: str
    healed: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain data; `is` is a word of Python, so the attribute is called `is_`."""
        return {"object": self.object, "field": self.field, "was": self.was, "is": self.is_, "healed": self.healed}


@dataclass(frozen=True, slots=True)
class Status:
    """Where a project stands. Versions are S3 version ids; times are ISO texts in UTC, empty for never."""

    project: str
    env: str
    conditions: tuple[Condition, ...]
    observed_version: str = ""
    release: str = ""
    phase: str = "active"
    last_attempted: str = ""
    last_applied: str = ""
    last_verified: str = ""
    next_retry: str = ""
    blocking: str = ""  # the object in the way, as a plan names it
    to_do: str = ""  # what to do, for whom it is to be done
    problems: tuple[Problem, ...] = ()
    drift: tuple[Drift, ...] = ()
    added: tuple[str, ...] = ()  # what somebody else added, and is left alone
    brought: tuple[str, ...] = ()  # what the data added, as a contract lets it: columns that nobody declared yet
    waiting: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    plan: str = ""  # the digest of a held plan
    counts: Mapping[str, int] = field(default_factory=dict)  # resources by verb in the last plan

    def of(self, axis: Axis) -> Condition:
        """The condition of one axis."""
        return next(condition for condition in self.conditions if condition.axis == axis)

    def to_json(self) -> dict[str, Any]:
        """The document: camelCase keys."""
        data = {_camel(key): value for key, value in asdict(self).items() if key not in ("drift", "conditions", "to_do")}
        return {
            "apiVersion": "meshplane/v1",
            "kind": "Status",
            **data,
            "conditions": [
                {"type": c.axis, **{k: getattr(c, k) for k in ("status", "reason", "message", "object")}} for c in self.conditions
            ],
            "drift": [item.to_json() for item in self.drift],
            "whatToDo": self.to_do,
        }

    def text(self) -> str:
        """What stands in `status/<project>.txt`: the faults first, each with file, line and column."""
        head = [f"{self.project} in {self.env}: " + ", ".join(f"{c.axis} {c.status} ({c.reason})" for c in self.conditions)]
        lines = list(map(str, self.problems))
        if self.problems:
            lines.append(f"{len(self.problems)} problem{'s' if len(self.problems) > 1 else ''}. Nothing was changed.")
        lines += [c.message for c in self.conditions if c.message and not (self.problems and c.axis == "Synced")]
        lines += [f"held: {text}" for text in self.held]
        lines += [f"failing: {text}" for text in self.failing]
        lines += [f"waits: {text}" for text in self.waiting]
        lines += [f"drift: {d.object} {d.field}: was {d.was}, is {d.is_}{' (healed)' if d.healed else ''}" for d in self.drift]
        lines += [f"added by somebody else: {text}" for text in self.added]
        lines += [f"brought by the data: {text}" for text in self.brought]
        lines += [f"what to do: {self.to_do}"] if self.to_do else []
        tail = f"manifest {self.observed_version or '-'}, release {self.release[:12] or '-'}, last applied {self.last_applied or 'never'}"
        return "\n".join([*head, *lines, tail]) + "\n"


_TIMES = ("lastAttempted", "lastApplied", "lastVerified", "nextRetry", "counts")


def timeless(document: Mapping[str, Any]) -> dict[str, Any]:
    """A status document without its times: while this stays equal, nothing changed that an author would want to read."""
    return {key: value for key, value in document.items() if key not in _TIMES}


def conditions_of(document: Mapping[str, Any]) -> dict[str, Condition]:
    """The conditions of a stored document, by axis."""
    rows = document.get("conditions", ())
    return {row["type"]: Condition(row["type"], row["status"], row["reason"], row["message"], row.get("object", "")) for row in rows}


def _camel(key: str) -> str:
    first, *rest = key.split("_")
    return first + "".join(word.title() for word in rest)
