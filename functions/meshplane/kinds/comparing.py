"""Equality of two specs, field by field, as differences that a plan can show. Pure; used by the kinds whose every field is set in place."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields
from typing import Any

from meshplane.model.resource import Difference, Effect

SHOWN = 120  # characters of a value that a plan prints; the rest is behind `--json`


def differences(want: Any, seen: Any, effects: Mapping[str, Effect] | None = None) -> tuple[Difference, ...]:
    """What differs between two frozen dataclasses of one type; mappings key by key (`arguments.--conf`). SAFE where `effects` is silent."""
    found: list[Difference] = []
    for each in fields(want):
        wanted, was = getattr(want, each.name), getattr(seen, each.name)
        if wanted != was:
            effect = (effects or {}).get(each.name, Effect.SAFE)
            found += [Difference(name, *_short(old, new), effect) for name, old, new in _parts(each.name, was, wanted)]
    return tuple(found)


def changed(diff: Collection[Difference], *names: str) -> bool:
    """Whether a difference concerns one of these fields: adapters call only the APIs that they need."""
    return any(each.field.split(".")[0] in names for each in diff)


def _parts(name: str, was: Any, wanted: Any) -> Iterator[tuple[str, str, str]]:
    if not isinstance(wanted, Mapping):
        yield name, _text(was), _text(wanted)
        return
    for key in sorted(set(wanted) | set(was)):
        if wanted.get(key) != was.get(key):
            yield f"{name}.{key}", _text(was.get(key, "")), _text(wanted.get(key, ""))


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_text, value))
    return value if isinstance(value, str) else str(value)


def _short(was: str, wanted: str) -> tuple[str, str]:
    """Both cut to SHOWN, from a little before where they part: two long policies must not look the same."""
    if max(len(was), len(wanted)) <= SHOWN:
        return was, wanted
    parts = next((n for n, (a, b) in enumerate(zip(was, wanted, strict=False)) if a != b), min(len(was), len(wanted)))
    start = max(0, parts - 30)

    def cut(text: str) -> str:
        return ("…" if start else "") + text[start : start + SHOWN] + ("…" if len(text) > start + SHOWN else "")

    return cut(was), cut(wanted)
