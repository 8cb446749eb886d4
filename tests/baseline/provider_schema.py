"""`python -m tests.baseline.provider_schema`: makes provider_schema.json anew, where the provider can be had.

Kept are the resources that the baseline uses, and of each argument whether it must or may be set.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[2]
COMMITTED = Path(__file__).with_suffix(".json")


def stripped(whole: Mapping[str, Any], used: set[str]) -> dict[str, Any]:
    """Resource → {arguments: name → required | optional | computed, blocks: name → the same}."""
    (provider,) = whole["provider_schemas"].values()
    return {name: _block(provider["resource_schemas"][name]["block"]) for name in sorted(used)}


def _block(block: Mapping[str, Any]) -> dict[str, Any]:
    def how(argument: Mapping[str, Any]) -> str:
        return "required" if argument.get("required") else "optional" if argument.get("optional") else "computed"

    found: dict[str, Any] = {"arguments": {name: how(argument) for name, argument in sorted(block.get("attributes", {}).items())}}
    nested = {name: _block(inner["block"]) for name, inner in sorted(block.get("block_types", {}).items())}
    return {**found, "blocks": nested} if nested else found


def text(schema: Mapping[str, Any]) -> str:
    """As it is committed: one line per resource."""
    rows = ",\n".join(f'"{name}":{json.dumps(body, separators=(",", ":"))}' for name, body in schema.items())
    return f"{{\n{rows}\n}}\n"


def whole(run: Callable[..., str], folder: Path) -> Any:
    """What the provider says of itself; `run` runs Terraform in `folder`, which gets the provider's requirement and no backend."""
    found = re.search(r"  required_providers \{.*?\n  \}\n", (ROOT / "baseline_tf/versions.tf").read_text(encoding="utf-8"), re.DOTALL)
    assert found, "versions.tf requires no provider"
    folder.mkdir(exist_ok=True)
    (folder / "main.tf").write_text(f"terraform {{\n{found[0]}}}\n", encoding="utf-8")
    run("init", "-input=false")
    return json.loads(run("providers", "schema", "-json"))


def main() -> None:
    from meshplane_cli.baseline import provider_mirror
    from tests.baseline.conftest import Work, mirror_config
    from tests.baseline.test_baseline_files import used

    with TemporaryDirectory() as name:
        folder = Path(name)
        work = Work(folder, mirror_config(folder, provider_mirror()))
        work.source.mkdir()
        schema = whole(lambda *words: work.done(*words, folder="provider"), work.source / "provider")
    COMMITTED.write_text(text(stripped(schema, used())), encoding="utf-8")


if __name__ == "__main__":
    main()
