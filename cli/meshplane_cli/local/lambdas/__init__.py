"""Lambda on the laptop: one process per function under AWS's own runtime client, pollers for queues, retries for asynchronous calls."""

from meshplane_cli.local.lambdas.pool import Pool, Settings
from meshplane_cli.local.lambdas.worker import Outcome

__all__ = ["Outcome", "Pool", "Settings"]
