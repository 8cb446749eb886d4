"""What every check looks at: the document, what was written beside it, and where to note a problem. Pure.

Names are taken from what was written, not from what was accepted: a reference to a table that is broken itself is no second fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from meshplane.model.domain import Domain
from meshplane.model.manifest.document import Document
from meshplane.model.manifest.tables import Column, TablePart
from meshplane.model.problems import Findings, Loc, did_you_mean
from meshplane.model.types import Type


@dataclass(frozen=True, slots=True)
class Scope:
    """One merged form under judgement. `project` is the folder's name; `domain` None means that exact name lengths are not known."""

    project: str
    environments: tuple[str, ...]
    document: Document
    findings: Findings
    domain: Domain | None = None

    def names(self, section: str) -> list[str]:
        """All names written under `tables`, `jobs` or `pipelines`, the broken ones too."""
        node = self.findings.root.child(section)
        return [str(name) for name, _ in node.children()] if node else []

    def columns(self, table: str) -> dict[str, Type | None]:
        """Written columns of a table, with their types; None where the column itself is broken."""
        node = self.findings.root.child("tables")
        for key in (table, "columns"):
            node = node.child(key) if node else None
        part = self.document.tables.get(table)
        good: Mapping[str, Column] = part.columns if part else {}
        written = [str(name) for name, _ in node.children()] if node else []
        return {name: good[name].type if name in good else None for name in written}

    def table(self, name: str) -> TablePart | None:
        """A table that was accepted."""
        return self.document.tables.get(name)

    def known_column(self, loc: Loc, table: str, column: str) -> bool:
        """Is it a column of this table? Notes it when not."""
        known = self.columns(table)
        if column in known:
            return True
        if known:
            message = f"no column '{column}' in table '{table}'"
            self.findings.add("ref-column", loc, message, found=column, allowed=", ".join(known), mend=did_you_mean(column, known))
        return False

    def once(self, loc: Loc, names: Iterable[str], what: str) -> None:
        """Notes what stands twice in a list, without regard to case."""
        seen: set[str] = set()
        for index, name in enumerate(names):
            if name.lower() in seen:
                self.findings.add(
                    "listed-twice", (*loc, index), f"{what} '{name}' stands twice in this list", found=name, mend="name it once"
                )
            seen.add(name.lower())
