"""S3's EventBridge messages in AWS's shape (S3 user guide, "EventBridge event message structure").

moto sends one constant id, `eTag` for `etag`, two events per multipart upload, a tagging event with every put, and none at all for a
delete marker, which is how a project is removed. Reading the notification configuration back loses EventBridge.
"""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import moto.s3.notifications as notifications
from moto.core.responses import ActionResult
from moto.s3.models import S3Backend
from moto.s3.responses import S3Response

Publish = Callable[[str, str, Mapping[str, Any]], None]

_REASONS = {
    "s3:ObjectCreated:Put": "PutObject",
    "s3:ObjectCreated:Post": "POST Object",
    "s3:ObjectCreated:Copy": "CopyObject",
    "s3:ObjectCreated:CompleteMultipartUpload": "CompleteMultipartUpload",
    "s3:ObjectRemoved:Delete": "DeleteObject",
    "s3:ObjectRemoved:DeleteMarkerCreated": "DeleteObject",
}
_EMPTY_ETAG = "d41d8cd98f00b204e9800998ecf8427e"  # what AWS sends for a delete marker
_sequence = itertools.count(1)
_request = threading.local()  # held: events of moto's that the running operation keeps back (a multipart upload is a put inside moto)
_state: dict[str, Any] = {}


def event_of(bucket: Any, name: str, key: Any, account: str) -> dict[str, Any]:
    """The event for one change of one key; `name` is S3's own (`s3:ObjectCreated:Put`)."""
    removed = name.startswith("s3:ObjectRemoved")
    marker = name.endswith("DeleteMarkerCreated")
    item: dict[str, Any] = {"key": key.name}
    if not removed:
        item |= {"size": key.size, "etag": key.etag.replace('"', "")}
    elif marker:
        item["etag"] = _EMPTY_ETAG
    if bucket.is_versioned:
        item["version-id"] = key.version_id
    item["sequencer"] = f"{_state['epoch'] + next(_sequence):018X}"
    detail: dict[str, Any] = {"version": "0", "bucket": {"name": bucket.name}, "object": item}
    detail |= {
        "request-id": uuid.uuid4().hex[:16].upper(),
        "requester": account,
        "source-ip-address": "127.0.0.1",
        "reason": _REASONS[name],
    }
    if removed:
        detail["deletion-type"] = "Delete Marker Created" if marker else "Permanently Deleted"
    kind = "Object Deleted" if removed else "Object Created"
    return {"detail-type": kind, "source": "aws.s3", "resources": [bucket.arn], "detail": detail}


def _send(account_id: str, bucket: Any, event_name: Any, key: Any) -> None:
    name = str(getattr(event_name, "value", event_name))
    if name not in _REASONS or name in getattr(_request, "held", ()):
        return
    publish: Publish | None = _state["publish"]
    if publish is not None:
        publish(account_id, bucket.region_name, event_of(bucket, name, key, account_id))


def _mend_delete_marker() -> None:
    original = S3Backend._set_delete_marker

    def set_delete_marker(self: Any, bucket_name: str, key_name: str) -> Any:
        marker = original(self, bucket_name, key_name)
        bucket = self.get_bucket(bucket_name)
        configured = bucket.notification_configuration
        if configured and configured.event_bridge is not None:
            _send(self.account_id, bucket, "s3:ObjectRemoved:DeleteMarkerCreated", marker)
        return marker

    S3Backend._set_delete_marker = set_delete_marker


def _holding(original: Any, *events: str) -> Any:
    """`original`, with moto's own `events` kept back while it runs."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        _request.held = events
        try:
            return original(self, *args, **kwargs)
        finally:
            _request.held = ()

    return call


def _mend_delete() -> None:
    """moto names the newest version in the event, whichever was deleted, and says nothing while others remain."""
    original = _holding(S3Backend.delete_object, "s3:ObjectRemoved:Delete")

    def delete_object(self: Any, bucket_name: str, key_name: str, version_id: str | None = None, bypass: bool = False) -> Any:
        bucket = self.get_bucket(bucket_name)
        versions = bucket.keys.getlist(key_name) if key_name in bucket.keys else []
        gone = [key for key in versions if version_id is None or str(key.version_id) == str(version_id)]
        answer = original(self, bucket_name, key_name, version_id, bypass)
        configured = bucket.notification_configuration
        permanent = version_id is not None or not bucket.is_versioned
        if gone and permanent and configured and configured.event_bridge is not None:
            _send(self.account_id, bucket, "s3:ObjectRemoved:Delete", gone[-1])
        return answer

    S3Backend.delete_object = delete_object


def _get_bucket_notification(self: Any) -> Any:
    """What was put, EventBridge included; queues, topics and functions of S3's own notifications are not offered here."""
    found = self.backend.get_bucket_notification_configuration(self.bucket_name)
    self.data["Action"] = "GetBucketNotificationConfiguration"
    on = found is not None and found.event_bridge is not None
    return self.serialized(ActionResult({"EventBridgeConfiguration": {}} if on else {}))


def apply(publish: Publish | None = None) -> None:
    """Mend moto's S3 in this process; `publish` replaces the one of an earlier call."""
    first = not _state
    _state["publish"] = publish
    if first:
        from meshplane_cli.local.clock import CLOCK

        _state["epoch"] = int(CLOCK.millis()) << 16  # sequencers of a key grow across restarts too
        notifications._send_event_bridge_message = _send
        S3Response.get_bucket_notification = _get_bucket_notification
        _mend_delete_marker()
        _mend_delete()
        S3Backend.complete_multipart_upload = _holding(S3Backend.complete_multipart_upload, "s3:ObjectCreated:Put")
