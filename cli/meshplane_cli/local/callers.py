"""Who sends a request: every role signs with a key of its own (`role_credentials`), the developer at the keyboard with a fixed one.

Read at the server's door, where `access` judges what a role may, by the request log, and by GetCallerIdentity.
"""

from __future__ import annotations

from meshplane_cli.local import role_credentials

DEVELOPER = "developer"
DEVELOPER_KEY = "LOCALDEVELOPER000000"
DEVELOPER_SECRET = "not-a-secret-only-the-laptop-knows-the-developer"  # noqa: S105


def of_developer() -> dict[str, str]:
    """The variables that any AWS client reads."""
    return {"AWS_ACCESS_KEY_ID": DEVELOPER_KEY, "AWS_SECRET_ACCESS_KEY": DEVELOPER_SECRET}


def of_role(role_arn: str) -> dict[str, str]:
    """The same for a role."""
    key = role_credentials.of_role(role_arn)
    return {"AWS_ACCESS_KEY_ID": key.access_key, "AWS_SECRET_ACCESS_KEY": key.secret_key}


def caller_of(access_key: str, account: str) -> str:
    """The ARN behind an access key: a role's session, the developer, or the empty text for a key that nobody has."""
    if access_key == DEVELOPER_KEY:
        return f"arn:aws:iam::{account}:user/{DEVELOPER}"
    role = role_credentials.role_of(access_key)
    return f"arn:aws:sts::{role[0]}:assumed-role/{role[1]}/local" if role else ""
