"""What moto keeps for ever: each thing that it ever made, and with each listing of versions a copy of every object, content included.

An embedded AWS of days would grow without end, and one that holds large files would not live for an hour: a gigabyte of raw data was a
gigabyte more with each run of a job, which lists versions.
"""

from __future__ import annotations

from typing import Any

from moto.core.common_models import BaseModel
from moto.s3.models import FakeKey


def apply() -> None:
    """Mend in this process."""
    BaseModel.__new__ = _untracked
    FakeKey.__deepcopy__ = _listed
    FakeKey.__del__ = FakeKey.dispose  # which closes its file; moto would also warn that nobody else has


def _untracked(cls: Any, *_: Any, **__: Any) -> Any:
    """moto's lists of instances serve its own web page, which the embedded AWS does not have."""
    return super(BaseModel, cls).__new__(cls)


def _listed(self: FakeKey, _: Any) -> FakeKey:
    """A key as a listing needs it, which only marks it: without the content. It is the one place where moto copies keys this way."""
    etag = self.etag.strip('"')  # made of the content once, and kept
    copied = object.__new__(type(self))
    copied.__dict__.update({name: value for name, value in self.__dict__.items() if name != "_value_buffer"}, _etag=etag)
    return copied
