"""Which files a run reads: decided without S3."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dp_foundation.run import rebuild
from dp_foundation.run.ledger import Entry, FileVersion, entry, is_data, listed, select

A1, A2, B, C = FileVersion("t/a", "1"), FileVersion("t/a", "2"), FileVersion("t/b", "1"), FileVersion("t/c", "1")


def _entry(state: str, run: str, *files: FileVersion, at: str = "1", step: str = "load", runs: tuple[str, ...] = ()) -> Entry:
    return Entry(state, run, step, at, {"raw": files} if files else {}, (("db", "out"),), runs)


def _chosen(present: list[FileVersion], *entries: Entry, own: tuple[str, str] = ("now", "load"), landed: bool = False) -> list[FileVersion]:
    return select("raw", present, entries, own, lambda _: landed)


@pytest.mark.parametrize(
    ("reason", "entries", "landed", "expected"),
    [
        ("nothing consumed: all", [], False, [A2, B, C]),
        ("done: the rest", [_entry("done", "r1", B)], False, [A2, C]),
        ("an older version was consumed: the new one is new", [_entry("done", "r1", A1)], False, [A2, B, C]),
        ("an open intent that did not land: read again", [_entry("intent", "r1", B)], False, [A2, B, C]),
        ("an open intent that landed: consumed", [_entry("intent", "r1", B)], True, [A2, C]),
        ("this run's own intent: exactly its files", [_entry("intent", "now", B)], False, [B]),
        ("this run was done already: the same files", [_entry("done", "now", B)], False, [B]),
        ("the run's other step consumed them", [_entry("done", "now", B, step="load-2")], False, [A2, C]),
        ("a reset voids what was before", [_entry("done", "r1", B), _entry("reset", "", at="2")], False, [A2, B, C]),
        ("and nothing after", [_entry("reset", "", at="0"), _entry("done", "r1", B)], False, [A2, C]),
        (
            "a reset of one run",
            [_entry("done", "r1", B), _entry("done", "r2", C), _entry("reset", "", at="2", runs=("r1",))],
            False,
            [A2, B],
        ),
        ("other tables do not count", [Entry("done", "r1", "load", "1", {"other": (B,)})], False, [A2, B, C]),
    ],
)
def test_selection(reason: str, entries: list[Entry], landed: bool, expected: list[FileVersion]) -> None:
    assert _chosen([A2, C, B], *entries, landed=landed) == expected, reason


def test_a_file_that_went_since_the_first_attempt_is_not_read() -> None:
    assert _chosen([B], _entry("intent", "now", A1, B)) == [B]


def test_landed_is_asked_for_open_intents_of_others_only() -> None:
    asked: list[str] = []

    def landed(one: Entry) -> bool:
        asked.append(one.run_id)
        return False

    entries = [_entry("done", "r1", A1), _entry("intent", "r2", B), _entry("intent", "now", C)]
    select("raw", [A2, B, C], entries[:2], ("now", "load"), landed)
    select("raw", [A2, B, C], entries, ("now", "load"), landed)
    assert asked == ["r2"]


def test_entries_survive_their_json() -> None:
    told = _entry("done", "r1", FileVersion("t/a", "1", 5))
    assert entry(told.as_json()) == told


@pytest.mark.parametrize(
    ("key", "rows"),
    [
        ("t/a.csv", True),
        ("t/dt=1/a.csv", True),
        ("t/", False),
        ("t/dt=1/", False),
        ("t/_SUCCESS", False),
        ("t/_tmp/a.csv", False),
        ("t/.x/a", False),
    ],
)
def test_what_holds_rows(key: str, rows: bool) -> None:
    assert is_data(key, "t/") is rows


def test_without_versions_the_etag_tells_files_apart() -> None:
    item = {"Key": "t/a", "Size": 3, "ETag": '"ab"', "LastModified": datetime(2026, 1, 2, tzinfo=UTC)}
    assert listed({**item, "VersionId": "null"}) == FileVersion("t/a", "etag:ab")
    assert listed({**item, "VersionId": "v1"}).version == "v1"
    assert listed({**item, "VersionId": "v1"}).modified == "2026-01-02T00:00:00Z"


# ---- a window of raw again (docs/decisions/0010) -------------------------------------------------------------------------------------
DAY = rebuild.Window("2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z")


def _arrived(name: str, at: str = "2026-11-20T12:00:00Z") -> FileVersion:
    return FileVersion(f"t/{name}", "1", 1, at)


def _consumed(state: str, run: str, *names: str) -> Entry:
    return Entry(state, run, "load", "1", {"raw": tuple(map(_arrived, names))}, (("db", "out"),))


IN_A, IN_B = _arrived("a"), _arrived("b")
EARLY, LATE = _arrived("early", "2026-11-19T23:59:59Z"), _arrived("late", "2026-11-21T00:00:00Z")
FIRST = _arrived("first", "2026-11-20T00:00:00Z")


@pytest.mark.parametrize(
    ("reason", "entries", "held", "expected"),
    [
        ("what arrived in the window, its first second included", [], (), [IN_A, IN_B, FIRST]),
        ("whether it was consumed or not", [_consumed("done", "r1", "a"), _consumed("intent", "r2", "b")], (), [IN_A, IN_B, FIRST]),
        ("but for what would stand there twice", [_consumed("done", "r1", "a"), _consumed("done", "r2", "b")], ("r1",), [IN_B, FIRST]),
        ("and what a gate turned away", [_consumed("rejected", "r1", "a")], (), [IN_B, FIRST]),
        ("unless that was forgotten", [_consumed("rejected", "r1", "a"), Entry("reset", "", "load", "2")], (), [IN_A, IN_B, FIRST]),
        ("a repeated attempt takes what the first one took", [_consumed("intent", "now", "b", "late")], ("now",), [IN_B, LATE]),
        ("other tables do not count", [Entry("done", "r1", "load", "1", {"other": (IN_A,)})], ("r1",), [IN_A, IN_B, FIRST]),
    ],
)
def test_what_a_rebuild_takes(reason: str, entries: list[Entry], held: tuple[str, ...], expected: list[FileVersion]) -> None:
    present = [LATE, IN_B, EARLY, IN_A, FIRST]
    assert rebuild.select("raw", present, entries, ("now", "load"), DAY, lambda e: e.run_id in held) == expected, reason


def test_freshness_is_judged_as_of_the_windows_end_if_that_is_over() -> None:
    assert DAY.judged_at("2026-11-22T06:00:00.123456Z") == DAY.end
    assert DAY.judged_at("2026-11-20T06:00:00.123456Z") == "2026-11-20T06:00:00.123456Z"
