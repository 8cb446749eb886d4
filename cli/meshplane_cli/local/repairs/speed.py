"""Three functions that moto runs anew in every request, cached: about half of the server's CPU (local-aws §1)."""

from __future__ import annotations

from functools import cache, lru_cache

import moto.backends
import moto.core.responses as responses
import moto.moto_server.werkzeug_app as server


def apply() -> None:
    """Mend in this process, last of all repairs: a class's operations are listed once, so they must all be there."""
    if not hasattr(responses.method_names_from_class, "cache_clear"):
        responses.method_names_from_class = cache(responses.method_names_from_class)
        modules = tuple(moto.backends.list_of_moto_modules())
        moto.backends.list_of_moto_modules = lambda: modules
        dispatcher = server.DomainDispatcherApplication
        dispatcher.get_backend_for_host = lru_cache(maxsize=4096)(dispatcher.get_backend_for_host)
    responses.method_names_from_class.cache_clear()
