"""Descriptions of security-group rules: moto forgets that of a rule which names a group or a prefix list, so Terraform would mend it at
every apply. Called by `repairs.apply`.
"""

from __future__ import annotations

from typing import Any

import moto.ec2.models.security_groups as groups

_original = groups.SecurityGroupRule.__init__


def _keep(self: Any, *args: Any, **named: Any) -> None:
    _original(self, *args, **named)
    # The parts of a rule in moto's order: ec2_backend, ip_protocol, group_id, from_port, to_port, ip_range, source_group, prefix_list_id.
    parts = [part for part in (*args[5:8], *named.values()) if isinstance(part, dict)]
    self.said = next((part["Description"] for part in parts if part.get("Description")), None)


def _description(self: Any) -> str | None:
    return self.ip_range.get("Description") or getattr(self, "said", None)


def apply() -> None:
    """Mend moto's EC2 in this process; calling again changes nothing."""
    groups.SecurityGroupRule.__init__ = _keep
    groups.SecurityGroupRule.description = property(_description)
