"""The projects of `examples/`, with the servers of a test in the places that they name. Nothing else of them is changed.

Used by `test_sources_to_refined.py`; `test_runbooks.py` has a checkout with a domain of its own.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.plane import ROOT
from tests.jobs.servers import Broker, Postgres
from tests.sources.apis import Rates, Shop

EXAMPLES = ROOT / "examples"


@dataclass(frozen=True)
class Servers:
    """One of each, on loopback, up."""

    shop: Shop
    rates: Rates
    database: Postgres
    topic: Broker

    @property
    def urls(self) -> Mapping[str, str]:
        """Scheme and host in a manifest → those of here."""
        return {"https://shop.example.org": self.shop.url, "https://fx.example.org": self.rates.url}

    @property
    def places(self) -> Mapping[str, Mapping[str, Any]]:
        """Connection in domain.json → where it is here."""
        here = {"host": "127.0.0.1", "cidr": ""}
        crm = {**here, "port": self.database.port, "database": "postgres"}
        return {"crm": crm, "events": {**here, "port": self.topic.port}}


def domain(servers: Servers) -> str:
    """`examples/domain.json`, its databases and brokers here, and this machine among the hosts that may be called."""
    told = json.loads((EXAMPLES / "domain.json").read_text(encoding="utf-8"))
    assert set(told["reachable"]) == set(servers.places)
    reachable = {name: {**place, **servers.places[name]} for name, place in told["reachable"].items()}
    return json.dumps({**told, "loopback_hosts": ["127.0.0.1"], "reachable": reachable})


def checkout(root: Path, told: str) -> Path:
    """This checkout with another domain (what `domain` makes, say); the functions read the copy beside their code."""
    root.mkdir()
    for entry in ROOT.iterdir():
        if entry.name not in ("domain.json", "functions", ".meshplane"):
            (root / entry.name).symlink_to(entry)
    shutil.copytree(ROOT / "functions", root / "functions", ignore=shutil.ignore_patterns("__pycache__"))
    for place in (root / "domain.json", root / "functions" / "meshplane" / "domain.json"):
        place.write_text(told, encoding="utf-8")
    return root


def projects(folder: Path, servers: Servers) -> None:
    """The five, in the projects of a person's folder."""
    shutil.copytree(EXAMPLES / "projects", folder / "projects", dirs_exist_ok=True)
    left = set(servers.urls)
    for path in sorted((folder / "projects").glob("*/project.yaml")):
        text = path.read_text(encoding="utf-8")
        for there, here in servers.urls.items():
            left -= {there} if there in text else set()
            text = text.replace(there, here)
        path.write_text(text, encoding="utf-8")
    assert left == set(), "no example asks these any more"
