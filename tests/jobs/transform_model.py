"""What a merge leaves, in plain Python: a table of newest rows, and one of versions. No Spark, no SQL; `test_job_transforms` compares."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

Row = tuple[object, ...]


@dataclass(frozen=True)
class Event:
    """Something happened to a key at a time (None: nobody said when; a day of January 2026)."""

    key: int
    at: int | None
    value: str
    deleted: bool = False


class Newest:
    """key → its newest event, `soft` or hard deletions."""

    def __init__(self, soft: bool) -> None:
        self.soft = soft
        self.rows: dict[int, Event] = {}

    def merge(self, batch: Iterable[Event]) -> None:
        for event in sorted(batch, key=_age):
            known = self.rows.get(event.key)
            if known is not None and _age(event) < _age(known):
                continue
            if event.deleted and not self.soft:
                self.rows.pop(event.key, None)
            else:
                self.rows[event.key] = event

    def table(self) -> list[Row]:
        rows = [(e.key, e.value, e.at, e.deleted) if self.soft else (e.key, e.value, e.at) for e in self.rows.values()]
        return sorted(rows, key=repr)


@dataclass(frozen=True)
class Version:
    value: str
    start: int
    end: int | None
    deleted: bool = False


class Versions:
    """key → its versions, oldest first. `soft`: a deletion is a version; else it ends the one that holds."""

    def __init__(self, soft: bool, ignore: bool = False) -> None:
        self.soft, self.ignore = soft, ignore
        self.lines: dict[int, list[Version]] = {}

    def merge(self, batch: Sequence[Event]) -> None:
        newest = {key: max(max(v.start, v.end or 0) for v in line) for key, line in self.lines.items() if line}
        for event in sorted(batch, key=_age):
            assert event.at is not None
            if not (self.ignore and event.at < newest.get(event.key, event.at)):
                self._happen(event, event.at)

    def _happen(self, event: Event, at: int) -> None:
        line = [v for v in self.lines.get(event.key, []) if v.start != at]
        after = min((v.start for v in line if v.start > at), default=None)
        before = [v for v in line if v.start < at]
        later = [v for v in line if v.start > at]
        end = after
        if before:
            last = before.pop()
            standing = next((v.end for v in self.lines[event.key] if v.start == at), None)
            if last.end is not None and last.end > at:
                end = last.end  # it took place inside this version, which a deletion had ended or the next one follows
            elif standing is not None:
                end = standing
            before.append(replace(last, end=at if last.end is None or last.end > at or not event.deleted else last.end))
            if last.end is not None and last.end < at:
                before[-1] = last  # a gap: it was deleted in between
        else:
            standing = next((v.end for v in self.lines.get(event.key, []) if v.start == at), None)
            end = standing if standing is not None else after
        new = [] if event.deleted and not self.soft else [Version(event.value, at, end, event.deleted)]
        self.lines[event.key] = [*before, *new, *later]

    def table(self) -> list[Row]:
        made: list[Row] = []
        for key, line in self.lines.items():
            for v in line:
                tail = (v.start, v.end, v.end is None)
                made.append((key, v.value, v.start, v.deleted, *tail) if self.soft else (key, v.value, v.start, *tail))
        return sorted(made, key=repr)


def told_at_once(events: Iterable[Event]) -> list[Row]:
    """The versions of a whole history whose deletions are versions, whatever order it was heard in: each holds until the next."""
    made: list[Row] = []
    for key in {e.key for e in events}:
        line = sorted((e for e in events if e.key == key), key=_age)
        for event, following in zip(line, [*line[1:], None], strict=True):
            made.append((key, event.value, event.at, event.deleted, event.at, following.at if following else None, following is None))
    return sorted(made, key=repr)


def history(seed: int, keys: int = 40, windows: int = 4) -> list[list[Event]]:
    """Windows of events, no two of one key at one time; the first key's are plain, the rest are drawn."""
    drawn = random.Random(seed)
    made: list[list[Event]] = [[] for _ in range(windows)]
    for key in range(keys):
        for at in sorted(drawn.sample(range(1, 29), drawn.randint(1, 7))):
            # Mostly in the window of its time; one in four is late or early.
            window = drawn.randrange(windows) if drawn.random() < 0.25 else (at - 1) * windows // 28
            made[window].append(Event(key, at, f"{key}-{at}", drawn.random() < 0.25))
    for batch in made:
        drawn.shuffle(batch)
    return made


def _age(event: Event) -> int:
    return -1 if event.at is None else event.at
