"""`meshplane test` over the example projects, in one process and one JVM: what passes, what fails, and how it is told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.spark
ROOT = Path(__file__).parents[2]
MORE = """
  an order that cannot be read is set aside, the others land:
    given:
      orders_raw:
        - { order_id: 1, customer_id: 7, amount: twelve, currency: eur, updated_at: 2026-11-01T08:00:00Z }
        - { order_id: 2, customer_id: 7, amount: 12, currency: eur, updated_at: 2026-11-01T08:00:00Z }
        - { customer_id: 7, amount: 13, currency: eur, updated_at: 2026-11-01T08:00:00Z }
    expect:
      rows:
        orders: [{ order_id: 2, amount: 12 }]
      quarantine:
        orders:
          - { row: { order_id: 1, amount: twelve }, reasons: [types amount] }
          - { row: { order_id: null, amount: 13 }, reasons: [nullability order_id] }
  wrong on purpose:
    given:
      orders_raw:
        - { order_id: 1, customer_id: 7, amount: 12, currency: eur, updated_at: 2026-11-01T08:00:00Z }
        - { order_id: 2, customer_id: 7, amount: 3, updated_at: 2026-11-01T08:00:00Z }
    expect:
      rows:
        orders:
          - { order_id: 1, amount: 12.50, currency: EUR }
          - { order_id: 3, amount: 3, currency: null }
      verdicts: { orders: failed }
  an order that is two is an error:
    given:
      orders_raw:
        - { order_id: 1, customer_id: 7, amount: 1, currency: eur, updated_at: 2026-11-01T08:00:00Z }
        - { order_id: 1, customer_id: 7, amount: 2, currency: eur, updated_at: 2026-11-01T08:00:00Z }
    expect:
      error: different rows with the same key
      rows: { orders: [] }
"""
CONTRACT = "    key: [order_id]\n    contract: { types: quarantine_row }\n"


def test_the_examples_pass_and_what_is_wrong_is_told(tmp_path: Path) -> None:
    for name in ("domain.json", "projects", "functions", "glue_jobs"):
        (shutil.copytree if (ROOT / name).is_dir() and name == "projects" else os.symlink)(ROOT / name, tmp_path / name)
    path = tmp_path / "projects/sales/tests/load_orders.yaml"
    path.write_text(path.read_text(encoding="utf-8").rstrip() + MORE, encoding="utf-8")
    manifest = tmp_path / "projects/sales/project.yaml"
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(text if "contract:" in text else text.replace("    key: [order_id]\n", CONTRACT), encoding="utf-8")
    jars = os.environ.get("MESHPLANE_JARS", str(ROOT / ".meshplane" / "jars"))
    environment = {
        **os.environ,
        "MESHPLANE_JARS": jars,
        "PYTHONPATH": os.pathsep.join(str(ROOT / each) for each in ("functions", "glue_jobs", "cli")),
    }
    words = [sys.executable, "-m", "meshplane_cli", "test", "--json"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False)
    told = json.loads(done.stdout)
    assert (done.returncode, told["failed"], told["passed"]) == (1, 1, len(told["tests"]) - 1), done.stdout
    (failed,) = (each for each in told["tests"] if not each["passed"])
    assert failed["differences"] == [
        "orders: 2 rows expected, 2 found",
        "  ~ order_id=1: amount expected 12.50, found 12.00",
        "  - expected, not found: amount=3.00, currency=null, order_id=3",
        "  + found, not expected: amount=3.00, currency=null, order_id=2",
        "verdict on orders: expected failed, found passed",
    ]
    assert {each["project"] for each in told["tests"]} == {"sales", "customers"}
