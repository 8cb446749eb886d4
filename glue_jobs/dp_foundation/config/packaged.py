"""`domain.json` and `naming.json` as the library carries them; read by settings and names.

In an artifact the build has put both beside this package's modules (`dp_foundation/domain.json`). In the checkout they are where they are
edited: `domain.json` at the root, `naming.json` in `functions/meshplane/`.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from dp_foundation.errors import ConfigError

_IN_CHECKOUT = {"domain.json": "domain.json", "naming.json": "functions/meshplane/naming.json"}


@cache
def packaged(name: str) -> dict[str, Any]:
    """The parsed file. Raises ConfigError when it is neither in the artifact nor in a checkout."""
    root = files("dp_foundation")
    beside = root.joinpath(name)
    if beside.is_file():
        return dict(json.loads(beside.read_text(encoding="utf-8")))
    checkout = Path(str(root)).parents[1] / _IN_CHECKOUT[name]
    if checkout.is_file():
        return dict(json.loads(checkout.read_text(encoding="utf-8")))
    raise ConfigError(f"{name} is not packaged with dp_foundation; mend: build the library with `./dev`, which copies it in")
