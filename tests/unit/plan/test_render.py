"""The plan as MANIFEST.md shows it, word for word where the words are ours."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from meshplane.model.resource import Difference, Effect, Id, Want
from meshplane.plan.guard import Verdict, guard
from meshplane.plan.planner import Action, Plan, Verb
from meshplane.plan.render import Header, lines, markdown, text, to_json

HEADER = Header("sales", "dev", "390403879405", "3f9c0a", datetime(2030, 1, 1, 14, 2, 11, tzinfo=UTC))


@dataclass(frozen=True)
class Columns:
    columns: tuple[str, ...]


def action(
    verb: Verb, kind: str, name: str, effect: Effect | None, *notes: str, label: str = "", reason: str = "", to: object = None
) -> Action:
    found = tuple(Difference(note, "", "", effect or Effect.SAFE, note) for note in notes)
    key = Id(kind, name, label or name)
    return Action(verb, key, effect, found, reason, to=to, want=Want(key, None))


NEW = Columns(("day", "country", "currency", "revenue"))
PLAN = Plan(
    "sales",
    (
        action(
            Verb.UPDATE,
            "iceberg_table",
            "db.sales_orders",
            Effect.SAFE,
            "rename ccy → currency (field 4 keeps its id)",
            "amount decimal(10,2) → decimal(12,2)",
            label="orders",
        ),
        action(Verb.CREATE, "iceberg_table", "db.sales_daily_revenue", Effect.ADDITIVE, label="daily_revenue", to=NEW),
        *(action(Verb.CREATE, "table_optimizer", f"db.sales_daily_revenue/{kind}", Effect.ADDITIVE) for kind in ("a", "b", "c")),
        action(
            Verb.UPDATE, "iceberg_table", "db.x", Effect.BREAKING, "drops `segment`, which finance.segments reads", label="contacts_export"
        ),
        action(Verb.DELETE, "event_rule", "f01-x", Effect.SAFE, label="daily.landed", reason="no longer declared"),
        *(action(Verb.NONE, "glue_job", f"j{n}", None) for n in range(14)),
    ),
)

SHOWN = f"""\
sales in dev, against account 390403879405, release 3f9c…, checked 14:02:11
  ~ table   orders             safe      rename ccy → currency (field 4 keeps its id); amount decimal(10,2) → decimal(12,2)
  + table   daily_revenue      additive  4 columns, 3 optimizers
  ! table   contacts_export    breaking  drops `segment`, which finance.segments reads
  - trigger daily.landed       safe      no longer declared
  = 14 unchanged
Held: 1 breaking change. Nothing was applied. Deprecate the column, or set policy.approve: {PLAN.digest} (docs/troubleshooting.md#held).
+ new  ~ changed in place  - removed  ! needs a decision  = same
"""


def test_the_text_is_the_manifests_example() -> None:
    assert text(PLAN, guard(PLAN), HEADER) == SHOWN


def test_json_and_markdown_tell_the_same_actions() -> None:
    told = json.loads(json.dumps(to_json(PLAN, guard(PLAN), HEADER)))
    assert [row["verb"] for row in told["actions"]] == [item.verb.value for item in PLAN.actions]
    assert (told["digest"], told["unchanged"], told["approvable"]) == (PLAN.digest, 14, True)
    rows = [line for line in markdown(PLAN, guard(PLAN), HEADER).splitlines() if line.startswith("| `")]
    assert len(rows) == len(lines(PLAN)) + 1
    assert PLAN.digest in markdown(PLAN, guard(PLAN), HEADER)


def test_waits_drift_and_what_policy_leaves_are_said() -> None:
    wait = action(Verb.WAIT, "glue_job", "j", None, reason="customers.contacts is not published")
    drift = Action(
        Verb.UPDATE,
        Id("glue_job", "k", "k"),
        Effect.SAFE,
        (Difference("workers", "3", "2"),),
        drift=True,
        withheld="policy.drift is report",
    )
    added = Action(Verb.NONE, Id("iceberg_table", "t", "t"), extra=("column x",))
    shown = text(Plan("sales", (wait, drift, added)), Verdict(), HEADER)
    assert "  … job     j                  wait      customers.contacts is not published\n" in shown
    assert "changed outside Meshplane; workers 3 → 2; left alone: policy.drift is report" in shown
    assert "added by somebody else, left alone: column x" in shown
    assert shown.endswith("… waits\n")


def test_an_empty_plan_says_so() -> None:
    plan = Plan("sales", (action(Verb.NONE, "glue_job", "j", None),))
    assert "  = 1 unchanged\nNothing to change.\n" in text(plan, guard(plan), HEADER)


def test_what_no_approval_helps_does_not_offer_one() -> None:
    plan = Plan("sales", (action(Verb.BLOCKED, "iceberg_table", "t", Effect.BREAKING, reason="no such type"),))
    shown = text(plan, guard(plan), HEADER)
    assert "  ! table   t" in shown
    assert "policy.approve" not in shown
