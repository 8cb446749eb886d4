"""The fake credentials of a role: an access key that names account and role, so that every request says who sent it.

Used by the workers that act for a role (job runs, optimizers, state machines, functions); read back at the server's door.
"""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

PREFIX = "LOCALROLE"  # not AKIA or ASIA: nobody takes it for a key of a real account
SECRET = "not-a-secret-only-the-laptop-knows-this-role"  # noqa: S105


class RoleKey(NamedTuple):
    """What boto3, Spark and Iceberg sign with."""

    access_key: str
    secret_key: str


def of_role(role: str, account: str = "") -> RoleKey:
    """The key of a role, given as ARN or as bare name with its `account`. The same role always has the same key."""
    if role.startswith("arn:"):
        account = role.split(":")[4]
    named = f"{account}:{role.rpartition('/')[2]}"
    return RoleKey(PREFIX + base64.b32encode(named.encode()).decode().replace("=", "0"), SECRET)


def role_of(access_key: str) -> tuple[str, str] | None:
    """(account, role name) of a key that `of_role` made; None for any other."""
    if not access_key.startswith(PREFIX):
        return None
    try:
        named = base64.b32decode(access_key.removeprefix(PREFIX).replace("0", "=")).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    account, _, role = named.partition(":")
    return account, role
