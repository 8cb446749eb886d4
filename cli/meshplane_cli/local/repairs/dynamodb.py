"""DynamoDB's limit of an item: moto counts an attribute's old value beside its new one, so that rewriting one half as large is refused."""

from __future__ import annotations

from typing import Any

from moto.dynamodb.exceptions import ItemSizeTooLarge
from moto.dynamodb.models.dynamo_type import DynamoType, LimitedSizeDict
from moto.dynamodb.models.utilities import bytesize

LIMIT = 400 * 1024  # bytes, names and values (DynamoDB guide, "Constraints", item size)


def apply() -> None:
    """Mend in this process."""
    LimitedSizeDict.__setitem__ = _set


def _set(self: LimitedSizeDict, key: str, value: Any) -> None:
    held = sum(_size(name) + _size(other) for name, other in self.items() if name != key)
    if held + _size(key) + _size(value) > LIMIT:
        raise ItemSizeTooLarge
    dict.__setitem__(self, key, value)


def _size(value: Any) -> int:
    return int(value.size()) if type(value) is DynamoType else bytesize(str(value))
