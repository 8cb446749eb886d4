"""moto asks botocore for a service's Regions through a new session each time; the embedded AWS answers from one (`local.sessions`)."""

import boto3
import botocore.loaders
import botocore.session
import pytest

from meshplane_cli.local import sessions

PAIRS = [(service, partition) for service in ("s3", "ec2", "glue", "lambda") for partition in ("aws", "aws-cn")]


def asked(service: str, partition: str) -> list[str]:
    return list(boto3.session.Session().get_available_regions(service, partition_name=partition))


def test_answers_are_botocores_own_and_read_no_file_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    load = botocore.loaders.JSONFileLoader.load_file

    def noting(self: botocore.loaders.JSONFileLoader, path: str) -> object:
        read.append(path)
        return load(self, path)

    monkeypatch.setattr(botocore.loaders.JSONFileLoader, "load_file", noting)
    monkeypatch.setattr(botocore.session.Session, "get_available_regions", botocore.session.Session.get_available_regions)  # put back
    own = [asked(*pair) for pair in PAIRS]
    assert sum("/ec2/" in path for path in read) > 1, "botocore keeps what its sessions read: share_regions can go"
    sessions.share_regions()
    assert [asked(*pair) for pair in PAIRS] == own
    assert all(own[::2]), own
    read.clear()
    assert [asked(*pair) for pair in PAIRS] == own
    assert read == []
