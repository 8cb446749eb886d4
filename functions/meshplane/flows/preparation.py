"""What compile may know beside the manifest: release, neighbours, baseline. Called by the flows that reconcile and plan.

A manifest that `publish` put names its release. One put by hand has none: its files are taken from beside it, else from the project's
last release. What lies beside is hashed here, and copied to its content-addressed key by the action whose definition names it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from meshplane.errors import NotFound, NotReady
from meshplane.model.bundle import bundle
from meshplane.model.context import Context, PlaneNames
from meshplane.model.domain import Domain
from meshplane.model.manifest import needed_files, packages
from meshplane.model.naming import Naming
from meshplane.model.project import Project
from meshplane.model.release import Release
from meshplane.plan.digest import digest
from meshplane.plan.record import Record, release_of
from meshplane.plan.shares import consulted
from meshplane.ports import Manifest, Manifests, Releases, States

__all__ = ["Copies", "Here", "Prepared", "Surroundings", "needed_files"]  # publish takes the same files

Copies = Mapping[str, Callable[[], bytes]]


@dataclass(frozen=True, slots=True)
class Here:
    """This control plane: its domain, names and own parts. The same for every project."""

    domain: Domain
    naming: Naming
    plane: PlaneNames


@dataclass(frozen=True, slots=True)
class Prepared:
    """A project's surroundings. `copies`: what may not lie under its content-addressed key yet, and how to read it. `loose`: what lies
    beside the manifest and was used, path → (ETag, sha256). `missing`: files that are nowhere."""

    context: Context
    copies: Copies = field(default_factory=dict)
    loose: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    beside: str = ""  # digest of the whole listing beside the manifest; empty for a published release


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Reads them, through three ports."""

    here: Here
    manifests: Manifests
    releases: Releases
    states: States

    def prepare(self, project: Project, manifest: Manifest, record: Record) -> Prepared:
        """Raises NotReady when the baseline or the manifest's release is not published yet."""
        if manifest.release:
            return self._prepared(project, self._published(project.name, manifest.release, record), record)
        found = _Loose(project, record, self.here.naming, self.manifests)
        prepared = self._prepared(project, found.release(), record, found.copies)
        return replace(prepared, copies=found.copies, loose=found.loose, missing=tuple(found.missing), beside=found.beside)

    def with_release(self, project: Project, release: Release, record: Record, texts: Mapping[str, str] | None = None) -> Prepared:
        """For a release that the caller brought along. `texts`: files of it, by path, that may not be in the bucket yet."""
        found = _Loose(project, record, self.here.naming, self.manifests)
        brought = {release.file_key(self.here.naming, project.name, path): text for path, text in (texts or {}).items()}
        copies = {key: text.encode for key, text in brought.items()}
        return self._prepared(project, release, record, {**({} if release.digest else found.beside_of(release)), **copies})

    def _published(self, project: str, digest: str, record: Record) -> Release:
        if record.release.digest == digest:
            return record.release
        try:
            return replace(release_of(json.loads(self.manifests.release_index(project, digest))), digest=digest)
        except NotFound as gone:
            raise NotReady(f"the release {digest[:12]} that the manifest names has no index: run `meshplane publish {project}`") from gone

    def _prepared(self, project: Project, release: Release, record: Record, copies: Copies | None = None) -> Prepared:
        """`copies`: what is read from elsewhere than its content-addressed key."""
        baseline, platform = self.releases.read()
        asked = consulted(project, record.shares)
        context = Context(
            self.here.domain,
            self.here.naming,
            baseline,
            platform,
            self.here.plane,
            release,
            self.states.neighbours(asked) if asked else {},
        )
        machines = self._texts(project, release, (pipeline.asl.file for pipeline in project.pipelines.values() if pipeline.asl), copies)
        contracts = self._texts(project, release, (table.contract_file for table in project.tables.values() if table.contract_file), copies)
        return Prepared(replace(context, asl_files=machines, contract_files=contracts))

    def _texts(self, project: Project, release: Release, paths: Iterable[str], copies: Copies | None = None) -> Mapping[str, str]:
        keys = {path: release.file_key(self.here.naming, project.name, path) for path in paths}
        return {path: copies[key]().decode() if copies and key in copies else self._text(key) for path, key in keys.items() if key}

    def _text(self, key: str) -> str:
        try:
            return self.manifests.read(key).decode()
        except NotFound as gone:
            raise NotReady(f"{key} is not in the artifacts bucket: run `meshplane publish`") from gone


class _Loose:
    """Files of a manifest that was put by hand."""

    def __init__(self, project: Project, record: Record, naming: Naming, manifests: Manifests) -> None:
        self.project, self.record, self.naming, self.manifests = project, record, naming, manifests
        self.copies: dict[str, Callable[[], bytes]] = {}
        self.loose: dict[str, tuple[str, str]] = {}
        self.missing: list[str] = []
        self.beside = ""

    def release(self) -> Release:
        """The release that these files make, the last one's where a file does not lie beside the manifest."""
        needed = needed_files(self.project)
        beside = self.manifests.beside(self.project.name) if needed else {}
        self.beside = digest(beside, 16) if needed else ""
        last = self._last([path for path in needed if not any(name.startswith(path) for name in beside)])
        files, bundles = {}, {}
        for path in needed:
            inside = sorted(name for name in beside if name.startswith(path)) if path.endswith("/") else []
            if inside:
                tags = "\n".join(f"{name} {beside[name]}" for name in inside)
                bundles[path] = self._take(path, tags, self._zip(inside), path.rstrip("/").rpartition("/")[2] + ".zip")
            elif path in beside:
                files[path] = self._take(path, beside[path], self._content(path), path.rpartition("/")[2])
            elif path in last.files:
                files[path] = last.files[path]
            elif path in last.bundles:
                bundles[path] = last.bundles[path]
            else:
                self.missing.append(path)
        asked = packages(self.project)
        wheels = {package: last.wheels[package] for package in asked if package in last.wheels}
        files |= {f"wheels/{name}": last.files[f"wheels/{name}"] for names in wheels.values() for name in names}
        self.missing += [package for package in asked if package not in wheels]
        return Release("", files, bundles, wheels)

    def _last(self, absent: list[str]) -> Release:
        """The last release: as remembered, or after the state was wiped the newest that was ever published."""
        if self.record.release != Release() or not (absent or packages(self.project)):
            return self.record.release
        index = self.manifests.last_release(self.project.name)
        return replace(release_of(json.loads(index)), digest="") if index else self.record.release

    def _take(self, path: str, tag: str, read: Callable[[], bytes], name: str) -> str:
        """The sha256 of one file, by its ETag from memory where it did not change."""
        known = self.record.loose.get(path)
        if known and known[0] == tag:
            sha = known[1]
            again = _unchanged(path, sha, read)
        else:
            content = read()
            sha = hashlib.sha256(content).hexdigest()
            again = partial(bytes, content)
        self.loose[path] = (tag, sha)
        self.copies[self.naming.project_file(self.project.name, sha, name)] = again
        return sha

    def beside_of(self, release: Release) -> Copies:
        """The files of a release that was found beside the manifest, read from there."""
        keys = {path: release.file_key(self.naming, self.project.name, path) for path in release.files}
        return {keys[path]: _unchanged(path, sha, self._content(path)) for path, sha in release.files.items()}

    def _content(self, path: str) -> Callable[[], bytes]:
        return lambda: self.manifests.read_beside(self.project.name, path)

    def _zip(self, inside: list[str]) -> Callable[[], bytes]:
        # as publish does it: `lib/parse.py` stands in `lib.zip` under that very path, so that `import lib.parse` finds it
        return lambda: bundle({name: self.manifests.read_beside(self.project.name, name) for name in inside})


def _unchanged(path: str, sha: str, read: Callable[[], bytes]) -> Callable[[], bytes]:
    """Reads a file that was hashed before. Raises NotReady when it is another one by now: the next look takes that."""

    def again() -> bytes:
        content = read()
        if hashlib.sha256(content).hexdigest() != sha:
            raise NotReady(f"{path} changed while it was looked at")
        return content

    return again
