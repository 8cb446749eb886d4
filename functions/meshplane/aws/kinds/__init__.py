"""The adapters: one module per kind, the twin of `kinds/`. `adapters` opens them all for one reconcile; called by `wiring`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from meshplane.aws.clients import Clients
from meshplane.aws.kinds.opening import Opening
from meshplane.aws.listings import Listings
from meshplane.kinds import all_kinds
from meshplane.model.naming import Naming
from meshplane.model.resource import Provenance
from meshplane.ports import Adapter, Clock


def adapters(clients: Clients, listings: Listings, naming: Naming, provenance: Provenance, clock: Clock) -> Mapping[str, Adapter[Any]]:
    """Kind name → its adapter. `listings` must be fresh: they answer every observation of this reconcile."""
    opening = Opening(clients, listings, naming, provenance, clock)
    return {kind.name: import_module(f"meshplane.aws.kinds.{kind.name}").adapter(opening) for kind in all_kinds()}
