"""`get_secret`: the secrets that the manifest names for this job (`jobs.<job>.secrets`)."""

from __future__ import annotations

from functools import cache

from dp_foundation.config.arguments import invocation
from dp_foundation.errors import ConfigError
from dp_foundation.storage import client


@cache
def get_secret(name: str) -> str:
    """The text of the secret that the manifest calls `name`, read once per process.

    Raises ConfigError when the manifest does not name it; what Secrets Manager answers (denied, not found) passes through.
    """
    job = invocation().job
    declared = job.secrets if job else {}
    if name not in declared:
        where = f"jobs.{job.name}.secrets" if job else "the job arguments (--meshplane-job), which this process does not have"
        raise ConfigError(f"no secret {name!r} in {where}; declared: {', '.join(sorted(declared)) or 'none'}")
    return str(client("secretsmanager").get_secret_value(SecretId=declared[name])["SecretString"])
