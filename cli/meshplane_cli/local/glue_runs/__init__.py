"""What Glue runs, run here for real: job runs and table optimizers, on local Spark, as their own roles.

The embedded AWS begins with a `standby`, makes a `worker.Worker` on it, calls `worker.start` when its server answers, and `stop` when it
goes down.
"""
