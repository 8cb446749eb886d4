"""A pull request's comments: one text, split where GitHub's limit makes it, updated in place at the next push. Called by `commands.deploy`.

REST API "Issue comments": list, create, update, delete. A comment is ours when its first line is our marker with the name given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from meshplane_cli.delivery.github import GitHub

LIMIT = 65_536  # characters of a comment's body (GitHub answers 422 beyond)
_FENCE = "```"
_ROOM = 400  # for marker, heading and the fences that a cut opens and closes
_PAGE = 100


@dataclass(frozen=True, slots=True)
class PullRequest:
    """Where the comments go; the token needs `pull-requests: write`."""

    github: GitHub
    number: int

    def keep(self, name: str, text: str) -> Sequence[str]:
        """Make the comments called `name` say `text`: update what is there, add what is missing, delete what is left over.

        What was done to each, in order. Raises CliError with GitHub's own reason.
        """
        parts = split(text, name)
        present = sorted(self._ours(name), key=lambda row: int(row["id"]))
        done = []
        for index, part in enumerate(parts):
            if index >= len(present):
                self.github.ask("POST", f"issues/{self.number}/comments", {"body": part})
                done.append("created")
            elif present[index]["body"] != part:
                self.github.ask("PATCH", f"issues/comments/{present[index]['id']}", {"body": part})
                done.append("updated")
            else:
                done.append("unchanged")
        for row in present[len(parts) :]:
            self.github.ask("DELETE", f"issues/comments/{row['id']}")
            done.append("deleted")
        return done

    def _ours(self, name: str) -> Iterator[dict[str, Any]]:
        page = 1
        while True:
            rows = self.github.ask("GET", f"issues/{self.number}/comments?per_page={_PAGE}&page={page}")
            yield from (row for row in rows if str(row["body"]).startswith(_marker(name)))
            if len(rows) < _PAGE:
                return
            page += 1


def split(text: str, name: str, limit: int = LIMIT) -> list[str]:
    """The bodies, each at most `limit` characters: cut between lines (a longer line anywhere), a fenced block goes on in the next."""
    pieces = list(_pieces(text, limit - _ROOM - len(name) * 2))
    if len(pieces) == 1:
        return [f"{_marker(name)}\n{pieces[0]}"]
    return [f"{_marker(name)}\n**{name}, part {index} of {len(pieces)}**\n\n{piece}" for index, piece in enumerate(pieces, 1)]


def _pieces(text: str, room: int) -> Iterator[str]:
    lines, size, fence = list[str](), 0, ""
    for line in _lines(text, room // 2):
        if lines and size + len(line) + 1 > room:
            yield "\n".join([*lines, _FENCE] if fence else lines)
            lines = [fence] if fence else []
            size = len(fence) + 1
        lines.append(line)
        size += len(line) + 1
        if line.startswith(_FENCE):
            fence = "" if fence else line
    yield "\n".join(lines)


def _lines(text: str, longest: int) -> Iterator[str]:
    for line in text.split("\n"):
        yield from (line[start : start + longest] for start in range(0, max(len(line), 1), longest))


def _marker(name: str) -> str:
    return f"<!-- meshplane: {name} -->"
