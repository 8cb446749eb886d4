"""The embedded AWS's clock: the machine's, plus an offset that `meshplane local advance` moves forward.

Read by the repairs (queues, schedules, alarms), the router and the workers' processes (through the file named by MESHPLANE_CLOCK_FILE).
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

FILE_VARIABLE = "MESHPLANE_CLOCK_FILE"


class LocalClock:
    """Never runs backwards: the offset only grows. Implements `meshplane.ports.Clock`."""

    def __init__(self) -> None:
        self._offset = timedelta()
        self._file: Path | None = None

    def keep_in(self, file: Path) -> None:
        """Read the offset from `file` (seconds, as text), and write it there from now on."""
        self._file = file
        if file.exists():
            self._offset = timedelta(seconds=float(file.read_text(encoding="ascii")))

    def now(self) -> datetime:
        """The present moment here, aware, UTC."""
        return datetime.now(UTC) + self._offset

    def millis(self) -> float:
        """The same as milliseconds since 1970, the unit of queues."""
        return self.now().timestamp() * 1000

    def move_to(self, moment: datetime) -> None:
        """Jump forward to `moment`; a past one changes nothing."""
        self._offset = max(self._offset, moment - datetime.now(UTC))
        if self._file is not None:
            part = self._file.with_suffix(".part")
            part.write_text(str(self._offset.total_seconds()), encoding="ascii")
            part.replace(self._file)

    def reset(self) -> None:
        """Back to the machine's time."""
        self._offset = timedelta()
        if self._file is not None:
            self._file.unlink(missing_ok=True)


def now_by_file() -> datetime:
    """The clock as a worker's own process sees it: the machine's time plus the offset in the file that the server keeps."""
    name = os.environ.get(FILE_VARIABLE, "")
    try:
        seconds = float(Path(name).read_text(encoding="ascii")) if name else 0.0
    except FileNotFoundError:
        seconds = 0.0
    return datetime.now(UTC) + timedelta(seconds=seconds)


CLOCK = LocalClock()
"""The one clock of the server's process."""
