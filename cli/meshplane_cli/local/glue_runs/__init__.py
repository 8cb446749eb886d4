"""What Glue runs, run here for real: job runs and table optimizers, on local Spark, as their own roles.

The embedded AWS makes a `Worker` and calls `ready` at once, `start` when its server answers, and `stop` when it goes down.
"""

from meshplane_cli.local.glue_runs.settings import Settings
from meshplane_cli.local.glue_runs.worker import Worker, start

__all__ = ["Settings", "Worker", "start"]
