"""Conditions of bucket policies: moto does not read them, so that the TLS-only denial of the baseline would close every bucket.

Called by `repairs.apply`. Here a statement with a condition says nothing: loopback stands for TLS, and conditions on services and
accounts are about callers that a laptop has not. Statements without a condition keep deciding as moto decides.
"""

from __future__ import annotations

import json
from typing import Any

from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3.models import FakeBucket


def _permission(self: Any, action: str, resource: str) -> Any:
    if self.policy is None:
        return PermissionResult.NEUTRAL
    document = json.loads(self.policy.decode())
    statements = document["Statement"] if isinstance(document["Statement"], list) else [document["Statement"]]
    plain = [statement for statement in statements if not statement.get("Condition")]
    return IAMPolicy(json.dumps({**document, "Statement": plain})).is_action_permitted(action, resource)


def apply() -> None:
    """Mend moto's S3 in this process; calling again changes nothing."""
    FakeBucket.get_permission = _permission
