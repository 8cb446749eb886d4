"""Which URLs a source may call: judged from the text alone, before any name is resolved. Pure.

Called by the manifest's checks and, again for every request and redirect, by `net.http`. What a name resolves to is `net.addresses`'.
Refused rather than mended: whatever two parsers could read in two ways (user information, back slashes, numbers as hosts …) is no URL.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

LOOPBACK = frozenset({"127.0.0.1", "localhost"})
_NAME = r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?"  # RFC 1123; the last label is never a number
_PRINTABLE = r"[\x21-\x5b\x5d-\x7e]+"  # ASCII without space and back slash


@dataclass(frozen=True, slots=True)
class Allowed:
    """`hosts` are `domain.json`'s `api_hosts` (`*.example.org` takes its subdomains, not itself); `loopback` is for laptops."""

    hosts: tuple[str, ...] = ()
    loopback: tuple[str, ...] = ()

    @staticmethod
    def of(hosts: Iterable[str], loopback: Iterable[str] = ()) -> Allowed:
        """From lists."""
        return Allowed(tuple(hosts), tuple(loopback))

    def takes(self, host: str) -> bool:
        """Is this host on the list?"""
        return any(host.endswith(each[1:]) if each.startswith("*.") else host == each for each in self.hosts)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request goes: what two URLs share that are of the same origin."""

    scheme: str
    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Plain HTTP to this machine, which only a laptop may."""
        return self.scheme == "http"


def place(url: str, allowed: Allowed) -> tuple[Place | None, str]:
    """Where a URL leads, or why it may not be called: exactly one of the two says something."""
    if not re.fullmatch(_PRINTABLE, url):
        return None, "a URL has printable ASCII characters only, no space and no back slash"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None, "this is no URL"
    host = parts.netloc.rpartition("@")[2].partition(":")[0]
    if parts.scheme not in ("http", "https") or not url.startswith(f"{parts.scheme}://"):
        return None, "only https:// is called"
    if "@" in parts.netloc:
        return None, "a URL names no user: credentials come from Secrets Manager"
    if parts.fragment or "#" in url:
        return None, "a URL that is called has no fragment"
    if host in LOOPBACK and host in allowed.loopback and parts.scheme == "http" and port:
        return Place("http", host, port), ""
    if parts.scheme != "https":
        return None, "only https:// is called"
    if port not in (None, 443) or parts.netloc.endswith(":"):
        return None, "only port 443 is called"
    if len(host) > 253 or not re.fullmatch(_NAME, host):
        return None, "a host is a name in lower-case letters, never an address"
    if not allowed.takes(host):
        return None, f"host {host} is not on the domain's list"
    return Place("https", host, 443), ""
