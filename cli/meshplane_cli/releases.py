"""Building and uploading a release: called by `publish` and `plan`. DESIGN §2: files by content, then the index, then the manifest."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from meshplane.aws.faults import translated
from meshplane.errors import NotFound
from meshplane.flows.preparation import needed_files
from meshplane.model.bundle import bundle
from meshplane.model.naming import Naming
from meshplane.model.project import Project
from meshplane.model.release import Release, columns_file
from meshplane.model.resource import Provenance
from meshplane.plan.record import release_json
from meshplane_cli.output import CliError
from meshplane_cli.sql_lineage import columns_json
from meshplane_cli.surroundings import Target
from meshplane_cli.wheels import one_version_each, resolve

PARALLEL = 16
_FILES = ("files", "bundles", "wheels")  # of an index: what it is of, not who made it


@dataclass(frozen=True)
class Built:
    """A release with its contents, by content-addressed key."""

    project: str
    release: Release
    contents: Mapping[str, bytes]
    texts: Mapping[str, str]  # of the files that the plane reads itself, by path: a plan needs them before they are published

    @property
    def index(self) -> bytes:
        """The release index: stored under its digest."""
        return json.dumps(release_json(self.release), sort_keys=True, indent=1).encode()


def build(folder: Path, project: Project, naming: Naming, say: Callable[[str], None]) -> Built:
    """Read, zip and resolve everything that the manifest names. Raises CliError for a file that is not there."""
    files: dict[str, str] = {}
    bundles: dict[str, str] = {}
    contents: dict[str, bytes] = {}

    def keep(content: bytes, name: str) -> str:
        sha = hashlib.sha256(content).hexdigest()
        contents[naming.project_file(project.name, sha, name)] = content
        return sha

    for path in dict.fromkeys(needed_files(project)):
        if path.endswith("/"):
            bundles[path] = keep(_zipped(folder, path), path.rstrip("/").rpartition("/")[2] + ".zip")
        else:
            files[path] = keep(_content(folder, path), path.rpartition("/")[2])
    for job in project.jobs.values():
        if job.sql and (columns := columns_json(_content(folder, job.sql).decode("utf-8", "replace"), job, project)):
            path = columns_file(job.sql, job.name)
            files[path] = keep(columns, path.rpartition("/")[2])
    packages = sorted({package for job in project.jobs.values() for package in job.packages})
    wheels = {package: resolve(package, folder, say) for package in packages}
    for job in project.jobs.values():
        one_version_each(job.name, [wheel.name for package in job.packages for wheel in wheels[package]])
    for found in wheels.values():
        for wheel in found:
            files[f"wheels/{wheel.name}"] = keep(wheel.read_bytes(), wheel.name)
    named = {package: tuple(wheel.name for wheel in found) for package, found in wheels.items()}
    release = Release("", files, bundles, named, provenance(folder))
    digest = hashlib.sha256(json.dumps(release_json(release), sort_keys=True).encode()).hexdigest()
    machines = [pipeline.asl.file for pipeline in project.pipelines.values() if pipeline.asl]
    contracts = [table.contract_file for table in project.tables.values() if table.contract_file]
    texts = {path: _content(folder, path).decode() for path in (*machines, *contracts) if path in files}
    return Built(project.name, replace(release, digest=digest), contents, texts)


def upload(target: Target, built: Built, manifest: str) -> str:
    """Files that are missing, then the index, then the manifest. Returns the manifest's version id; its metadata names the release."""
    send_files(target, built)
    return put_manifest(target, built, manifest)


def send_files(target: Target, built: Built) -> None:
    """What is not there yet of a release: its files, then its index. Nobody uses them before a manifest names the release."""
    bucket = target.naming.bucket("artifacts")

    def send(item: tuple[str, bytes]) -> None:
        key, content = item
        if not _there(target, bucket, key):
            with translated("s3:PutObject", f"{bucket}/{key}"):
                target.clients("s3").put_object(Bucket=bucket, Key=key, Body=content)

    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(send, built.contents.items()))
    send((target.naming.of("release_key", project=built.project, digest=built.release.digest), built.index))


def put_manifest(target: Target, built: Built, manifest: str) -> str:
    """The manifest, which starts the reconcile; its version id."""
    bucket, key = target.naming.bucket("artifacts"), target.naming.manifest_key(built.project)
    tags = {
        "release": built.release.digest,
        **{name.replace("_", "-"): _header(text) for name, text in built.release.provenance.tags().items()},
    }
    with translated("s3:PutObject", f"{bucket}/{key}"):
        answer = target.clients("s3").put_object(
            Bucket=bucket, Key=key, Body=manifest.encode(), ContentType="application/yaml", Metadata=tags
        )
    return str(answer.get("VersionId", ""))


def published(target: Target, built: Built, manifest: str) -> str:
    """The version of the manifest in AWS when it is this very text with these very files; empty otherwise."""
    s3, bucket, key = target.clients("s3"), target.naming.bucket("artifacts"), target.naming.manifest_key(built.project)
    try:
        with translated("s3:GetObject", f"{bucket}/{key}"):
            found = s3.get_object(Bucket=bucket, Key=key)
        index = target.naming.of("release_key", project=built.project, digest=found["Metadata"].get("release", ""))
        with translated("s3:GetObject", f"{bucket}/{index}"):
            there = json.loads(s3.get_object(Bucket=bucket, Key=index)["Body"].read())
    except NotFound:
        return ""
    here = release_json(built.release)
    same = all(there.get(part) == json.loads(json.dumps(here[part])) for part in _FILES)
    return str(found.get("VersionId", "")) if same and found["Body"].read().decode() == manifest else ""


def provenance(folder: Path) -> Provenance:
    """Who publishes what: from CI's variables, else from git; `local` where neither says."""

    def git(*words: str) -> str:
        found = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=False)
        return found.stdout.strip() if found.returncode == 0 else ""

    values = os.environ
    sha = values.get("GITHUB_SHA") or git("rev-parse", "HEAD")
    actor = values.get("GITHUB_ACTOR") or git("config", "user.email")
    repository = values.get("GITHUB_REPOSITORY") or git("config", "remote.origin.url").removesuffix(".git").rpartition("@")[2]
    return Provenance(sha or "local", actor or "local", repository or "local")


def _zipped(folder: Path, path: str) -> bytes:
    base = folder / path
    found = sorted(file for file in base.rglob("*") if file.is_file() and not _ignored(file.relative_to(base)))
    if not found:
        raise CliError(f"{path} holds no file", found=str(base), mend="put the modules there, or leave the folder out of `modules`")
    return bundle({file.relative_to(folder).as_posix(): _inside(folder, file).read_bytes() for file in found})


def _ignored(path: Path) -> bool:
    return any(part == "__pycache__" or part.startswith(".") for part in path.parts) or path.suffix in {".pyc", ".pyo"}


def _inside(folder: Path, file: Path) -> Path:
    """The same file, refused when a link leads out of the project's folder: what is published is what was reviewed."""
    if not file.resolve().is_relative_to(folder.resolve()):
        raise CliError(
            f"{file.relative_to(folder).as_posix()} is a link that leads out of the project's folder",
            found=str(file.resolve()),
            mend="copy the file into the folder",
        )
    return file


def _content(folder: Path, path: str) -> bytes:
    _inside(folder, folder / path)
    try:
        return (folder / path).read_bytes()
    except FileNotFoundError as missing:
        raise CliError(
            f"the manifest names {path}, which is not there", found=str(folder / path), mend="add the file, or mend its name"
        ) from missing


def _there(target: Target, bucket: str, key: str) -> bool:
    try:
        with translated("s3:HeadObject", f"{bucket}/{key}"):
            target.clients("s3").head_object(Bucket=bucket, Key=key)
    except NotFound:
        return False
    return True


def _header(text: str) -> str:
    """S3 metadata travels as ASCII headers."""
    return text.encode("ascii", "replace").decode()[:256]
