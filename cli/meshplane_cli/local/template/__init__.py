"""Deploys the real `template.yaml` onto the embedded AWS: SAM's own translator, then one small handler per resource type.

A type that nobody handles raises, so that a template error fails here too (local-aws §8).
"""

from meshplane_cli.local.template.deployment import Deployed, deploy

__all__ = ["Deployed", "deploy"]
