"""Sample data in the shape of the earlier platform: CRM contacts, orders and FX rates, from a seed. Nothing of it is committed.

The demo, the tests and the benchmarks call `write`; one seed gives one set of bytes on every machine.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

FIRST_DAY = date(2026, 1, 1)
DAYS = 90
COUNTRIES = {"DE": 40, "FR": 20, "AT": 15, "CH": 15, "NL": 10}  # name → weight
SEGMENTS = ("consumer", "business", "partner")
STATUSES = {"paid": 80, "shipped": 12, "cancelled": 8}
FIRST_NAMES = ("Ada", "Bruno", "Clara", "David", "Elif", "Femke", "Georg", "Hana", "Ilse", "Jonas", "Karim", "Lena", "Mia", "Noor")
LAST_NAMES = ("Albrecht", "Bernard", "Citterio", "de Vries", "Egger", "Fischer", "Girard", "Huber", "Jansen", "Keller", "Moser", "Weber")


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many rows: the earlier platform's sample by default. Orders come in `order_files` files of about equal size."""

    contacts: int = 25_000
    orders: int = 100_000
    order_files: int = 4


def contacts(seed: int, count: int) -> Iterator[Sequence[str]]:
    """customer_id, email, full_name, country, segment, updated_at. Ids count from 1."""
    draw = random.Random(f"contacts-{seed}")  # noqa: S311 - sample data, not a secret
    names, weights = list(COUNTRIES), list(COUNTRIES.values())
    for number in range(1, count + 1):
        first, last = draw.choice(FIRST_NAMES), draw.choice(LAST_NAMES)
        email = f"{first}.{last}.{number}@example.org".replace(" ", "-")
        if number % 50 == 0:
            email = f" {email.upper()}"
        country = draw.choices(names, weights)[0]
        spelled = country.lower() if number % 40 == 0 else country
        yield str(number), email, f"{first} {last}", spelled, draw.choice(SEGMENTS), _moment(draw)


def fx_rates(seed: int) -> Iterator[Sequence[str]]:
    """day, currency, rate: units of the currency for one euro, every day, EUR included."""
    draw = random.Random(f"rates-{seed}")  # noqa: S311 - sample data, not a secret
    rates = {"EUR": 1_000_000, "CHF": 940_000, "USD": 1_080_000}
    for offset in range(DAYS):
        for currency in rates:
            if currency != "EUR":
                rates[currency] += draw.randint(-3_000, 3_000)
            yield (FIRST_DAY + timedelta(days=offset)).isoformat(), currency, str(Decimal(rates[currency]).scaleb(-6))


def orders(seed: int, count: int, customers: int) -> Iterator[Sequence[str]]:
    """order_id, customer_id, amount, currency, status, ordered_at, updated_at. A few currencies are spelled badly, as in life."""
    draw = random.Random(f"orders-{seed}")  # noqa: S311 - sample data, not a secret
    names, weights = list(STATUSES), list(STATUSES.values())
    for number in range(1, count + 1):
        currency = draw.choice(("EUR", "EUR", "EUR", "CHF", "USD"))
        spelled = f" {currency.lower()}" if number % 100 == 0 else currency
        amount = str(Decimal(draw.randint(199, 99_999)).scaleb(-2))
        ordered = _moment(draw)
        status = draw.choices(names, weights)[0]
        yield str(number), str(draw.randint(1, customers)), amount, spelled, status, ordered, ordered


def _moment(draw: random.Random) -> str:
    start = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC)
    return (start + timedelta(seconds=draw.randrange(DAYS * 86_400))).strftime("%Y-%m-%dT%H:%M:%SZ")


HEADERS = {
    "contacts": ("customer_id", "email", "full_name", "country", "segment", "updated_at"),
    "fx_rates": ("day", "currency", "rate"),
    "orders": ("order_id", "customer_id", "amount", "currency", "status", "ordered_at", "updated_at"),
}


def write(folder: Path, seed: int = 7, sizes: Sizes | None = None) -> dict[str, Path]:
    """Write the csv files under `folder`; returns key below the raw bucket → file, ready to upload."""
    sizes = sizes or Sizes()
    _csv(folder / "contacts.csv", ";", "contacts", list(contacts(seed, sizes.contacts)))
    _csv(folder / "rates.csv", ",", "fx_rates", list(fx_rates(seed)))
    rows = list(orders(seed, sizes.orders, sizes.contacts))
    step = -(-len(rows) // sizes.order_files)
    for part in range(sizes.order_files):
        _csv(folder / f"orders-{part + 1}.csv", ";", "orders", rows[part * step : (part + 1) * step])
    return uploads(folder)


def new_shop(folder: Path, count: int = 40) -> dict[str, Path]:
    """A batch of orders in which a new shop spells the currency its own way, but for a last, cancelled one; key below the raw bucket →
    file. The ids are its own."""
    ordered = f"{FIRST_DAY + timedelta(days=DAYS - 1)}T12:00:00Z"
    rows = [(str(900_000 + n), str(n), f"{n}.50", "euro", "paid", ordered, ordered) for n in range(1, count)]
    rows.append((str(900_000 + count), str(count), "1.00", "EUR", "cancelled", ordered, ordered))
    path = folder / "new-shop.csv"
    _csv(path, ";", "orders", rows)
    return {f"sales/orders_raw/dt={FIRST_DAY + timedelta(days=DAYS)}/{path.name}": path}


def uploads(folder: Path) -> dict[str, Path]:
    """Key below the raw bucket → file, for the files that `write` left in `folder`: in the order in which they arrive."""
    day = f"dt={FIRST_DAY + timedelta(days=DAYS)}"
    tables = {"rates": "customers/fx_rates_raw", "contacts": "customers/contacts_raw", "orders-*": "sales/orders_raw"}
    return {f"{table}/{day}/{path.name}": path for name, table in tables.items() for path in sorted(folder.glob(f"{name}.csv"))}


def _csv(path: Path, delimiter: str, header: str, rows: Sequence[Sequence[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        writer.writerow(HEADERS[header])
        writer.writerows(rows)
