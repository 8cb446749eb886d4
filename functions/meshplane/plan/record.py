"""What a project's state remembers between two reconciles. Pure values; `aws.state_store` stores them, and losing them costs one look.

lease, fence, due time …   attributes of their own, since conditions and the index read them
Record                     everything else, one JSON document
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from meshplane.model.project import Policy
from meshplane.model.release import Release
from meshplane.model.resource import Id, Provenance
from meshplane.plan.planner import Known
from meshplane.plan.retry import Failure

Phase = Literal["active", "draining", "removed"]


@dataclass(frozen=True, slots=True)
class Record:
    """One project as the last reconcile left it. Versions are S3 version ids, times ISO texts in UTC; empty means never."""

    project: str
    phase: Phase = "active"
    observed: str = ""  # the manifest version last looked at
    applied: str = ""  # the one last applied in full
    last_attempted: str = ""
    last_applied: str = ""
    last_verified: str = ""
    release: Release = field(default_factory=Release)  # the last one used: what a manifest put by hand falls back on
    loose: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # files beside the manifest: path → (ETag, sha256)
    beside: str = ""  # digest of the listing beside a manifest put by hand: the sweep sees a changed file by it
    inventory: Mapping[Id, Known] = field(default_factory=dict)
    failures: Mapping[str, Failure] = field(default_factory=dict)
    settling: Mapping[str, str] = field(default_factory=dict)  # `kind:name` of roles just written → when they may be relied upon
    refers: tuple[str, ...] = ()  # projects whose tables or pipelines this one names
    approved: tuple[str, ...] = ()  # keys of risky actions that were approved and may still have to be done
    manage: tuple[str, ...] = Policy().manage  # of the last valid manifest: they hold for the removal too
    while_running: str = "finish"
    published: str = ""  # digest of the status last written beside the manifests
    awaits_runs: bool = False  # a change waits for open runs to end: record_run asks for a look then
    files_due: str = ""  # when a removed project's files leave the artifacts bucket
    shares: Mapping[str, Any] = field(default_factory=dict)  # what neighbours may know, as `plan.shares` writes it
    pipelines: Mapping[str, Any] = field(default_factory=dict)  # PipelinePolicy by name, as JSON: what start_run reads
    gates: Mapping[str, Any] = field(default_factory=dict)  # GatedTable by table, as JSON: what publish_tables checks against
    unjudged: Mapping[str, str] = field(default_factory=dict)  # gated table (physical) → why its `main` is at no published snapshot
    watched: Mapping[str, Any] = field(default_factory=dict)  # model.watching.Watch by gated table, as JSON: the watchdog's, only read here
    status: Mapping[str, Any] = field(default_factory=dict)  # the status document
    due_at: str = ""

    @property
    def stalled(self) -> bool:
        """Is any action given up on until something changes?"""
        return any(failure.stalled for failure in self.failures.values())

    @property
    def past_the_gate(self) -> str:
        """Why the triggers of those who read this project rest, in one short text; empty when they do not."""
        more = f", and {len(self.unjudged) - 1} more" if len(self.unjudged) > 1 else ""
        return next((f"{name}: {self.unjudged[name]}{more}" for name in sorted(self.unjudged)), "")

    def memory(self) -> dict[str, Any]:
        """The part that only the next reconcile reads, as JSON data."""
        inventory: dict[str, dict[str, list[str]]] = {}
        for key in sorted(self.inventory):
            known = self.inventory[key]
            inventory.setdefault(key.kind, {})[key.name] = [known.fingerprint, known.mark, key.label]
        return {
            "last_attempted": self.last_attempted,
            "last_applied": self.last_applied,
            "release": release_json(self.release),
            "loose": {path: list(pair) for path, pair in self.loose.items()},
            "inventory": inventory,
            "failures": {key: [f.reason, f.count, f.retryable, f.message, f.at] for key, f in self.failures.items()},
            "settling": dict(self.settling),
            "approved": list(self.approved),
            "manage": list(self.manage),
            "while_running": self.while_running,
            "files_due": self.files_due,
            "published": self.published,
            "unjudged": dict(self.unjudged),
        }

    @staticmethod
    def of(project: str, memory: Mapping[str, Any], **attributes: Any) -> Record:
        """The inverse of `memory`; `attributes` are the fields that are stored on their own."""
        inventory = {
            Id(kind, name, label): Known(fingerprint, mark)
            for kind, names in memory.get("inventory", {}).items()
            for name, (fingerprint, mark, label) in names.items()
        }
        return Record(
            project,
            last_attempted=memory.get("last_attempted", ""),
            last_applied=memory.get("last_applied", ""),
            release=release_of(memory.get("release", {})),
            loose={path: (pair[0], pair[1]) for path, pair in memory.get("loose", {}).items()},
            inventory=inventory,
            failures={key: Failure(*row) for key, row in memory.get("failures", {}).items()},
            settling=memory.get("settling", {}),
            approved=tuple(memory.get("approved", ())),
            manage=tuple(memory.get("manage", Policy().manage)),
            while_running=memory.get("while_running", "finish"),
            files_due=memory.get("files_due", ""),
            published=memory.get("published", ""),
            unjudged=memory.get("unjudged", {}),
            **attributes,
        )


def release_json(release: Release) -> dict[str, Any]:
    """A release as JSON data."""
    return {
        "digest": release.digest,
        "files": dict(release.files),
        "bundles": dict(release.bundles),
        "wheels": {requirement: list(names) for requirement, names in release.wheels.items()},
        "provenance": dict(release.provenance.tags()),
    }


def release_of(data: Mapping[str, Any]) -> Release:
    """The inverse of `release_json`; what is absent is empty."""
    return Release(
        data.get("digest", ""),
        dict(data.get("files", {})),
        dict(data.get("bundles", {})),
        {requirement: tuple(names) for requirement, names in data.get("wheels", {}).items()},
        Provenance(**{key: str(value) for key, value in data.get("provenance", {}).items() if key in Provenance.__slots__}),
    )
