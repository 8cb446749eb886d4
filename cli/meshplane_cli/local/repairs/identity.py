"""STS and IAM: GetCallerIdentity names the caller of a role's own key; policies without `Version` are accepted, as IAM accepts them."""

from __future__ import annotations

import json
import re
from typing import Any

from moto.core.responses import BaseResponse
from moto.iam.policy_validation import BaseIAMPolicyValidator
from moto.sts.models import STSBackend

from meshplane_cli.local.callers import caller_of

_ACCESS_KEY = re.compile(r"AWS.*(?<![A-Z0-9])([A-Z0-9]{20,200})(?![A-Z0-9])[:/]")  # moto knows keys of exactly 20 characters only
_state: dict[str, Any] = {}


def _get_caller_identity(self: Any, access_key_id: str, region: str) -> tuple[str, str, str]:
    arn = caller_of(access_key_id, self.account_id)
    if arn:
        return access_key_id, arn, self.account_id
    answer: tuple[str, str, str] = _state["identity"](self, access_key_id, region)
    return answer


def _with_version(original: Any) -> Any:
    """SAM emits policies without `Version`; IAM takes them as 2008-10-17, moto refuses anything but 2012-10-17
    (local-aws §8). Only what is validated is changed; what is stored stays as it was sent."""

    def initialise(self: Any, policy_document: str) -> None:
        try:
            body = json.loads(policy_document)
        except ValueError:
            body = None
        if isinstance(body, dict) and "Version" not in body:
            policy_document = json.dumps({"Version": "2012-10-17", **body})
        original(self, policy_document)

    return initialise


def apply() -> None:
    """Mend moto in this process; a second call changes nothing."""
    if not _state:
        _state["identity"] = STSBackend.get_caller_identity
        BaseResponse.access_key_regex = _ACCESS_KEY
        STSBackend.get_caller_identity = _get_caller_identity
        BaseIAMPolicyValidator.__init__ = _with_version(BaseIAMPolicyValidator.__init__)
