"""What a built-in job takes from its declaration: its one source, its one target, its `with:` options, and how its run ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dp_foundation.config.arguments import Connection, Job, Table, invocation
from dp_foundation.errors import ConfigError
from dp_foundation.run.current import begin


def job() -> Job:
    """This job's declaration. Raises ConfigError in a process without `--meshplane-job`."""
    declared = invocation().job
    if declared is None:
        raise ConfigError("a built-in job needs --meshplane-job; mend: start it as a job of a project (meshplane run, meshplane run-local)")
    return declared


def one_read() -> Table:
    """The one table that it reads. Raises ConfigError for none or several."""
    declared = job()
    if len(declared.reads) != 1:
        raise ConfigError(f"jobs.{declared.name}.reads: found {len(declared.reads)} tables; allowed: one")
    return declared.tables[declared.reads[0].table]


def one_write() -> Table:
    """The one table that it writes. Raises ConfigError for none or several."""
    declared = job()
    if len(declared.writes) != 1:
        raise ConfigError(f"jobs.{declared.name}.writes: found {len(declared.writes)} tables; allowed: one")
    return declared.tables[declared.writes[0].table]


def mode() -> str:
    """The declared mode of its one write."""
    one_write()
    return job().writes[0].mode


def options(*allowed: str) -> Mapping[str, Any]:
    """Its `with:`. Raises ConfigError for an option that this built-in does not have."""
    declared = job()
    unknown = sorted(set(declared.options) - set(allowed))
    if unknown:
        raise ConfigError(f"jobs.{declared.name}.with: found {', '.join(unknown)}; allowed: {', '.join(allowed)}")
    return declared.options


def connection(name: str) -> Connection:
    """A declared database or broker. Raises ConfigError for one that the domain does not declare."""
    known = job().connections
    if name not in known:
        raise ConfigError(
            f"jobs.{job().name}: no connection {name!r}; the domain declares {', '.join(known) or 'none'} (domain.json: reachable)"
        )
    return known[name]


@contextmanager
def recorded() -> Iterator[None]:
    """Around a whole built-in: its record says how it ended. The exception goes on to Glue, which shows it."""
    current = begin()
    try:
        yield
    except Exception as error:
        if current is not None:
            current.finish(f"{type(error).__name__}: {error}"[:2000])
        raise
    if current is not None:
        current.finish()
