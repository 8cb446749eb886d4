"""How Glue reads a run's merged arguments: which it keeps for itself, and what of them the script sees."""

from __future__ import annotations

import re
from collections.abc import Mapping

_CUSTOMER = re.compile(r'(CUSTOMER_\w+)=("[^"]*"|[^,]*)(?:,|$)')


def spark_conf(value: str) -> dict[str, str]:
    """The pairs of the one `--conf` argument: the first stands bare, each later one behind its own `--conf`."""
    pairs = (part.strip().partition("=") for part in re.split(r"(?:^|\s)--conf\s+", value) if part.strip())
    return {key.strip(): text.strip() for key, _, text in pairs}


def listed(value: str) -> tuple[str, ...]:
    """A comma-separated argument, such as `--extra-py-files`."""
    return tuple(part.strip() for part in value.split(",") if part.strip())


def script_arguments(arguments: Mapping[str, str], job: str, run_id: str) -> list[str]:
    """`sys.argv` after the script's own path: every argument as key and value, then the run's identity."""
    shown = {**arguments, "--JOB_NAME": job, "--JOB_RUN_ID": run_id}
    return [word for pair in shown.items() for word in pair]


def customer_environment(value: str) -> dict[str, str]:
    """`--customer-driver-env-vars`: Glue sets only variables whose names begin with CUSTOMER_ (Glue guide, job parameters)."""
    return {name: text.strip('"') for name, text in _CUSTOMER.findall(value)}
