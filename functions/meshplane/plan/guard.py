"""What may be applied without asking: nothing breaking (nor for consumers), nothing destructive, no mass removal. Pure; called between
plan and apply."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from meshplane.model.resource import Effect
from meshplane.plan.planner import REMOVALS, Action, Plan, Verb, removed_roots

FREE_REMOVALS, FREE_SHARE = 5, 0.2  # reliability S5: more than max(5, 20 %) of a project's resources needs approval


@dataclass(frozen=True, slots=True)
class Verdict:
    """May the plan be applied? `held`: the reasons why not. `approvable`: an approval of the plan's digest would let it go on.
    `approved`: keys of the risky actions that an approval covers, to be remembered until all of them are done."""

    held: tuple[str, ...] = ()
    approvable: bool = True
    approved: frozenset[str] = frozenset()


def guard(plan: Plan, approve: str = "", approved: Collection[str] = (), removing: bool = False) -> Verdict:
    """Judge a plan. `approve` is `policy.approve`; `approved` are the keys of risky actions of a plan approved before, of which this
    one may be the rest; `removing`: the manifest was deleted, so removal is the author's word and has no budget."""
    blocked = plan.of(Verb.BLOCKED)
    if blocked:
        return Verdict(tuple(f"{action.id}: {action.reason}" for action in blocked), approvable=False)
    # Going back to what was applied is no decision: the manifest did not change, somebody else's hand did.
    risky = [action for action in plan.writes if action.effect and action.effect >= Effect.BREAKING and not action.drift]
    removals = [action for action in plan.writes if action.verb in REMOVALS]
    mass = not removing and removed_roots(removals) > _budget(plan)
    broken = [impact for impact in plan.impacts if impact.held]
    asked = frozenset(each.key for each in (*risky, *broken, *(removals if mass else ())))
    if asked <= frozenset(approved) or approve == plan.digest:
        return Verdict(approved=asked | frozenset(approved) if asked else frozenset())
    held = [*map(_told, risky), *(f"table {impact.table}: {impact}" for impact in broken)]
    if mass:
        held.append(f"removes {removed_roots(removals)} resources at once; more than {_budget(plan)} need approval")
    return Verdict(tuple(held))


def _budget(plan: Plan) -> int:
    standing = [action for action in plan.actions if action.seen is not None]
    return max(FREE_REMOVALS, int(removed_roots(standing) * FREE_SHARE))


def _told(action: Action) -> str:
    worst = [d for d in action.differences if d.effect >= Effect.BREAKING]
    what = "; ".join(d.note or f"{d.field}: {d.was} → {d.wanted}" for d in worst) or action.reason
    return f"{action.id}: {what}"
