"""Functions that moto runs anew in every request or for every member of an answer, cached: half of the server's CPU
(local-aws §1) and some more. What an answer is made of is the same afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from typing import Any

import moto.backends
import moto.core.responses as responses
import moto.moto_server.werkzeug_app as server
from moto.core.serialize import AttributePicker, XFormedAttributePicker

_KEPT = 200_000  # spellings; every answer of the tested operations together has some ten thousand


def apply() -> None:
    """Mend in this process, last of all repairs: a class's operations are listed once, so they must all be there."""
    if not hasattr(responses.method_names_from_class, "cache_clear"):
        responses.method_names_from_class = cache(responses.method_names_from_class)
        modules = tuple(moto.backends.list_of_moto_modules())
        moto.backends.list_of_moto_modules = lambda: modules
        dispatcher = server.DomainDispatcherApplication
        dispatcher.get_backend_for_host = lru_cache(maxsize=4096)(dispatcher.get_backend_for_host)
        for picker in (XFormedAttributePicker, AttributePicker):
            picker.get_possible_keys = _once(picker.get_possible_keys)
    responses.method_names_from_class.cache_clear()


def _once(spellings: Callable[[Any, Any], Iterable[str]]) -> Callable[[Any, Any], Iterable[str]]:
    """A member's possible names in an object follow from the member and the object's class, but for classes with aliases of their own."""
    known: dict[Any, tuple[str, ...]] = {}

    def possible(self: Any, context: Any) -> Iterable[str]:
        kind = type(context.obj)
        if hasattr(kind, "Meta"):
            return spellings(self, context)
        member = (type(self), tuple(self.alias_providers), context.key, context.shape, kind)
        found = known.get(member)
        if found is None:
            if len(known) > _KEPT:
                known.clear()
            found = known[member] = tuple(spellings(self, context))
        return found

    return possible
