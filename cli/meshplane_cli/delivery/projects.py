"""Projects on their way to an environment: files, the manifests that changed, then the removed ones. Called by `commands.deploy`.

Whether a project changed is read from the environment itself, not from commits: so a deploy that stopped half-way goes on, and one
that has nothing to do writes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from meshplane.aws.faults import translated
from meshplane.errors import ManifestInvalid, Problem
from meshplane_cli.manifests import problems, project_of, text_of
from meshplane_cli.output import USAGE, CliError
from meshplane_cli.releases import Built, build, provenance, published, put_manifest, send_files
from meshplane_cli.surroundings import Target

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of each project. `versions`: the manifest that is now current, of every project that is declared here."""

    versions: Mapping[str, str]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    foreign: tuple[str, ...]


def built(target: Target, say: Say) -> Mapping[str, Built]:
    """Every project of the checkout, built. Raises ManifestInvalid with the faults of all of them."""
    checkout = target.checkout
    faults: list[Problem] = [fault for name in checkout.projects for fault in problems(checkout, name)]
    if faults:
        raise ManifestInvalid(faults)
    return {name: build(checkout.folder(name), project_of(checkout, name, target.env), target.naming, say) for name in checkout.projects}


def deliver_files(target: Target, releases: Iterable[Built]) -> None:
    """All releases' files: nobody uses them before a manifest names them."""
    for release in releases:
        send_files(target, release)


def deliver_manifests(target: Target, releases: Mapping[str, Built], say: Say) -> Delivered:
    """Put the manifests that changed and delete those whose folder has left this repository."""
    if not releases:
        raise CliError(
            "this checkout holds no project", mend="deploying it would remove every project: delete manifests by hand", code=USAGE
        )
    versions: dict[str, str] = {}
    changed: list[str] = []
    for name, release in releases.items():
        manifest = text_of(target.checkout, name)
        versions[name] = published(target, release, manifest)
        if not versions[name]:
            versions[name] = put_manifest(target, release, manifest)
            changed.append(name)
            say(f"{name}: manifest version {versions[name] or '-'}, release {release.release.digest[:12]}")
    removed, foreign = _remove(target, [name for name in _present(target) if name not in releases], say)
    return Delivered(versions, tuple(changed), removed, foreign)


def digests(target: Target, releases: Mapping[str, Built]) -> Mapping[str, Mapping[str, str]]:
    """Project → path → sha256, of everything that is delivered of it."""
    return {
        name: {
            "project.yaml": hashlib.sha256(text_of(target.checkout, name).encode()).hexdigest(),
            **dict(release.release.files),
            **dict(release.release.bundles),
        }
        for name, release in releases.items()
    }


def _present(target: Target) -> Sequence[str]:
    """The projects whose manifests lie in the environment."""
    bucket, names = target.naming.bucket("artifacts"), list[str]()
    prefix, _, rest = target.naming.manifest_key("{}").partition("{}")
    with translated("s3:ListBucket", f"{bucket}/{prefix}"):
        for page in target.clients("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            keys = (row["Key"].removeprefix(prefix) for row in page.get("Contents", ()))
            names += [key.removesuffix(rest) for key in keys if key.endswith(rest) and "/" not in key.removesuffix(rest)]
    return names


def _remove(target: Target, names: Sequence[str], say: Say) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Delete the manifests that this repository published; another's, and those put by hand, are told and left."""
    s3, bucket = target.clients("s3"), target.naming.bucket("artifacts")
    own = provenance(target.checkout.root).repository
    removed: list[str] = []
    foreign: list[str] = []
    for name in names:
        key = target.naming.manifest_key(name)
        with translated("s3:HeadObject", f"{bucket}/{key}"):
            by = s3.head_object(Bucket=bucket, Key=key)["Metadata"].get("repository", "")
        if by != own:
            say(f"{name}: not in this checkout, and published by {by or 'somebody with a plain client'}: left alone")
            foreign.append(name)
            continue
        with translated("s3:DeleteObject", f"{bucket}/{key}"):
            s3.delete_object(Bucket=bucket, Key=key)
        say(f"{name}: manifest deleted, the plane takes the project down; its data stays")
        removed.append(name)
    return tuple(removed), tuple(foreign)
