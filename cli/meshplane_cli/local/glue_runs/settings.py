"""What the workers know of the embedded AWS they serve."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """`endpoint` is the server's URL on loopback, `state` the folder for files of its own (`.meshplane`), `jars` what `jars.resolve` gave.

    `slots` are job runs at once. `warm`: JVMs to ready in the background at the start; `optimizers`: run table optimizers when due.
    """

    endpoint: str
    region: str
    state: Path
    jars: Path
    slots: int = 2
    warm: int = 1
    optimizers: bool = True

    @property
    def scratch(self) -> Path:
        """Temporary files of runs and JVMs."""
        return self.state / "glue"
