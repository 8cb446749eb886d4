"""What Terraform publishes and the functions read: SSM parameters `/{abbr}/{env}/baseline/*`, one typed contract.

The embedded AWS seeds the same parameters. All of them, with the platform's own release, come in one GetParameters call
(at most ten names), once per process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from meshplane.errors import NotReady
from meshplane.model.naming import Naming

REQUIRED = ("kms_key_arn", "connections", "subnet_arns", "security_group_arns")
OPTIONAL = ("boundary_arn", "alert_topic_arn")


@dataclass(frozen=True, slots=True)
class Baseline:
    """The secure baseline of one environment. ARNs throughout; `connections` are names of Glue network connections, one per subnet."""

    kms_key_arn: str
    connections: tuple[str, ...]
    subnet_arns: tuple[str, ...]
    security_group_arns: tuple[str, ...]
    boundary_arn: str = ""

    @staticmethod
    def parameters(naming: Naming) -> Mapping[str, str]:
        """Field name → the parameter that holds it. Lists are comma-separated (SSM StringList)."""
        return {name: naming.of("baseline_parameter", name=name) for name in (*REQUIRED, "boundary_arn")}

    @staticmethod
    def read(values: Mapping[str, str]) -> Baseline:
        """From field name → text. Raises NotReady naming every required parameter that is missing."""
        missing = [name for name in REQUIRED if not values.get(name)]
        if missing:
            raise NotReady(f"the baseline does not publish {', '.join(missing)} yet: apply baseline_tf first")

        def split(name: str) -> tuple[str, ...]:
            return tuple(part for part in values[name].split(",") if part)

        return Baseline(
            values["kms_key_arn"], split("connections"), split("subnet_arns"), split("security_group_arns"), values.get("boundary_arn", "")
        )
