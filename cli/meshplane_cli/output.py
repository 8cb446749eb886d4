"""How the command line speaks: rows and sentences for people, JSON for programs, one voice for what went wrong.

An error says what, then what was found, what is allowed and how to mend it; it goes to stderr. `--json` puts the same on stdout.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.exceptions import TyperException

from meshplane.errors import Denied, ManifestInvalid, NotReady, PlaneError, ServiceFault, Throttled

OK, PROBLEMS, USAGE, UNREACHABLE, WAITS = range(5)
INTERRUPTED = 130  # as shells say it
PIPED = 1000  # columns where there is no terminal: a pipe wants whole lines
CODES = {
    OK: "done",
    PROBLEMS: "problems found",
    USAGE: "not understood",
    UNREACHABLE: "AWS not reachable, or denied",
    WAITS: "held, or it waits for something",
    INTERRUPTED: "stopped by Ctrl-C",
}


class CliError(Exception):
    """An expected end. `found`, `allowed` and `mend` may be empty; `code` is one of CODES."""

    def __init__(self, message: str, *, found: str = "", allowed: str = "", mend: str = "", code: int = PROBLEMS) -> None:
        self.message, self.found, self.allowed, self.mend, self.code = message, found, allowed, mend, code
        super().__init__(message)

    def rows(self) -> Iterable[tuple[str, str]]:
        """The three lines below the message, as far as they say something."""
        return [(word, text) for word, text in (("found", self.found), ("allowed", self.allowed), ("mend", self.mend)) if text]

    def __str__(self) -> str:
        """All of it: a traceback is sometimes the only thing that is left of an end."""
        return "\n".join([self.message, *(f"  {word}: {text}" for word, text in self.rows())])


def console(stderr: bool = False) -> Console:
    """A console of now: tests and pipes change what the streams are."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else PIPED
    return Console(file=stream, width=width, soft_wrap=True, highlight=False)


def say(text: str) -> None:
    """What is being done, for people: stderr, so that stdout stays what was asked for."""
    console(stderr=True).print(Text(text))


def show(text: str, style: str = "") -> None:
    """A line of the answer."""
    console().print(Text(text, style=style))


def rows(columns: Sequence[str], lines: Iterable[Sequence[object]], empty: str = "nothing") -> None:
    """A plain table."""
    grid = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for index, name in enumerate(columns):
        grid.add_column(name, overflow="fold", no_wrap=index == 0)  # what one copies into the next command stays whole
    count = 0
    for count, line in enumerate(lines, 1):  # noqa: B007 - the count is asked for after the loop
        grid.add_row(*(Text(str(cell)) for cell in line))
    if count:
        console().print(grid)
    else:
        show(empty)


def emit(data: object, line: bool = False) -> None:
    """The answer as JSON on stdout; `line`: as one of several, each on a line of its own."""
    sys.stdout.write(json.dumps(data, default=_plain, ensure_ascii=False, indent=None if line else 2) + "\n")
    sys.stdout.flush()


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return list(value) if isinstance(value, (tuple, set, frozenset)) else str(value)


def report(error: BaseException, as_json: bool = False) -> int:
    """Say what went wrong; the exit code. Raises the error again when it is none that is expected."""
    if type(error).__name__ == "NoArgsIsHelpError":  # a group without a verb: its help is the answer
        show(str(error))
        return USAGE
    told = _as_cli(error)
    if told is None:
        raise error
    if as_json:
        emit({"error": {"message": told.message, **dict(told.rows())}, "exitCode": told.code})
        return told.code
    out = console(stderr=True)
    if isinstance(error, ManifestInvalid):
        out.print(Text(str(error)))
        count = len(error.problems)
        out.print(Text(f"{count} problem{'s' if count != 1 else ''}. Nothing was changed.", style="bold"))
        return told.code
    out.print(Text("error: ", style="bold red") + Text(told.message))
    for word, text in told.rows():
        out.print(Text(f"    {word:<8} {text}"))
    return told.code


def _as_cli(error: BaseException) -> CliError | None:
    from botocore.exceptions import BotoCoreError, ClientError

    if isinstance(error, (ClientError, BotoCoreError)):
        from meshplane.aws.faults import translate

        error = translate(error, "AWS") or error
    match error:
        case CliError():
            return error
        case TyperException():
            return _misused(error)
        case Denied():
            allowed = f"{error.action} on {error.resource}" if error.action else ""
            return CliError(str(error), mend=f"ask for {allowed}" if allowed else "look at your credentials", code=UNREACHABLE)
        case NotReady():
            return CliError(str(error), mend="wait a little, then try again", code=WAITS)
        case ServiceFault() | Throttled():
            mend = "is the embedded AWS up? `meshplane local up`; for an account: credentials and network"
            return CliError(str(error), mend=mend, code=UNREACHABLE)
        case PlaneError():
            return CliError(str(error))
        case _ if type(error).__name__ == "LocalAwsError":
            return CliError(str(error), code=UNREACHABLE)
    return None


def _misused(error: TyperException) -> CliError:
    """Typer's own words for a verb, option or value that it does not know, in our voice."""
    context: Any = getattr(error, "ctx", None)
    text = error.format_message().rstrip(".")
    allowed = " ".join(context.get_usage().removeprefix("Usage:").split()) if context else ""
    mend = f"{context.command_path} --help" if context else ""
    return CliError(text[:1].lower() + text[1:], allowed=allowed, mend=mend, code=USAGE)


def age(seconds: float) -> str:
    """`43 s`, `12 min`, `5 h`, `3 d`."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(int(seconds), 0)} s"
