"""Every error that Meshplane raises on purpose. Two properties drive every decision: is it retryable, and whose fault is it.

    PlaneError
    ├── ManifestInvalid      the author's: problems, each with file, line, column, path, found, allowed, mend
    ├── Conflict             the operator's: something stands there that is not ours, or changed under us
    ├── Stale                nobody's: our own lease, fence or version was overtaken; stop quietly
    ├── NotReady             nobody's yet: a stated wait, with a time to look again
    ├── Denied               the operator's: an IAM denial, naming action and resource
    ├── NotFound             a resource that was asked for by name is absent
    ├── AlreadyExists        a resource that was to be created exists
    ├── Throttled            AWS's: slow down, then try again
    ├── Rejected             the author's or ours: AWS says that the request itself is wrong
    ├── GateFailed           the author's: a verdict says no, or is not there; nothing of the run is published
    ├── MainMoved            nobody's: somebody else committed first; job and gate are repeated on a fresh branch
    ├── RestoreRefused       the operator's: a table may not be restored as asked; reasons, all at once
    ├── SourceFailed         the author's, or the source's: what it answered cannot be taken; Refused: it may not be called so;
    │                        ScriptFailed: its own script is no Starlark, failed, answered what is no request, or broke a bound
    ├── Broken               nobody's: a connection to a source failed
    ├── IngestUnfinished     nobody's: the time was up; the step is called again and goes on
    └── ServiceFault         AWS's: 5xx, time-out, broken connection; the outcome of a write is unknown

AWS and pyiceberg errors become these in `aws.faults`, nowhere else, and are never told apart by their text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

Fault = Literal["author", "operator", "aws", "nobody"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with what somebody wrote.

    `code` is the stable message id (`unknown-key`, `type-impossible` ...); `path` is dotted (`tables.orders.key`); lines and
    columns count from 1, and are 0 where a file has none. `found`, `allowed` and `mend` may be empty: then that line is left out.
    """

    code: str
    message: str
    path: str = ""
    file: str = ""
    line: int = 0
    column: int = 0
    found: str = ""
    allowed: str = ""
    mend: str = ""

    def __str__(self) -> str:
        """The text of MANIFEST.md: one line with the place, then what was found, what is allowed, how to mend it."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        head = "  ".join(part for part in (place, f"{self.path}: {self.message}" if self.path else self.message) if part)
        rows = (("found", self.found), ("allowed", self.allowed), ("mend", self.mend))
        return "\n".join([head, *(f"    {word:<8} {text}" for word, text in rows if text)])


class PlaneError(Exception):
    """The root. `retryable`: may the same call succeed later with nothing mended? `fault`: who can mend it."""

    retryable: bool = False
    fault: Fault = "operator"

    @property
    def reason(self) -> str:
        """The CamelCase word that status shows: the class's name."""
        return type(self).__name__


class ManifestInvalid(PlaneError):
    """What was written cannot be accepted; `problems` holds every reason at once."""

    fault: Fault = "author"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class Conflict(PlaneError):
    """A resource of the wanted name is not ours, or changed between look and write. `owner` says whose it is, if that is known."""

    def __init__(self, message: str, owner: str = "") -> None:
        self.owner = owner
        super().__init__(message)


class Stale(PlaneError):
    """Our lease, fence or version was overtaken. Somebody newer goes on: stop without an error."""

    retryable = True
    fault: Fault = "nobody"


class NotReady(PlaneError):
    """A stated wait. `after` is how long to wait before the next look."""

    retryable = True
    fault: Fault = "nobody"

    def __init__(self, message: str, after: timedelta = timedelta(minutes=1)) -> None:
        self.after = after
        super().__init__(message)


class Denied(PlaneError):
    """An IAM denial. `action` is `service:Operation`; `resource` may be empty where AWS does not say."""

    def __init__(self, message: str, action: str = "", resource: str = "") -> None:
        self.action, self.resource = action, resource
        super().__init__(message)


class NotFound(PlaneError):
    """The named resource does not exist."""


class AlreadyExists(PlaneError):
    """A resource of this name exists. After our own create it means: observe again and compare."""


class Throttled(PlaneError):
    """AWS asks us to slow down, and its own retries are used up."""

    retryable = True
    fault: Fault = "aws"


class Rejected(PlaneError):
    """AWS says that the request is wrong: it will be wrong again until somebody changes something."""

    fault: Fault = "author"


class GateFailed(PlaneError):
    """A run's data is not published. `cause` is one of `model.publishing.CAUSES`. State machines know the error by the class's name."""

    fault: Fault = "author"

    def __init__(self, cause: str, message: str) -> None:
        self.cause = cause
        super().__init__(f"{cause}: {message}")


class MainMoved(PlaneError):
    """A table's `main` is no longer what the run's branch began from. The class's name is what a state machine catches."""

    retryable = True
    fault: Fault = "nobody"


class RestoreRefused(PlaneError):
    """A table is not restored as somebody asked. `reasons` holds all of them. State machines know the error by the class's name."""

    def __init__(self, reasons: Iterable[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("; ".join(self.reasons))


class SourceFailed(PlaneError):
    """A source answered what cannot be taken: a status, no JSON, no records where they should be."""

    fault: Fault = "author"


class ScriptFailed(SourceFailed):
    """A source's own script. `said` is what the interpreter says, `line` and `column` where; empty and 0 where it is nothing of a line."""

    def __init__(self, told: str, said: str = "", line: int = 0, column: int = 0) -> None:
        super().__init__(told)
        self.said, self.line, self.column = said, line, column


class Refused(SourceFailed):
    """A URL, an address, a redirect or a size that a source may not have."""


class Broken(PlaneError):
    """A connection to a source that failed: worth another try."""

    retryable = True
    fault: Fault = "nobody"


class IngestUnfinished(PlaneError):
    """The function's time is up, or a source asks for a longer wait. The class's name is what a state machine catches: it calls again."""

    retryable = True
    fault: Fault = "nobody"


class ServiceFault(PlaneError):
    """AWS failed or the connection broke. Whether a write took effect is unknown: observe again."""

    retryable = True
    fault: Fault = "aws"
