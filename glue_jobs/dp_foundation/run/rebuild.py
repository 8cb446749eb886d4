"""Rebuild: a run that says so (parameter `meshplane.rebuild`) reads the files of raw again that arrived in a window of time.

`run.current` asks here which files a job takes that writes the named table; every other step, and all that follows the reading, is as in
any run: the mapping and contract of today, branch, verdict, publication. docs/decisions/0010 says why there is no job of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from dp_foundation.config.arguments import Job, Run
from dp_foundation.errors import ConfigError
from dp_foundation.run.ledger import Entry, FileVersion, valid

PARAMETER = "meshplane.rebuild"


@dataclass(frozen=True, slots=True)
class Window:
    """Files that arrived (S3's LastModified) from `start` on and before `end`: ISO 8601 in UTC, to the second."""

    start: str
    end: str

    def holds(self, file: FileVersion) -> bool:
        """Whether the file arrived in it."""
        return self.start <= file.modified < self.end

    def judged_at(self, started: str) -> str:
        """The moment that freshness is judged against: the window's end, where that is over."""
        return min(self.end, started)


def asked(run: Run, job: Job) -> Window | None:
    """What this job is to read again; None in an ordinary run, and for a job that does not write the table. Raises ConfigError."""
    text = str(run.params.get(PARAMETER) or "")
    if not text:
        return None
    try:
        told = dict(json.loads(text))
        table, start, end = str(told["table"]), _second(told["from"]), _second(told["until"])
    except (KeyError, TypeError, ValueError) as unreadable:
        raise ConfigError(f'parameter {PARAMETER}: found {text!r}; allowed: {{"table": …, "from": …, "until": …}}') from unreadable
    return Window(start, end) if any(write.table == table for write in job.writes) else None


def select(
    table: str,
    present: Iterable[FileVersion],
    entries: Iterable[Entry],
    own: tuple[str, str],
    window: Window,
    held: Callable[[Entry], bool],
) -> list[FileVersion]:
    """The files that the run reads, by key: those of the window, but for what a gate turned away, and what `held` says is still in a
    table that would hold it twice. `own` is (run id, step): a repeated attempt reads what its first one meant to read."""
    still = [e for e in valid(entries) if table in e.files]
    mine = next((e for e in still if (e.run_id, e.step) == own), None)
    if mine is not None:
        wanted = set(mine.files[table])
        return sorted(file for file in present if file in wanted)
    kept = {file for e in still if e.state == "rejected" or held(e) for file in e.files[table]}
    return sorted(file for file in present if window.holds(file) and file not in kept)


def _second(text: object) -> str:
    moment = datetime.fromisoformat(str(text))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
