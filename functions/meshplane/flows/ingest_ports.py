"""What `flows.ingest_api` needs of the world: the API, the archive, a sandbox for scripts, time. `wiring` fills it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from meshplane.model.sources import Page, Place, Response
from meshplane.ports import Clock


class Http(Protocol):
    """One GET, or with a body one POST of JSON. Raises Refused, Broken."""

    def ask(self, url: str, headers: Mapping[str, str], body: str = "") -> Response:
        """The answer, whatever its status."""
        ...


class Script(Protocol):
    """A source's own file, ready to be called. Raises ScriptFailed."""

    def call(self, function: str, *given: Any) -> Any:
        """What one of its functions answers, as plain values."""
        ...


class IngestStore(Protocol):
    """What an ingestion keeps, in the project's own prefix of the raw bucket. Writes are made at most once, but for `note`, `remember`."""

    def begin(self, run_id: str, begun: Mapping[str, Any]) -> Mapping[str, Any]:
        """Keep how a run began, and give back how it began first."""
        ...

    def page(self, run_id: str, number: int) -> Page | None:
        """An archived page."""
        ...

    def archive(self, run_id: str, number: int, page: Page) -> None:
        """Keep a page."""
        ...

    def noted(self, run_id: str, place: Place) -> Mapping[str, Any]:
        """Where an unfinished run, or the reparse of one, stood; empty where nothing was noted."""
        ...

    def note(self, run_id: str, place: Place, stand: Mapping[str, Any]) -> None:
        """Leave it for the next call. An older one only has it read more of the archive, an empty one all of it."""
        ...

    def land(self, path: str, text: str) -> None:
        """Put a file of records under the raw table."""
        ...

    def remembered(self) -> Mapping[str, Any]:
        """What the last whole run left: `cursor`, `prints`."""
        ...

    def remember(self, memory: Mapping[str, Any]) -> None:
        """Leave it."""
        ...

    def secret(self, name: str) -> Mapping[str, str]:
        """A secret's keys and values."""
        ...

    def script(self, path: str, sha256: str) -> str:
        """The text of a file of the project's release. Raises NotReady where it is not there, or is another one."""
        ...


@dataclass(frozen=True, slots=True)
class IngestPorts:
    """`left` is the function's remaining time, `pause` waits, `interpreting` opens a script by its path and text."""

    http: Http
    store: IngestStore
    clock: Clock
    left: Callable[[], timedelta]
    pause: Callable[[timedelta], None]
    interpreting: Callable[[str, str], AbstractContextManager[Script]]
