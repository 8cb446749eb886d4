"""A plan for people and machines: text, markdown and JSON from the same list of actions. Pure.

Called by `flows.plan_project`; the command line prints the text, CI posts the markdown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from meshplane.model.resource import Difference, Effect
from meshplane.plan.consumers import Impact
from meshplane.plan.guard import Verdict
from meshplane.plan.planner import Action, Plan, Verb

WORDS: Mapping[str, str] = {
    "hive_table": "table",
    "iceberg_table": "table",
    "table_optimizer": "optimizer",
    "glue_job": "job",
    "state_machine": "pipeline",
    "event_rule": "trigger",
    "schedule": "trigger",
    "schedule_group": "group",
    "log_group": "logs",
}
SIGNS: Mapping[Verb, str] = {Verb.CREATE: "+", Verb.UPDATE: "~", Verb.CLAIM: "~", Verb.REST: "-", Verb.DELETE: "-", Verb.WAIT: "…"}
LEGEND = "+ new  ~ changed in place  - removed  ! needs a decision  = same"
HELD = "docs/troubleshooting.md#held"


@dataclass(frozen=True, slots=True)
class Header:
    """What a plan was made for."""

    project: str
    env: str
    account: str
    release: str
    checked: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a plan: an action with what lies beneath it folded in."""

    sign: str
    word: str
    label: str
    effect: str
    what: str


def lines(plan: Plan) -> tuple[Line, ...]:
    """Everything but what stays the same. A table's new optimizers, a group's new schedules are told with it."""
    shown = [action for action in plan.actions if action.verb is not Verb.NONE or action.extra]
    heads = {(action.verb, action.id.name) for action in shown}
    folded: dict[tuple[Verb, str], list[Action]] = {}
    top = []
    for action in shown:
        above = (action.verb, action.id.name.rpartition("/")[0])
        if above in heads and action.verb in (Verb.CREATE, Verb.REST, Verb.DELETE):
            folded.setdefault(above, []).append(action)
        else:
            top.append(action)
    told = (_line(action, folded.get((action.verb, action.id.name), [])) for action in top)
    return (*told, *(_impact(impact) for impact in plan.impacts if impact.effect > Effect.ADDITIVE))


def _impact(impact: Impact) -> Line:
    """What consumers feel: one that holds the plan needs a decision, the others are warnings."""
    return Line("!" if impact.held else "w", "table", impact.table, "breaking" if impact.held else "warning", str(impact))


def _line(action: Action, beneath: Sequence[Action]) -> Line:
    risky = action.verb in (Verb.BLOCKED, Verb.CONFLICT) or (action.effect is not None and action.effect >= Effect.BREAKING)
    sign = "!" if risky else SIGNS.get(action.verb, "=")
    effect = action.effect.name.lower() if action.effect else action.verb.value
    what = [", ".join([*_whats(action), *_folded(beneath)])] if action.verb is Verb.CREATE else [*_whats(action), *_folded(beneath)]
    if action.drift:
        what.insert(0, "changed outside Meshplane")
    if action.withheld:
        what.append(f"left alone: {action.withheld}")
    what += [f"added by somebody else, left alone: {text}" for text in action.extra]
    return Line(sign, WORDS.get(action.id.kind, action.id.kind), action.id.label or action.id.name, effect, "; ".join(filter(None, what)))


def _whats(action: Action) -> list[str]:
    if action.verb is Verb.CREATE:
        columns = getattr(action.to, "columns", ())
        return [f"{len(columns)} column{'s' if len(columns) != 1 else ''}"] if columns else [action.reason] if action.reason else []
    if action.verb is Verb.BLOCKED or not action.differences:
        return [action.reason] if action.reason else []
    return [*map(told, action.differences), *([action.reason] if action.verb is Verb.REST else [])]


def told(difference: Difference) -> str:
    """`amount decimal(10,2) → decimal(12,2)`, or the note where there is one."""
    return difference.note or f"{difference.field} {difference.was or '-'} → {difference.wanted or '-'}"


def _folded(beneath: Sequence[Action]) -> list[str]:
    counted = Counter(WORDS.get(action.id.kind, action.id.kind) for action in beneath)
    return [f"{count} {word}{'s' if count > 1 else ''}" for word, count in counted.items()]


def text(plan: Plan, verdict: Verdict, header: Header) -> str:
    """The plan as MANIFEST.md shows it."""
    release = f"{header.release[:4]}…" if header.release else "none"
    out = [f"{header.project} in {header.env}, against account {header.account}, release {release}, checked {header.checked:%H:%M:%S}"]
    rows = lines(plan)
    word = max([7, *(len(row.word) for row in rows)])
    label = max([18, *(len(row.label) for row in rows)])
    for row in rows:
        out.append(f"  {row.sign} {row.word:<{word}} {row.label:<{label}} {row.effect:<8}  {row.what}".rstrip())
    out.append(f"  = {_unchanged(plan)} unchanged")
    out.append(_last(plan, verdict))
    warned = any(row.sign == "w" for row in rows)
    out.append(LEGEND + ("  … waits" if plan.of(Verb.WAIT) else "") + ("  w warning" if warned else ""))
    return "\n".join(out) + "\n"


def markdown(plan: Plan, verdict: Verdict, header: Header) -> str:
    """The same as a table, for a comment on a pull request."""
    out = [f"### {header.project} in {header.env}", "", "| | kind | name | effect | what |", "|---|---|---|---|---|"]
    out += [f"| `{row.sign}` | {row.word} | {_cell(row.label)} | {row.effect} | {_cell(row.what)} |" for row in lines(plan)]
    out += [f"| `=` | | {_unchanged(plan)} unchanged | | |", "", _last(plan, verdict), "", f"`{plan.digest}` · `{LEGEND}`"]
    return "\n".join(out) + "\n"


def to_json(plan: Plan, verdict: Verdict, header: Header) -> dict[str, Any]:
    """The whole plan as data, what stays the same included."""
    return {
        "schema": 1,
        "project": header.project,
        "env": header.env,
        "account": header.account,
        "release": header.release,
        "checked": header.checked.isoformat(),
        "digest": plan.digest,
        "empty": plan.empty,
        "held": list(verdict.held),
        "approvable": verdict.approvable,
        "unchanged": _unchanged(plan),
        "actions": [action.to_json() for action in plan.actions],
        "impacts": [impact.to_json() for impact in plan.impacts],
    }


def _last(plan: Plan, verdict: Verdict) -> str:
    if not verdict.held:
        count = len(plan.writes)
        return f"{count} change{'s' if count != 1 else ''}. Nothing needs a decision." if count else "Nothing to change."
    effects = [action.effect for action in plan.actions if action.effect] + [impact.effect for impact in plan.impacts if impact.held]
    worst = max((effect for effect in effects if effect >= Effect.BREAKING), default=None)
    kind = f"{worst.name.lower()} change" if worst else "mass removal"
    count = sum(1 for effect in effects if effect >= Effect.BREAKING) or 1
    head = f"Held: {count} {kind}{'s' if count > 1 else ''}. Nothing was applied."
    if not verdict.approvable:
        return f"{head} Mend the manifest as said above ({HELD})."
    way = "Deprecate the column, or set" if worst else "Set"
    return f"{head} {way} policy.approve: {plan.digest} ({HELD})."


def _unchanged(plan: Plan) -> int:
    return sum(1 for action in plan.actions if action.verb is Verb.NONE)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
