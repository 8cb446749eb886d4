"""What stands in the embedded AWS, as far as a decision asks for it: roles with their policies, keys, buckets, secrets. Called by
`judge` and `operations`.

Read straight from moto's backends of this process: no request of its own, and never behind what the last request left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Role:
    """`documents`: policy's name → its text, inline and attached ones; `boundary` is the boundary's text, or None where there is none."""

    arn: str
    documents: dict[str, str]
    boundary: str | None


@dataclass(frozen=True, slots=True)
class World:
    """One account in one Region."""

    account: str
    region: str

    def arn(self, service: str, resource: str) -> str:
        """An ARN here."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def role(self, name: str) -> Role | None:
        """A role by name. A boundary that is not there allows nothing, as in AWS."""
        found = self._role(name)
        if found is None:
            return None
        attached = {arn: _document(policy) for arn, policy in found.managed_policies.items()}
        boundary = None
        if found.permissions_boundary_arn:
            policy = self._iam().managed_policies.get(found.permissions_boundary_arn)
            boundary = _document(policy) if policy is not None else '{"Statement": []}'
        return Role(found.arn, {**found.policies, **attached}, boundary)

    def role_arn(self, name: str) -> str:
        """A role's ARN by name or ARN; without its path where no such role stands, since nobody knows it then."""
        found = self._role(name.rpartition("/")[2])
        return str(found.arn) if found is not None else name if name.startswith("arn:") else f"arn:aws:iam::{self.account}:role/{name}"

    def role_boundary(self, name: str) -> str:
        """The boundary's ARN of a role that stands; empty without one."""
        found = self._role(name)
        return str(found.permissions_boundary_arn or "") if found is not None else ""

    def role_of_session(self, access_key: str) -> str:
        """The role's name behind a key that AssumeRole gave out; empty for any other key."""
        from moto.sts.models import sts_backends

        session = sts_backends[self.account]["aws"].get_assumed_role_from_access_key(access_key)
        return str(session.role_arn).rpartition("/")[2] if session is not None else ""

    def bucket_policy(self, bucket: str) -> str:
        """The bucket's policy; empty without one."""
        found = self._buckets().get(bucket)
        return found.policy.decode() if found is not None and found.policy else ""

    def bucket_key(self, bucket: str) -> str:
        """The ARN of the key that encrypts a bucket's objects by default; empty where S3's own does."""
        found = self._buckets().get(bucket)
        rule = ((found.encryption or {}) if found is not None else {}).get("Rule", {})
        default = (rule[0] if isinstance(rule, list) else rule).get("ApplyServerSideEncryptionByDefault", {})
        return str(default.get("KMSMasterKeyID") or "")

    def object_is_there(self, bucket: str, key: str) -> bool:
        """Whether the bucket has an object of that key, a delete marker being none."""
        found = self._buckets().get(bucket)
        present = found.keys.get(key) if found is not None else None
        return present is not None and type(present).__name__ != "FakeDeleteMarker"

    def key_arn(self, key: str) -> str:
        """A key's ARN from id, ARN or alias."""
        from moto.kms.models import kms_backends

        if key.startswith("arn:") and ":key/" in key:
            return key
        alias = "alias/" + key.partition("alias/")[2] if "alias/" in key else ""
        found = kms_backends[self.account][self.region].get_key_id_from_alias(alias) if alias else key
        return self.arn("kms", f"key/{found}" if found else alias)

    def key_policy(self, arn: str) -> str:
        """The key's policy; empty for a key that is not there."""
        from moto.kms.models import kms_backends

        found = kms_backends[self.account][self.region].keys.get(arn.rpartition("/")[2])
        return str(found.policy) if found is not None else ""

    def queue_policy(self, arn: str) -> str:
        """The queue's policy; empty without one."""
        from moto.sqs.models import sqs_backends

        found = sqs_backends[self.account][self.region].queues.get(arn.rpartition(":")[2])
        return str(found.policy or "") if found is not None else ""

    def topic_key(self, arn: str) -> str:
        """The ARN of the key that encrypts a topic's messages; empty without one."""
        from moto.sns.models import sns_backends

        found = sns_backends[self.account][self.region].topics.get(arn)
        return self.key_arn(found.kms_master_key_id) if found is not None and found.kms_master_key_id else ""

    def secret_arn(self, name: str) -> str:
        """A secret's ARN with its six letters; without them where no such secret stands."""
        from moto.secretsmanager.models import secretsmanager_backends

        found = secretsmanager_backends[self.account][self.region].secrets.get(name)
        return str(found.arn) if found is not None else name if name.startswith("arn:") else self.arn("secretsmanager", f"secret:{name}")

    def _iam(self) -> Any:
        from moto.iam.models import iam_backends

        return iam_backends[self.account]["aws"]

    def _role(self, name: str) -> Any:
        return next((role for role in list(self._iam().roles.values()) if role.name == name), None)

    def _buckets(self) -> Any:
        from moto.s3.models import s3_backends

        return s3_backends[self.account]["aws"].buckets


def _document(policy: Any) -> str:
    """A managed policy's version in force."""
    return next(str(version.document) for version in policy.versions if version.version_id == policy.default_version_id)
