"""What a name resolves to, once, and whether that may be called (SSRF). Called by `net.http`, which then connects to that address only."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence

from meshplane.errors import Refused

Resolve = Callable[[str, int], Sequence[str]]
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48")  # NAT64 (RFC 6052, 8215): an IPv4 inside


def system_resolver(host: str, port: int) -> Sequence[str]:
    """Every address of a name, as the machine resolves it. Raises Refused when it has none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Refused(f"host {host} does not resolve") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: str) -> bool:
    """Is it a global unicast address, also where one address is written inside another (IPv4-mapped, 6to4, Teredo, NAT64)?"""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and (
        found.ipv4_mapped or found.sixtofour or found.teredo or any(found in network for network in _TRANSLATED)
    ):
        return False  # nothing that we call has to be reached so
    return found.is_global and not (found.is_multicast or found.is_reserved or found.is_unspecified)


def public_address(host: str, port: int, resolve: Resolve = system_resolver) -> str:
    """The address to connect to. One that is not public among several refuses them all: a name that mixes them rebinds. Raises Refused."""
    addresses = resolve(host, port)
    inside = [address for address in addresses if not is_public(address)]
    if inside or not addresses:
        raise Refused(f"host {host} resolves to {', '.join(inside) or 'nothing'}, which is no public address")
    return addresses[0]
