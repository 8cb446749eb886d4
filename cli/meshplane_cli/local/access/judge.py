"""Whether a request's caller may make it: the role's policies as they stand, its boundary, the policy of the bucket, queue or key.

Called by `front` for every request that is not signed by the developer's key, which is the person's own and may do everything.
IAM user guide, "Policy evaluation logic": an explicit denial anywhere wins; then a resource's policy or the identity's must allow; a
boundary must allow too. A key's policy must always allow ("Key policies in AWS KMS"); an alias, or all keys, have none.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from meshplane_cli.local import role_credentials
from meshplane_cli.local.access.operations import NEEDS, Call, Need
from meshplane_cli.local.access.parameters import parameters_of
from meshplane_cli.local.access.policy import Context, Policy, parsed
from meshplane_cli.local.access.world import Role, World
from meshplane_cli.local.wire import Asked

_KEPT = 500  # denials remembered for people and tests


@dataclass(frozen=True, slots=True)
class Denial:
    """A refused request: who, what, and AWS's own sentence."""

    role: str
    action: str
    resource: str
    text: str


class UnknownKey(Exception):  # noqa: N818  # what is wrong with the key, not with us
    """The request is signed with an access key that nobody has."""


class Judge:
    """Decides, and remembers which statements were used and what was refused. One that does not enforce only remembers."""

    def __init__(self, world: World, enforces: bool = True) -> None:
        self._world = world
        self.enforces = enforces
        self._lock = threading.Lock()
        self._used: Counter[tuple[str, str, str, str]] = Counter()
        self._denials: deque[Denial] = deque(maxlen=_KEPT)

    def judge(self, asked: Asked, environ: Mapping[str, Any], body_of: Callable[[], bytes]) -> Denial | None:
        """The first permission that the caller lacks; None where it may. Raises UnknownKey."""
        name = self._role_behind(asked.access_key)
        call = Call(asked.operation, parameters_of(asked, environ, body_of), self._world)
        needs = list(NEEDS[asked.service][asked.operation](call))
        role = self._world.role(name)
        for need in needs:
            denial = self._refused(name, role, need)
            if denial is not None:
                with self._lock:
                    self._denials.append(denial)
                return denial
        return None

    def report(self) -> dict[str, Any]:
        """`used`: role, statement, action and how often it allowed something; `denials`: what was refused."""
        with self._lock:
            used = [(*key, count) for key, count in sorted(self._used.items())]
            denials = [(one.role, one.action, one.resource, one.text) for one in self._denials]
        return {"used": used, "denials": denials}

    def _role_behind(self, access_key: str) -> str:
        role = role_credentials.role_of(access_key)
        name = role[1] if role else self._world.role_of_session(access_key)
        if not name:
            raise UnknownKey(access_key)
        return name

    def _refused(self, name: str, role: Role | None, need: Need) -> Denial | None:
        told = f"User: arn:aws:sts::{self._world.account}:assumed-role/{name}/local is not authorized to perform: {need.action} on"
        told += f" resource: {need.resource}"
        if role is None:
            return Denial(name, need.action, need.resource, f"{told} because the role does not exist")
        why = self._decide(role, need)
        if not why:
            return None
        return Denial(name, need.action, need.resource, f"{told} {why}")

    def _decide(self, role: Role, need: Need) -> str:
        """Why not, in AWS's words; the empty text where it may."""
        context = self._context(role, need)
        own = [(name, parsed(text).deciding(need.action, need.resource, context)) for name, text in role.documents.items()]
        theirs = [policy.deciding(need.action, need.resource, context) for policy in self._of_resource(role, need)]
        bound = parsed(role.boundary).deciding(need.action, need.resource, context) if role.boundary is not None else None
        for told, verdicts in (
            ("an identity-based policy", (verdict for _, verdict in own)),
            ("a resource-based policy", theirs),
            ("a permissions boundary", [bound] if bound else []),
        ):
            if any(denied for _, denied in verdicts):
                return f"with an explicit deny in {told}"
        by = next(((name, allowed) for name, (allowed, _) in own if allowed), None)
        granted, of_key = any(allowed for allowed, _ in theirs), need.action.startswith("kms:") and ":key/" in need.resource
        if of_key and not granted:
            return f"because no resource-based policy allows the {need.action} action"
        if by is None and (not granted or of_key):
            return f"because no identity-based policy allows the {need.action} action"
        if bound is not None and not bound[0]:
            return f"because no permissions boundary allows the {need.action} action"
        if by is not None:
            with self._lock:
                self._used[(role.arn, *by, need.action)] += 1
        return ""

    def _context(self, role: Role, need: Need) -> Context:
        """Keys of every request. Loopback stands for TLS."""
        return {
            "aws:principalarn": (role.arn,),
            "aws:principalaccount": (self._world.account,),
            "aws:requestedregion": (self._world.region,),
            "aws:securetransport": ("true",),
            "s3:tlsversion": ("1.3",),
            **need.context,
        }

    def _of_resource(self, role: Role, need: Need) -> Iterable[Policy]:
        service, world = need.resource.split(":")[2:3], self._world
        if service == ["s3"]:
            document = world.bucket_policy(need.resource.rpartition(":")[2].partition("/")[0])
        elif service == ["sqs"]:
            document = world.queue_policy(need.resource)
        elif service == ["kms"]:
            document = world.key_policy(need.resource)
        else:
            return ()
        root = f"arn:aws:iam::{world.account}:root"
        names = ("*", role.arn, *((root,) if service == ["kms"] else ()))  # a key's policy hands on to IAM by naming the account
        return (parsed(document).speaking_to(names),) if document else ()
