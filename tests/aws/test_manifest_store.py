"""The artifacts bucket: what counts as deleted, what lies beside, what goes and what stays. Against moto's S3."""

from __future__ import annotations

import time

import pytest

from meshplane.aws.clients import Clients
from meshplane.errors import NotFound
from meshplane.ports import DeletedManifest, Manifest
from tests.aws.plane_world import World


@pytest.fixture
def world(clients: Clients) -> World:
    return World(clients)


def test_the_newest_version_with_its_release(world: World) -> None:
    world.put("sales", "one")
    version = world.put("sales", "two", release="d1")
    world.calls.clear()
    assert world.manifests.newest("sales") == Manifest("two", version, "d1")
    assert world.calls == ["s3:GetObject"]
    assert world.manifests.version("sales") == version


def test_a_delete_marker_is_proof(world: World) -> None:
    world.put("sales", "one")
    world.drop("sales")
    found = world.manifests.newest("sales")
    assert isinstance(found, DeletedManifest)
    assert world.manifests.version("sales") == found.version
    back = world.put("sales", "two")
    assert world.manifests.newest("sales") == Manifest("two", back)


def test_a_marker_of_a_key_that_begins_alike_is_none(world: World) -> None:
    world.put_file("sales", "project.yaml.bak", b"x")
    world.clients("s3").delete_object(Bucket=world.naming.bucket("artifacts"), Key="manifests/sales/project.yaml.bak")
    assert world.manifests.newest("sales") is None
    assert world.manifests.version("sales") == ""


def test_absence_without_a_marker_is_none(world: World) -> None:
    assert world.manifests.newest("sales") is None


def test_a_missing_bucket_is_an_error_not_an_absence(world: World) -> None:
    s3, bucket = world.clients("s3"), world.naming.bucket("artifacts")
    s3.delete_bucket(Bucket=bucket)
    with pytest.raises(NotFound):
        world.manifests.newest("sales")
    with pytest.raises(NotFound):
        world.manifests.looks()


def test_one_listing_tells_of_all(world: World) -> None:
    version = world.put("sales", "one")
    world.put("gone", "one")
    world.drop("gone")
    world.put_file("sales", "jobs/a.py", b"1")
    world.put_file("sales", "jobs/b.py", b"1")
    world.clients("s3").delete_object(Bucket=world.naming.bucket("artifacts"), Key="manifests/sales/jobs/b.py")
    world.put_file("orphan", "jobs/a.py", b"1")
    looks = {look.project: look for look in world.manifests.looks()}
    assert set(looks) == {"sales", "gone"}
    assert (looks["sales"].version, looks["sales"].deleted, looks["gone"].deleted) == (version, False, True)
    before = looks["sales"].loose
    world.put_file("sales", "jobs/a.py", b"2")
    assert {look.project: look for look in world.manifests.looks()}["sales"].loose != before


def test_what_lies_beside(world: World) -> None:
    world.put("sales", "one")
    world.put_file("sales", "lib/", b"")
    world.put_file("sales", "lib/a.py", b"1")
    world.put_file("sales", "lib/project.yaml", b"2")
    world.put_file("sales", "other_project.yaml", b"3")
    assert list(world.manifests.beside("sales")) == ["lib/a.py", "lib/project.yaml", "other_project.yaml"], "only the manifest is left out"
    assert world.manifests.read_beside("sales", "lib/a.py") == b"1"
    with pytest.raises(NotFound):
        world.manifests.read_beside("sales", "lib/b.py")


def test_the_last_release_is_the_index_put_last(world: World) -> None:
    assert world.manifests.last_release("sales") == ""
    for digest in ("ffff", "0000"):
        world.clients("s3").put_object(Bucket=world.naming.bucket("artifacts"), Key=f"releases/sales/{digest}.json", Body=digest.encode())
        time.sleep(1.1)  # S3 tells seconds
    world.clients("s3").put_object(Bucket=world.naming.bucket("artifacts"), Key="releases/sales2/aaaa.json", Body=b"another project's")
    assert world.manifests.last_release("sales") == "0000"


def test_content_is_kept_once(world: World) -> None:
    key = world.naming.project_file("sales", "a" * 64, "a.py")
    for _ in range(2):
        world.manifests.keep(key, b"1")
    versions = world.clients("s3").list_object_versions(Bucket=world.naming.bucket("artifacts"), Prefix=key)["Versions"]
    assert len(versions) == 1


def test_a_removed_projects_files_go_and_nobody_elses(world: World) -> None:
    ours = [world.naming.project_file("sales", "a" * 64, "a.py"), "releases/sales/d1.json", "glue-temp/sales/x", "glue-temp/sales/y"]
    others = [world.naming.project_file("sales2", "a" * 64, "a.py"), "releases/sales2/d1.json", "glue-temp/sales2/x", "status/sales.json"]
    for key in (*ours, *others):
        world.clients("s3").put_object(Bucket=world.naming.bucket("artifacts"), Key=key, Body=b"1")
    world.put("sales", "one")
    world.put_file("sales", "jobs/a.py", b"1")
    assert world.manifests.forget_files("sales") == len(ours)
    left = {item["Key"] for item in world.clients("s3").list_objects_v2(Bucket=world.naming.bucket("artifacts"))["Contents"]}
    assert left == {*others, "manifests/sales/project.yaml", "manifests/sales/jobs/a.py"}


def test_status_is_written_in_two_forms(world: World) -> None:
    world.manifests.publish_status("sales", '{"a": 1}', "text\n")
    assert world.status("sales") == {"a": 1}
    assert world.status_text("sales") == "text\n"


def test_messages_are_in_the_rules_group_and_never_swallowed(world: World) -> None:
    for _ in range(3):
        world.queue.send(["sales", "customers"])
    assert world.queued() == ["customers"] * 3 + ["sales"] * 3


def test_more_than_ten_messages(world: World) -> None:
    world.queue.send([f"p{n:02}" for n in range(23)])
    assert len(world.queued()) == 23


def test_every_text_that_a_manifest_ever_had_newest_first(world: World) -> None:
    world.put("sales", "one")
    world.put("sales", "two")
    world.put_file("sales", "project.yaml.bak", b"x")
    world.drop("sales")
    world.calls.clear()
    texts = world.manifests.texts("sales")
    assert next(texts) == "two"
    assert world.calls == ["s3:ListObjectVersions", "s3:GetObject"], "an older one is read only when it is asked for"
    assert list(texts) == ["one"]
    assert list(world.manifests.texts("customers")) == []
