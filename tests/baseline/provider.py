"""What the tests do where Terraform or its provider cannot be had: on a laptop they say so and go on, on GitHub they fail.

Used by tests/baseline and tests/delivery.
"""

from __future__ import annotations

import os
import shutil

import pytest

from meshplane_cli.baseline import provider_mirror

VARIABLE = "MESHPLANE_TERRAFORM"  # `required`: whoever set it has fetched the provider (.github/workflows/pr.yml)


def lacking() -> str:
    """What of Terraform is not on this machine; empty where nothing is. The registry is not asked."""
    if shutil.which("terraform") is None:
        return "no terraform on the PATH"
    return "" if provider_mirror() is not None else "no mirror of hashicorp/aws on this machine"


def may_be_lacking(why: str) -> None:
    """Fails the test where it must not."""
    if os.environ.get(VARIABLE) == "required":
        pytest.fail(f"{VARIABLE}=required, but {why}", pytrace=False)
