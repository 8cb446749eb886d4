"""Gates in a project's own ASL file: a state that runs a job which writes gated tables leads to `${gate.<table>}`, filled in here. Pure.

Called by `own_asl`. The author writes where the gate stands; what job and gate tell each other is Meshplane's:

    "load":    {"Type": "Task", "Resource": "arn:aws:states:::glue:startJobRun.sync",
                "Parameters": {"JobName": "${job.load_orders}"}, "Next": "publish"},
    "publish": {"Type": "Task", "Resource": "${gate.orders}", "Next": …}

A job without its gate would leave a branch that nobody publishes: it is refused here, and `main` stays where it was in any case. So is a
state that one execution reaches more than once, in a Map or in a loop: a job knows by its step what it has written already, and would take
for that what another pass brings.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from meshplane.model.asl_gate import AGAIN, INVOKE
from meshplane.model.publishing import SCRIPT

JOB = re.compile(r"\$\{job\.([^}]*)\}")
GATE = re.compile(r"\$\{gate\.([^}]*)\}")
SYNC = "arn:aws:states:::glue:startJobRun.sync"
_OURS = ("--meshplane-run", "--meshplane-step", "--meshplane-attempt", "--meshplane-gate")
_RELEASED = frozenset(
    name.lower()
    for name in (
        SCRIPT, "--extra-py-files", "--extra-jars", "--extra-files", "--additional-python-modules", "--python-modules-installer-option",
        "--user-jars-first", "--conf", "--meshplane-job",
    )
)  # fmt: skip
"""What puts other code, or another gate, in the place of the release's."""
_PATHS = ("InputPath", "OutputPath", "ResultPath", "ResultSelector")
Fault = tuple[str, str, dict[str, str]]
"""Where, what, and the rows found, allowed, mend."""


@dataclass(frozen=True, slots=True)
class Gates:
    """`tables`: job → the gated tables that it writes. `function`: the ARN of publish_tables."""

    tables: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    function: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Every gated table."""
        return tuple(dict.fromkeys(table for tables in self.tables.values() for table in tables))


class Steps:
    """Names the uses of gated jobs over a whole file: the job, or `job-2` for its second use; never two of one name. `jobs`: all that the
    file names, one of which may itself be called like a second use."""

    def __init__(self, jobs: Collection[str]) -> None:
        self._taken, self._uses = set(jobs), dict[str, int]()

    def named(self, job: str) -> str:
        """The step of the next use of this job."""
        self._uses[job] = self._uses.get(job, 0) + 1
        name = job
        while self._uses[job] > 1 and name in self._taken:
            name = f"{job}-{self._uses[job]}"
            self._uses[job] += name in self._taken
        self._taken.add(name)
        return name


def faults(states: Mapping[str, Any], where: str, gates: Gates, jsonata: bool, mapped: bool = False) -> Iterator[Fault]:
    """What is wrong with the jobs and gates of one machine, or of one branch. `mapped`: it is run for each item of a Map."""
    for name, state in states.items():
        if not isinstance(state, Mapping):
            continue
        job, table, at = _gated_job(state, gates), _gate(state), f"{where}.States.{name}"
        if job and mapped:
            yield at, "runs for each item of a Map, all of them one step: only what the first one writes would be kept", _once("in a Map")
        if _writes(state, gates) and _comes_again(states, name):
            yield at, "comes again in the same run, as the same step: only what it writes first would be kept", _once("a way back to it")
        if job:
            yield from _of_job(states, state, at, gates.tables[job], jsonata)
        elif table in gates.names:
            yield from _of_gate(states, name, state, at, gates)


def _once(found: str) -> dict[str, str]:
    mend = "one job that loads all of it, or a job and its gate for each part, one after the other"
    return {"found": found, "allowed": "a state that runs once", "mend": mend}


def _writes(state: Mapping[str, Any], gates: Gates) -> bool:
    """Whether a state is a gated job, or has one in its branches."""
    inner = [branch.get("States") for branch in state.get("Branches", ())]
    each = [one for states in inner if isinstance(states, Mapping) for one in states.values() if isinstance(one, Mapping)]
    return bool(_gated_job(state, gates)) or any(_writes(one, gates) for one in each)


def _comes_again(states: Mapping[str, Any], name: str) -> bool:
    """Whether the way on from a state leads back to it. Where a `Catch` does, it is another attempt at what failed."""
    seen: set[str] = set()
    ahead = [name]
    while ahead:
        state = states.get(ahead.pop())
        ways = [state, *state.get("Choices", ())] if isinstance(state, Mapping) else []
        following = {str(way[key]) for way in ways for key in ("Next", "Default") if key in way}
        ahead += following - seen
        seen |= following
    return name in seen


def _of_job(states: Mapping[str, Any], state: Mapping[str, Any], at: str, tables: tuple[str, ...], jsonata: bool) -> Iterator[Fault]:
    following = states.get(str(state.get("Next")))
    allowed = " or ".join(f"${{gate.{table}}}" for table in tables)
    if not isinstance(following, Mapping) or _gate(following) not in tables:
        message = f"writes {', '.join(tables)}, which only a gate publishes: the state after it must be that gate"
        mend = f'"Next": a state of Type Task with "Resource": "{allowed}"'
        yield at, message, {"found": str(state.get("Next", "the end")), "allowed": allowed, "mend": mend}
    if state.get("Resource") != SYNC:
        yield f"{at}.Resource", "must wait for its end, or the gate would judge a job that still writes", {"allowed": SYNC}
    if jsonata or state.get("QueryLanguage") == "JSONata":
        yield at, "a job before a gate is filled in for JSONPath", {"found": "JSONata", "mend": '"QueryLanguage": "JSONPath"'}
    for key in _overriding(state):
        message = "would run other code, or judge by another gate, than the release has"
        yield f"{at}.Parameters.{key}", message, {"mend": f"leave {key} out; the manifest says what the job is"}
    for key in _PATHS:
        if key in state:
            yield (
                f"{at}.{key}",
                "the job's result is the gate's: it stands under $.gate, all else stays as it is",
                {"mend": f"leave {key} out"},
            )


def _overriding(state: Mapping[str, Any]) -> list[str]:
    """Arguments that belong to the release; and all of them where they come as a whole, from who knows where."""
    parameters = state.get("Parameters")
    told = parameters if isinstance(parameters, Mapping) else {}
    given = told.get("Arguments", {})
    names = [str(name).removesuffix(".$") for name in given] if isinstance(given, Mapping) else []
    return [f"Arguments.{name}" for name in sorted(names) if name.lower() in _RELEASED] + (["Arguments.$"] if "Arguments.$" in told else [])


def _of_gate(states: Mapping[str, Any], name: str, state: Mapping[str, Any], at: str, gates: Gates) -> Iterator[Fault]:
    before = _jobs_before(states, name, gates)
    if len(before) != 1:
        found = ", ".join(before) or "none"
        yield at, "a gate follows exactly one state that runs a job", {"found": found, "mend": "one gate state for each job state"}
    for key in ("Parameters", "Arguments", "ResultSelector"):
        if key in state:
            yield f"{at}.{key}", "what the gate is asked is filled in", {"mend": f"leave {key} out"}


def filled(machine: Mapping[str, Any], gates: Gates, steps: Steps) -> dict[str, Any]:
    """The machine with everything that job and gate tell each other, in its branches too. Call it for what has no `faults` only."""
    states, made = machine["States"], dict[str, Any]()
    for name, state in states.items():
        if job := _gated_job(state, gates):
            made[name] = _job_state(state, steps.named(job))
        elif "Branches" in state:
            made[name] = {**state, "Branches": [filled(branch, gates, steps) for branch in state["Branches"]]}
        else:
            made[name] = state
    for name, state in states.items():
        if _gate(state) in gates.names:
            (before,) = _jobs_before(states, name, gates)
            made[name] = _gate_state(state, made[before]["Parameters"]["Arguments"]["--meshplane-step"], gates.function)
    return {**machine, "States": made}


def _job_state(state: Mapping[str, Any], step: str) -> dict[str, Any]:
    given = state["Parameters"].get("Arguments", {})
    arguments = {key: value for key, value in given.items() if key.removesuffix(".$") not in _OURS} | {
        # The execution's own input: whatever the states before have made of theirs.
        "--meshplane-run.$": "States.JsonToString($$.Execution.Input.run)",
        "--meshplane-step": step,
        "--meshplane-gate": "audit",
        "--meshplane-attempt.$": "States.Format('0_{}', $$.State.RetryCount)",
    }
    kept = {"ResultSelector": {"arguments.$": "$.Arguments"}, "ResultPath": "$.gate"}
    return {**state, **kept, "Parameters": {**state["Parameters"], "Arguments": arguments}}


def _gate_state(state: Mapping[str, Any], step: str, function: str) -> dict[str, Any]:
    payload = {"run.$": "$$.Execution.Input.run", "step": step, "arguments.$": "$.gate.arguments"}
    retry = state.get("Retry", [dict(AGAIN)])
    asked = {"FunctionName": function, "Payload": payload}
    return {**state, "Resource": INVOKE, "Parameters": asked, "ResultPath": None, "Retry": retry}


def _gated_job(state: Mapping[str, Any], gates: Gates) -> str:
    parameters = state.get("Parameters") or state.get("Arguments") or {}
    named = JOB.fullmatch(str(parameters.get("JobName", ""))) if isinstance(parameters, Mapping) else None
    return named[1] if named and named[1] in gates.tables else ""


def _gate(state: Mapping[str, Any]) -> str:
    named = GATE.fullmatch(str(state.get("Resource", "")))
    return named[1] if named else ""


def _jobs_before(states: Mapping[str, Any], name: str, gates: Gates) -> list[str]:
    return [
        other for other, state in states.items() if isinstance(state, Mapping) and state.get("Next") == name and _gated_job(state, gates)
    ]
