"""docs/costs.md: each line computed anew, and its quantities compared with what the repository decides."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from math import prod

import pytest

from tests.unit.docs.pages import ROOT

PAGE = (ROOT / "docs/costs.md").read_text(encoding="utf-8")
ROW = re.compile(
    r"^\| (?P<what>[^|*]+) \| (?P<quantity>[\d.,×+ ]+) \| [^|]+ \| (?P<price>[\d.]+) \| (?P<per>[\d,]+) \| (?P<sum>[\d.,]+) \|$"
)
TOTAL = re.compile(r"^\| \*\*together\*\* \|.*\| \*\*(?P<sum>[\d.,]+)\*\* \|$", re.MULTILINE)


@dataclass(frozen=True)
class Line:
    what: str
    quantity: str
    price: Decimal
    per: Decimal
    told: Decimal

    @property
    def amount(self) -> Decimal:
        """`7 × 1 × 730 + 2`."""
        return sum((prod((number(each) for each in term.split("×")), start=Decimal(1)) for term in self.quantity.split("+")), Decimal(0))


def number(text: str) -> Decimal:
    return Decimal(text.strip().replace(",", ""))


def month(title: str) -> tuple[list[Line], Decimal]:
    part = next(each for each in PAGE.split("\n## ") if each.startswith(title))
    rows = [found for line in part.splitlines() if (found := ROW.match(line))]
    total = TOTAL.search(part)
    assert total
    assert len(rows) == len([line for line in part.splitlines() if line.startswith("| ")]) - 2, "a row that this test cannot read"
    lines = [Line(r["what"], r["quantity"], number(r["price"]), number(r["per"]), number(r["sum"])) for r in rows]
    return lines, number(total["sum"])


MONTHS = {title: month(title) for title in ("A silent month", "A busy month")}
LINES = [line for lines, _ in MONTHS.values() for line in lines]


def cents(value: Decimal) -> set[Decimal]:
    return {value.quantize(Decimal("0.01"), rounding) for rounding in (ROUND_HALF_EVEN, ROUND_HALF_UP)}


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.what)
def test_each_line_is_its_quantity_times_its_price(line: Line) -> None:
    assert line.told in cents(line.amount * line.price / line.per)


@pytest.mark.parametrize("title", MONTHS)
def test_each_month_is_the_sum_of_its_lines(title: str) -> None:
    lines, total = MONTHS[title]
    assert total == sum(line.told for line in lines)


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def line(words: str) -> Line:
    (found,) = [each for each in LINES if each.what.startswith(words)]
    return found


def test_what_the_repository_decides_is_what_the_page_counts() -> None:
    template, metrics = text("template.yaml"), text("docs/metrics.md")
    endpoints = re.search(r"interface_endpoints = toset\(\[(.*?)\]\)", text("baseline_tf/endpoints.tf"))
    assert endpoints
    count = len(endpoints[1].split(","))
    assert line("interface endpoints, one zone").quantity == f"{count} × 1 × 730"
    assert line("interface endpoints, three zones").quantity == f"{count} × 3 × 730"
    assert "Schedule: rate(5 minutes)" in template, "12 sweeps an hour"
    assert "MemorySize: 1024" in template, "GB-seconds are seconds"
    assert line("alarms of the domain").quantity == str(template.count("Type: AWS::CloudWatch::Alarm"))
    assert line("dashboard of the domain").quantity == str(template.count("Type: AWS::CloudWatch::Dashboard"))
    swept = told(metrics, "–", "sweep_projects") - 1  # `Late` is sent for declared alarms only
    watched, reconciled = told(metrics, "–", "watch_tables"), told(metrics, "`project`", "reconcile_project")
    assert line("custom metrics: 4 of the sweep").quantity == f"{swept} + {watched} + {reconciled} × 2"
    sets = {each: told(metrics, each) for each in ("–", "`project`", "`project`, `job`", "`project`, `pipeline`", "`project`, `table`")}
    domain, project, job, pipeline, table = sets.values()
    busy = f"{domain - 1} + {project} × 20 + {job} × 60 + {pipeline} × 20 + {table} × 60"
    assert line("custom metrics: 16 of the domain").quantity == busy


def told(metrics: str, dimensions: str, source: str = "") -> int:
    """How many metrics of docs/metrics.md are sent under this set of dimensions."""
    rows = [row.strip("|").split("|") for row in metrics.splitlines() if row.startswith("| `")]
    sent = [row for row in rows if dimensions in [each.strip() for each in row[2].split(";")] and source in row[3]]
    return sum(row[0].count("`") // 2 for row in sent)
