"""The platform's own state machines, `statemachines/*.asl.json`, put into the template that names them (`DefinitionUri`), as `sam package`
would: whoever is given the template then needs no file beside it. Called by `delivery.package` and by the embedded AWS's deployment."""

from __future__ import annotations

import json
import re
from pathlib import Path

_URI = re.compile(r"^(?P<indent> +)DefinitionUri: (?P<path>statemachines/[a-z_]+\.asl\.json)$", re.MULTILINE)


def with_machines(template: str, root: Path) -> str:
    """The template's text with each definition of `root` in its place. JSON is YAML, so one line holds it. Raises FileNotFoundError."""

    def definition(found: re.Match[str]) -> str:
        states = json.loads((root / found["path"]).read_text(encoding="utf-8"))
        return f"{found['indent']}Definition: {json.dumps(states, separators=(', ', ': '))}"

    return _URI.sub(definition, template)
