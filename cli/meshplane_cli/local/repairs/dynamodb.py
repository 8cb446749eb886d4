"""DynamoDB's limit of an item: moto counts an attribute's old value beside its new one, so that rewriting one half as large is refused.

And what an answer costs: moto asks of each value for all ten types that it could have, and copies what lies in it once for each level
above. Half of the time of writing a project's record was that.
"""

from __future__ import annotations

import base64
import copy
from typing import Any

from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb.exceptions import ItemSizeTooLarge
from moto.dynamodb.models.dynamo_type import DynamoType, LimitedSizeDict
from moto.dynamodb.models.utilities import bytesize

LIMIT = 400 * 1024  # bytes, names and values (DynamoDB guide, "Constraints", item size)
_structure = BaseJSONSerializer._serialize_type_structure


def apply() -> None:
    """Mend in this process."""
    LimitedSizeDict.__setitem__ = _set
    BaseJSONSerializer._serialize_type_structure = _serialized
    DynamoType.to_regular_json = _plain


def _set(self: LimitedSizeDict, key: str, value: Any) -> None:
    held = sum(_size(name) + _size(other) for name, other in self.items() if name != key)
    if held + _size(key) + _size(value) > LIMIT:
        raise ItemSizeTooLarge
    dict.__setitem__(self, key, value)


def _size(value: Any) -> int:
    if type(value) is not DynamoType:
        return int(bytesize(str(value)))
    if value.is_map():
        return sum(int(bytesize(name)) + _size(one) for name, one in value.value.items())
    return sum(map(_size, value.value)) if value.is_list() else int(value.size())


def _serialized(self: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
    """A value that says its type is not asked for the nine others."""
    told = next(iter(value)) if key and shape.name == "AttributeValue" and type(value) is dict and len(value) == 1 else ""
    if told not in shape.members:
        _structure(self, serialized, value, shape, key)
        return
    wrapper = self.MAP_TYPE()
    self._serialize_structure_member(wrapper, value, shape.members[told], told)
    self._default_serialize(serialized, wrapper, shape, key)


def _plain(self: DynamoType) -> dict[str, Any]:
    """The value as JSON in full: made of what lies in it, instead of a copy of that."""
    value = self.value
    if isinstance(value, dict):
        value = {name: _inner(one) for name, one in value.items()}
    elif isinstance(value, list):
        value = [_inner(one) for one in value]
    elif self.is_binary() and isinstance(value, str):
        value = base64.b64decode(value)
    return {self.type: value}


def _inner(value: Any) -> Any:
    return _plain(value) if isinstance(value, DynamoType) else copy.deepcopy(value)
