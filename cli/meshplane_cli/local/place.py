"""Where the embedded AWS keeps its things: `.meshplane/` of the checkout (docs/contracts.md §7). Used by server and client alike."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from meshplane.model.domain import Domain
from meshplane.model.naming import Naming

ENV = "dev"  # the environment that the laptop stands in for
PORT = 4780  # tried first, so that a shell's endpoint stays right; any free one when it is taken


@dataclass(frozen=True, slots=True)
class Running:
    """The server's process, as `local.json` names it."""

    pid: int
    port: int
    env: str

    @property
    def endpoint(self) -> str:
        """For AWS_ENDPOINT_URL."""
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class Place:
    """The files of one embedded AWS. `root`: the checkout, with domain.json and template.yaml; `folder`: its `.meshplane`."""

    root: Path
    folder: Path

    @staticmethod
    def of(root: Path) -> Place:
        """The usual one; MESHPLANE_LOCAL_DIR names another folder."""
        return Place(root.resolve(), Path(os.environ.get("MESHPLANE_LOCAL_DIR") or root / ".meshplane").resolve())

    @property
    def snapshot(self) -> Path:
        """All state of the last `down`, or of the last rest before a kill."""
        return self.folder / "snapshot" / "state.pickle"

    @property
    def clock(self) -> Path:
        """The clock's offset; read by the workers' processes too."""
        return self.folder / "clock"

    @property
    def log(self) -> Path:
        """The server's and the functions' logs."""
        return self.folder / "log"

    @property
    def domain_file(self) -> Path:
        """domain.json of the checkout."""
        return self.root / "domain.json"

    def domain(self) -> Domain:
        """Its content."""
        return Domain.model_validate_json(self.domain_file.read_text(encoding="utf-8"))

    def naming(self) -> Naming:
        """The names of the environment that this stands in for."""
        return self.domain().naming(ENV)

    def running(self) -> Running | None:
        """The server that `local.json` names, when that process is alive."""
        try:
            found = Running(**json.loads((self.folder / "local.json").read_text(encoding="utf-8")))
            os.kill(found.pid, 0)
        except (FileNotFoundError, ProcessLookupError, ValueError, TypeError):
            return None
        return found

    def announce(self, running: Running) -> None:
        """Write `local.json`."""
        part = self.folder / "local.json.part"
        part.write_text(json.dumps(asdict(running)) + "\n", encoding="utf-8")
        part.replace(self.folder / "local.json")
