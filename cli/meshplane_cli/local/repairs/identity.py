"""STS and IAM: GetCallerIdentity names the caller of a role's own key; policies without `Version` are accepted, as IAM accepts them."""

from __future__ import annotations

import json
from typing import Any

from moto.iam.policy_validation import BaseIAMPolicyValidator
from moto.sts.models import STSBackend

from meshplane_cli.local.callers import caller_of

_state: dict[str, Any] = {}


def _get_caller_identity(self: Any, access_key_id: str, region: str) -> tuple[str, str, str]:
    arn = caller_of(access_key_id, self.account_id)
    if arn:
        return access_key_id, arn, self.account_id
    answer: tuple[str, str, str] = _state["identity"](self, access_key_id, region)
    return answer


def _with_version(original: Any) -> Any:
    """SAM emits policies without `Version`; IAM takes them as 2008-10-17, moto refuses them (local-aws §8)."""

    def initialise(self: Any, policy_document: str) -> None:
        try:
            body = json.loads(policy_document)
        except ValueError:
            body = None
        if isinstance(body, dict) and "Version" not in body:
            policy_document = json.dumps({"Version": "2008-10-17", **body})
        original(self, policy_document)

    return initialise


def apply() -> None:
    """Mend moto in this process; a second call changes nothing."""
    if not _state:
        _state["identity"] = STSBackend.get_caller_identity
        STSBackend.get_caller_identity = _get_caller_identity
        BaseIAMPolicyValidator.__init__ = _with_version(BaseIAMPolicyValidator.__init__)
