"""boto3 clients of the workers, each as the role it acts for, against the embedded AWS."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from botocore.config import Config

from meshplane_cli.local import sessions
from meshplane_cli.local.role_credentials import RoleKey


@lru_cache(maxsize=128)
def client(service: str, endpoint: str, region: str, key: RoleKey) -> Any:
    """One per role and service: making one costs more than a call."""
    return sessions.client(
        service,
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id=key.access_key,
        aws_secret_access_key=key.secret_key,
        config=Config(retries={"total_max_attempts": 2}, connect_timeout=5, read_timeout=60, s3={"addressing_style": "path"}),
    )
