"""Making sense of a job run's log: the exception with the user's own line first. Pure; called by `logs`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_FRAME = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<where>.+)$')
_FOREIGN = ("site-packages", "/pyspark/", "/py4j/", "dp_foundation", "/lib/python", "run_script.py", "<frozen", "importlib")
_ERROR = re.compile(r"^(?:Caused by: )?[\w.$]+(?:Error|Exception)\b")
_TRACEBACK = "Traceback (most recent call last)"
_IGNORED = "Exception ignored in"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a job run failed. `place` is the user's own line (`daily_revenue.py:31 in main`) and `code` that line, if Python said so."""

    message: str
    place: str = ""
    code: str = ""


def fault(lines: Sequence[str], reported: str = "") -> Fault | None:
    """The last traceback that shows a line of the user's, else the last one, else what Glue reported; None when there is none of it.

    What Python prints while it shuts down (`Exception ignored in …`) is nobody's fault.
    """
    before = ["", *lines]
    starts = [index for index, line in enumerate(lines) if line.startswith(_TRACEBACK) and not before[index].startswith(_IGNORED)]
    found = [_read(lines[start + 1 :], reported) for start in starts]
    if found:
        return next((one for one in reversed(found) if one.place), found[-1])
    message = reported or next((line for line in reversed(lines) if _ERROR.match(line)), "")
    return Fault(message) if message else None


def _read(lines: Sequence[str], reported: str) -> Fault:
    """One traceback, from the line after its head."""
    place, code = "", ""
    for index, line in enumerate(lines):
        frame = _FRAME.match(line)
        if frame:
            if not any(part in frame["file"] for part in _FOREIGN):
                place = f"{frame['file'].rsplit('/', 1)[-1]}:{frame['line']} in {frame['where']}"
                code = lines[index + 1].strip() if index + 1 < len(lines) and not _FRAME.match(lines[index + 1]) else ""
        elif line and not line.startswith(" "):
            return Fault(line, place, code)
    return Fault(reported, place, code)


def readable(lines: Iterable[str]) -> Iterable[str]:
    """JSON lines of the library as `time level logger message`; every other line as it is."""
    for line in lines:
        try:
            told = json.loads(line) if line.startswith("{") else None
        except ValueError:
            told = None
        if not isinstance(told, dict) or "message" not in told:
            yield line
            continue
        head = f"{str(told.get('time', ''))[11:19]} {told.get('level', '')!s:<7} {told.get('logger', '')}  {told['message']}"
        yield head.strip()
        if told.get("exception"):
            yield from str(told["exception"]).splitlines()


def next_command(project: str, name: str, found: Fault | None, status: str) -> str:
    """What to try next."""
    if status in ("RUNNING", "WAITING"):
        return f"meshplane logs {project}.{name} -f"
    if found and "AccessDenied" in found.message:
        return f"meshplane status {project}"
    if found and found.place:
        return f"mend {found.place.partition(' ')[0]}, then: meshplane publish {project} && meshplane run {project}.{name} --wait"
    return f"meshplane run {project}.{name} --wait" if status != "SUCCEEDED" else f"meshplane runs {project}"
