"""All of moto's state in one file, so that `down` and `up`, and a kill, lose nothing (local-aws §9). For the same version of moto only.

Locks and threads are made anew; a reference to a backend is restored as the living backend, not as a copy of it.
"""

from __future__ import annotations

import importlib
import io
import pickle
import threading
from collections import defaultdict
from copyreg import __newobj__  # type: ignore[attr-defined]
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import moto
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from moto.core.base_backend import BackendDict, BaseBackend
from moto.s3.utils import _VersionedKeyStore

_LOCK, _RLOCK = type(threading.Lock()), type(threading.RLock())
_VANISHING = frozenset({"ExecutionWorker", "SyncExecutionWorker"})
_FORMAT = f"moto {moto.__version__}"


class _Pickler(pickle.Pickler):
    def persistent_id(self, item: Any) -> Any:
        if isinstance(item, BaseBackend):
            return type(item).__module__, type(item).__name__, item.account_id, item.region_name
        return None

    def reducer_override(self, item: Any) -> Any:
        if isinstance(item, _VersionedKeyStore):  # a plain pickle keeps only the newest version of each key
            return _key_store, ([(name, item.getlist(name)) for name in list(dict.keys(item))],)
        if isinstance(item, _LOCK):
            return threading.Lock, ()
        if isinstance(item, _RLOCK):
            return threading.RLock, ()
        if isinstance(item, RSAPrivateKey | EllipticCurvePrivateKey):
            return _private_key, (item.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),)
        if isinstance(item, WeakValueDictionary):
            return WeakValueDictionary, (dict(item),)
        if isinstance(item, defaultdict) and type(item) is not defaultdict:  # its own __init__ takes other arguments
            return __newobj__, (type(item),), item.__dict__, None, iter(item.items())
        if isinstance(item, defaultdict) and "<locals>" in getattr(item.default_factory, "__qualname__", ""):
            return dict, (dict(item),)  # the living backend still has the factory: see `load`
        if isinstance(item, threading.Thread) or type(item).__name__ in _VANISHING:
            return type(None), ()
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, name: Any) -> Any:
        return _living(*name)


def save(path: Path, whole: bool = False) -> list[str]:
    """Write everything; the names of backends that could not be written (empty when all is well). `whole`: then write nothing."""
    states: dict[tuple[str, str, str, str], bytes] = {}
    lost: list[str] = []
    for backends in list(BackendDict._instances):
        for account, region, backend in list(backends.iter_backends()):
            name = type(backend).__module__, type(backend).__name__, account, region
            buffer = io.BytesIO()
            try:
                _Pickler(buffer, 5).dump(backend.__dict__)
                states[name] = buffer.getvalue()
            except Exception as fault:  # noqa: BLE001  # one service that cannot be kept must not cost the others
                lost.append(f"{name[1]}: {fault!r}"[:200])
    if whole and lost:
        return lost
    part = path.with_suffix(".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(pickle.dumps((_FORMAT, states), 5))
    part.replace(path)
    return lost


def load(path: Path) -> int:
    """Restore what `save` wrote; how many backends. Raises ValueError for a file of another version."""
    made_by, states = pickle.loads(path.read_bytes())  # noqa: S301  # our own file, under the checkout
    if made_by != _FORMAT:
        raise ValueError(f"{path} was written by {made_by}, this is {_FORMAT}: run `meshplane local reset`")
    for name, state in states.items():
        backend = _living(*name)
        for attribute, value in _Unpickler(io.BytesIO(state)).load().items():
            backend.__dict__[attribute] = _with_factory(value, backend.__dict__.get(attribute))
    return len(states)


def _with_factory(value: Any, living: Any) -> Any:
    """`value`, with the default factory that the living backend's own attribute has: some cannot be written."""
    if not isinstance(living, defaultdict):
        return value
    if isinstance(value, defaultdict):
        value.default_factory = living.default_factory
        return value
    return defaultdict(living.default_factory, value)


def _living(module: str, kind: str, account: str, region: str) -> Any:
    for value in vars(importlib.import_module(module)).values():
        if isinstance(value, BackendDict) and value.backend.__name__ == kind:
            return value[account][region]
    raise ValueError(f"moto has no backend {kind} in {module}")


def _private_key(text: bytes) -> Any:
    return load_pem_private_key(text, None)


def _key_store(rows: list[tuple[str, list[Any]]]) -> Any:
    store = _VersionedKeyStore()
    for name, versions in rows:
        store.setlist(name, versions)
    return store
