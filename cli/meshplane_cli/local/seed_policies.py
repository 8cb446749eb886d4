"""The policy documents of `baseline_tf/policies/`, filled for the embedded AWS as Terraform fills them. Called by the seeding modules."""

from __future__ import annotations

from pathlib import Path
from string import Template

from meshplane.model.naming import PURPOSES, Naming

FOLDER = Path(__file__).parents[3] / "baseline_tf" / "policies"


def document(name: str, naming: Naming, **more: str) -> str:
    """`boundary` → the filled JSON of boundary.json.tftpl. Raises KeyError for a word that nobody gives: a fault of ours."""
    words = {
        "abbr": naming.abbr,
        "account_id": naming.account_id,
        "country_code": naming.country_code,
        "env": naming.env,
        "region": naming.region,
        "key_users": "",
        "kms_alias": naming.of("kms_alias"),
        "boundary": naming.of("boundary"),
        "state_bucket": naming.of("terraform_state_bucket"),
        "state_key": naming.of("terraform_state_key"),
        "stack": naming.of("stack"),
        "role_path": naming.of("role_path"),
        **{f"{purpose}_bucket": naming.bucket(purpose) for purpose in PURPOSES},
    }
    return Template((FOLDER / f"{name}.json.tftpl").read_text(encoding="utf-8")).substitute(words | more)
