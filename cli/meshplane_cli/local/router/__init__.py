"""Event routing, in place of moto's: every producer hands its event to `ROUTER`, which matches rules and delivers to their targets."""

from meshplane_cli.local.router.routing import ROUTER, Chaos, Router

__all__ = ["ROUTER", "Chaos", "Router"]
