"""How a repair puts its operations over moto's: methods of a mixin copied onto moto's own response class.

Copying, not subclassing: several repairs may mend one service, in any order, and moto's URL tables keep pointing at its own class.
"""

from __future__ import annotations

from typing import Any

from moto.core.exceptions import JsonRESTError


def install(response: type[Any], operations: type[Any]) -> None:
    """Copy every public method of `operations` onto moto's `response` class. Private ones go too; dunders and data do not."""
    for name, value in vars(operations).items():
        if not name.startswith("__") and (callable(value) or isinstance(value, property)):
            setattr(response, name, value)


def refuse(code: str, message: str) -> JsonRESTError:
    """An error as a JSON service answers it: status 400, `code` as boto3 shows it."""
    return JsonRESTError(code, message)


def page(rows: list[Any], token: str | None, limit: int | None, most: int) -> tuple[list[Any], str | None]:
    """One page of `rows` and the token of the next. Tokens are offsets: opaque to callers, as AWS's are."""
    start, size = int(token or 0), min(limit or most, most)
    following = start + size
    return rows[start:following], str(following) if following < len(rows) else None
