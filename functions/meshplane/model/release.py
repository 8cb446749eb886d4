"""A release: every file of a project by content, immutable. `publish` uploads the files, then this index, then the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from meshplane.model.naming import Naming
from meshplane.model.resource import Provenance


def columns_file(sql: str, job: str) -> str:
    """Where a release holds which columns a job's SQL file makes of which: `publish` puts it there, no manifest names it."""
    return f"{sql}.{job}.columns.json"


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
    provenance: Provenance = field(default_factory=Provenance)

    def file_key(self, naming: Naming, project: str, path: str) -> str:
        """The content-addressed key of a file in the artifacts bucket, named after its last part; empty when the release lacks it."""
        sha = self.files.get(path, "")
        return naming.project_file(project, sha, path.rpartition("/")[2]) if sha else ""

    def module_key(self, naming: Naming, project: str, module: str) -> str:
        """The key of one entry of `modules:`: a folder's zip (`lib/` → `lib.zip`), or a single .py, .zip or .whl as it is; else empty."""
        sha = self.bundles.get(module, "")
        if not sha:
            return self.file_key(naming, project, module)
        return naming.project_file(project, sha, module.rstrip("/").rpartition("/")[2] + ".zip")

    def wheel_keys(self, naming: Naming, project: str, requirement: str) -> tuple[str, ...]:
        """The keys of a requirement's resolved wheels; empty when no release resolved it, or one of its files is missing."""
        keys = tuple(self.file_key(naming, project, f"wheels/{name}") for name in self.wheels.get(requirement, ()))
        return keys if all(keys) else ()


@dataclass(frozen=True, slots=True)
class PlatformRelease:
    """The platform's own files in the artifacts bucket, by content: the job library and the built-in jobs' entry scripts.

    `library`: key of the dp_foundation zip. `jobs`: built-in name (`merge`, `sql`, `files`) → key of its script.
    Published as JSON in the SSM parameter `/{abbr}/{env}/platform/release`.
    """

    library: str
    jobs: Mapping[str, str] = field(default_factory=dict)
