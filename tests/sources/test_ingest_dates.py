"""Dated documents: no day is lost that is published late, whichever runs there were before. 12 and 13 January 2030 are a weekend."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from meshplane.aws.clients import Clients
from meshplane.model import sources
from meshplane.model.sources import Dates, Rest, Source, behind, days
from tests.sources.apis import Rates
from tests.sources.world import World

TODAY = date(2030, 1, 9)


def dated(clients: Clients, rates: Rates, first: str, lookback: int = 0) -> World:
    rest = Rest(f"{rates.url}/v1/{{date}}", records="rates", key="currency", value="rate", keep=("date",), absent=(404,), rate=100)
    return World(clients, Source("fx", replace(rest, dates=Dates(first, lookback)), "orders_raw"))


def landed(world: World) -> list[str]:
    return sorted({str(row["date"])[8:] for row in world.rows()})


def asked(rates: Rates) -> list[str]:
    found = [path[-2:] for path in rates.asked]
    rates.asked.clear()
    return found


def test_a_document_that_is_not_there_yet_is_asked_for_again(clients: Clients, rates: Rates) -> None:
    world, seen = dated(clients, rates, "2030-01-07"), []
    for _ in range(7):  # each morning at 06:00, when yesterday's document is the last one
        rates.published = (world.at - timedelta(days=1)).date().isoformat()
        done = world.ingest(f"r{world.at:%d}")
        seen.append((done.cursor[8:], asked(rates)))
        world.at += timedelta(days=1)
    assert seen == [
        ("08", ["07", "08", "09"]),
        ("09", ["09", "10"]),
        ("10", ["10", "11"]),
        ("11", ["11", "12"]),
        ("11", ["12", "13"]),
        ("11", ["12", "13", "14"]),
        ("14", ["12", "13", "14", "15"]),
    ]
    assert landed(world) == ["07", "08", "09", "10", "11", "14"]


def test_a_window_ahead_of_the_cursor_leaves_no_gap(clients: Clients, rates: Rates) -> None:
    world = dated(clients, rates, "2030-01-01")
    world.at += timedelta(days=8)
    window = {"window_start": "2030-01-14T00:00:00Z", "window_end": "2030-01-16T00:00:00Z"}
    assert (world.ingest("w1", **window).cursor, asked(rates)) == ("", ["14", "15"])
    again = world.ingest("w2", **window)
    assert (again.files, again.unchanged, asked(rates)) == (0, 2, ["14", "15"]), "what the last run landed lands no second time"
    assert (world.ingest("r1").cursor, asked(rates)) == ("2030-01-17", [f"{day:02}" for day in range(1, 18)])
    assert (world.ingest("w3", **window).cursor, asked(rates)) == ("2030-01-17", ["14", "15"]), "nor does it go back"
    assert landed(world) == [f"{day:02}" for day in range(1, 18) if day not in (5, 6, 12, 13)]


def test_a_run_that_is_called_again_ends_at_the_same_cursor(clients: Clients, rates: Rates) -> None:
    world = dated(clients, rates, "2030-01-07", 1)
    rates.published = "2030-01-08"
    assert [world.ingest("r1").cursor for _ in range(2)] == ["2030-01-08"] * 2
    rates.published = "2030-01-09"
    assert world.ingest("r1").cursor == "2030-01-08", "it is read from its archive"
    assert (world.ingest("r2").cursor, landed(world)) == ("2030-01-09", ["07", "08", "09"])


def test_a_gap_that_fills_a_run_is_passed(clients: Clients, rates: Rates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_DATES", 5)
    world = dated(clients, rates, "2030-01-01")
    rates.published = "2029-12-31"
    assert [world.ingest(f"r{number}").cursor[8:] for number in range(3)] == ["05", "05", "05"], "6 to 9 January may still come"
    rates.published = "2030-01-09"
    assert (world.ingest("r4").cursor, landed(world)) == ("2030-01-09", ["07", "08", "09"])


@pytest.mark.parametrize(
    ("start", "end", "asks"),
    [
        ("2030-01-07T00:00:00Z", "2030-01-08T00:00:00Z", ["2030-01-07"]),
        ("2030-01-07T05:00:00Z", "2030-01-07T06:00:00Z", ["2030-01-07"]),  # an hour
        ("2030-01-07T23:00:00Z", "2030-01-08T23:00:00Z", ["2030-01-07", "2030-01-08"]),  # a day in Berlin
        ("2030-01-08T00:00:00Z", "2030-01-07T00:00:00Z", []),
    ],
)
def test_a_window_asks_for_every_day_that_it_touches_and_no_other(start: str, end: str, asks: list[str]) -> None:
    assert days(Dates("2029-01-01", 30), "2030-01-02", start, end, TODAY) == asks


def test_a_long_window_is_asked_for_whole_and_a_run_without_one_in_parts() -> None:
    assert len(days(Dates("2020-01-01"), "", "2028-01-01T00:00:00Z", "2030-01-01T00:00:00Z", TODAY)) == 731
    assert len(days(Dates("2020-01-01"), "", "", "", TODAY)) == 400


@pytest.mark.parametrize(
    ("asked", "before", "answered", "cursor"),
    [
        (["2030-01-08", "2030-01-09"], "2030-01-07", "2030-01-08", "2030-01-08"),
        (["2030-01-08", "2030-01-09"], "2030-01-07", "2030-01-07", "2030-01-07"),
        (["2029-01-08", "2029-01-09"], "2029-01-07", "2029-01-08", "2029-01-08"),  # full, and it brought one
        (["2029-01-08", "2029-01-09"], "2029-01-07", "2029-01-07", "2029-01-09"),  # full, and it brought none
        ([], "", "", ""),
    ],
)
def test_where_the_next_run_begins(asked: list[str], before: str, answered: str, cursor: str) -> None:
    assert behind(asked, before, answered, TODAY) == cursor
