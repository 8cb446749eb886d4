"""A release: every file of a project by content, immutable. `publish` uploads the files, then this index, then the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from meshplane.model.resource import Provenance


@dataclass(frozen=True, slots=True)
class Release:
    """`files`: path relative to the project's folder (`jobs/daily_revenue.py`) → sha256 (hex).

    A directory of modules (`lib/`) and each resolved wheel appear as the files they are; `bundles` maps what a job's `modules:`
    names (`lib/`) to the sha256 of the zip that publish made of it, `wheels` maps a requirement (`phonenumbers==9.0.1`) to the
    file names of its resolved wheels, which are in `files` under `wheels/`.
    """

    digest: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    bundles: Mapping[str, str] = field(default_factory=dict)
    wheels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    provenance: Provenance = Provenance()


@dataclass(frozen=True, slots=True)
class PlatformRelease:
    """The platform's own files in the artifacts bucket, by content: the job library and the built-in jobs' entry scripts.

    `library`: key of the dp_foundation zip. `jobs`: built-in name (`merge`, `sql`, `files`) → key of its script.
    Published as JSON in the SSM parameter `/{abbr}/{env}/platform/release`.
    """

    library: str
    jobs: Mapping[str, str] = field(default_factory=dict)
