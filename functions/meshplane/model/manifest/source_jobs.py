"""From the authoring models of sources that a Glue job fetches (jdbc, kafka, files) to that job. Called by `normalise`. Pure.

The job is one of the project's, `ingest_<source>`: it has its definition, role, network, log and runs as every other, and a step
`ingest:` is a step of it.
"""

from __future__ import annotations

from datetime import timedelta

from meshplane.model import project as plain
from meshplane.model.manifest.sources import FilesPart, JdbcPart, KafkaPart, SourcePart
from meshplane.model.manifest.tables import TablePart

KINDS = ("rest", "jdbc", "kafka", "files")
CONTINUOUS = "continuous"  # the trigger that begins a pipeline anew whose source listens without end


def kinds_of(part: SourcePart) -> list[str]:
    """The kind words that it has; exactly one is right."""
    return [kind for kind in KINDS if getattr(part, kind) is not None]


def job_name(source: str) -> str:
    """`ingest_shop_orders`."""
    return f"ingest_{source}"


def job(name: str, part: SourcePart, into: TablePart) -> plain.Job | None:
    """The job of a source; None for one that the function `ingest_api` fetches."""
    if part.jdbc:
        use, options = "jdbc", _jdbc(name, part.jdbc)
    elif part.kafka:
        use, options = "kafka", _kafka(name, part, part.kafka)
    elif part.files:
        use, options = "files", _files(part.files, into)
    else:
        return None
    # A run that listens for as long as `every` needs time to start and to end.
    longest = max(part.timeout, part.every + timedelta(minutes=15)) if part.run == "continuous" else part.timeout
    return plain.Job(
        name=job_name(name),
        use=use,
        writes=(plain.Write(part.into, "append"),),
        options=options,
        worker_type=part.workers.type,
        workers=part.workers.count,
        timeout=longest,
        secrets={"source": part.secret} if part.secret else {},
        max_concurrent_runs=1,
        description=part.description or f"Fetches source {name}",
    )


def keep_alive(part: SourcePart) -> plain.ScheduleTrigger | None:
    """What begins a pipeline anew that holds a continuous source: due while a run is open, it waits for that one's end."""
    minutes = int(part.every.total_seconds()) // 60
    return plain.ScheduleTrigger(CONTINUOUS, f"rate({minutes} minute{'s' if minutes > 1 else ''})") if part.run == "continuous" else None


def _jdbc(name: str, part: JdbcPart) -> dict[str, object]:
    return {
        "source": name,
        "connection": part.connection,
        "table": part.table,
        "incrementalBy": part.incremental_by or "",
        "initial": part.initial,
        "lookback": int(part.lookback.total_seconds()),
        "splitBy": part.split_by or "",
        "parts": part.parts,
        "deletes": {"key": list(part.deletes.key), "mark": part.deletes.mark} if part.deletes else None,
        "fetchedAt": part.fetched_at or "",
    }


def _kafka(name: str, source: SourcePart, part: KafkaPart) -> dict[str, object]:
    listens = int(source.every.total_seconds()) if source.run == "continuous" else 0
    return {
        "source": name,
        "connection": part.connection,
        "topic": part.topic,
        "format": part.format,
        "batch": part.batch,
        "listen": listens,
    }


def _files(part: FilesPart, into: TablePart) -> dict[str, object]:
    return {"from": part.from_, "format": part.format or into.format or "", "pattern": part.pattern}
