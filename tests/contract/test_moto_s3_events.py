"""The repairs of S3's events and of EventBridge beside moto's own behaviour."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.probes import Answers, answered


@pytest.fixture(scope="module")
def both() -> tuple[Answers, Answers]:
    return answered("s3_events_probe.py", "vanilla"), answered("s3_events_probe.py", "repaired")


SHAPED = {"said": 'a "word"', "raw": 'a "word"', "type": "t"}


@pytest.mark.parametrize(
    ("question", "vanilla", "repaired"),
    [
        ("configuration_read_back", False, True),
        ("put", [4, False], [2, True]),
        (
            "put_detail",
            [["eTag", "key", "sequencer", "size", "version-id"], "ObjectCreated"],
            [["etag", "key", "sequencer", "size", "version-id"], "PutObject"],
        ),
        ("sequencer_grows", False, True),
        ("delete_marker", [], ["Delete Marker Created"]),
        ("one_version", [], [["Permanently Deleted", True]]),
        ("copy", ["ObjectCreated"], ["CopyObject"]),
        ("queue_off", None, []),
        ("queue_timed", None, []),
        ("queue_fixed", None, [{"fixed": True}]),
        ("queue_path", None, [{"text": 'a "word"'}]),
        ("queue_shaped", None, [SHAPED]),
        ("fifo_group", None, ['a "word"']),
        ("to_nowhere", None, ["two"]),
        ("to_topic", None, 1),
        ("pattern_tested", None, [True, False]),
        ("operator_unknown", "taken", {"error": "InvalidEventPatternException"}),
        ("six_targets", "taken", {"error": "LimitExceededException"}),
    ],
)
def test_event_repair(both: tuple[Answers, Answers], question: str, vanilla: Any, repaired: Any) -> None:
    assert both[1][question] == repaired
    if vanilla is None:
        assert both[0].get(question) != repaired, "moto has changed: see whether the repair can go"
    else:
        assert both[0][question] == vanilla, "moto has changed: see whether the repair can go"


def test_a_multipart_upload_is_one_event(both: tuple[Answers, Answers]) -> None:
    assert [reason for reason, _ in both[0]["multipart"]].count("ObjectCreated") == 2, "moto has changed: see whether the repair can go"
    assert both[1]["multipart"] == [["CompleteMultipartUpload", False]]
