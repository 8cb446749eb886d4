"""One GET, or one POST of JSON, towards a declared host: the adapter behind `flows.ingest_ports.Http`, made by `wiring`.

The name is resolved once and the connection goes to that address, with the certificate checked against the name; redirects stay at
the same scheme, host and port; size (decoded) and time are capped. Nothing is logged here, and credentials are only in headers, which
no error quotes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import urllib3

from meshplane.errors import Broken, Refused
from meshplane.model.sources import Response
from meshplane.model.urls import Allowed, Place, place
from meshplane.net.addresses import Resolve, public_address, system_resolver
from meshplane.net.deadlines import CONNECT_SECONDS, SILENT_SECONDS, Deadline, Pool, TlsPool

MAX_BYTES = 16 * 1024 * 1024
MAX_SECONDS = 60.0
MAX_REDIRECTS = 3
_CHUNK = 64 * 1024
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps of one answer: decoded bytes, and seconds to its last byte, redirects included; only a slow resolver overruns them."""

    bytes: int = MAX_BYTES
    seconds: float = MAX_SECONDS


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Sent:
    """What a request brings beside its URL."""

    headers: Mapping[str, str]
    body: str = ""


class SafeHttp:
    """`tick` is a monotonic clock in seconds."""

    def __init__(
        self, allowed: Allowed, tick: Callable[[], float], resolve: Resolve = system_resolver, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self._allowed, self._tick, self._resolve = allowed, tick, resolve
        self._limits = limits

    def ask(self, url: str, headers: Mapping[str, str], body: str = "") -> Response:
        """The answer, whatever its status: of a POST where there is a body, which no redirect sends elsewhere.

        Raises Refused for a URL or answer that is not allowed, Broken for a connection that failed.
        """
        start, deadline = self._place(url), Deadline(self._tick, self._tick() + self._limits.seconds)
        address = start.host if start.is_loopback else public_address(start.host, start.port, self._resolve)
        with _pool(start, address, deadline) as pool:
            for _ in range(MAX_REDIRECTS + 1):
                answer = self._once(pool, start, url, Sent(headers, body), deadline)
                if answer.status not in _REDIRECTS:
                    return answer
                if body:
                    raise Refused(f"{start.host} redirects a request with a body, which is not followed")
                url = _redirected(start, url, answer)
                if self._place(url) != start:
                    raise Refused(f"{start.host} redirects to another host, which is not followed")
        raise Refused(f"{start.host} redirects more than {MAX_REDIRECTS} times")

    def _place(self, url: str) -> Place:
        found, why = place(url, self._allowed)
        if found is None:
            raise Refused(why)
        return found

    def _once(self, pool: Any, start: Place, url: str, sent: Sent, deadline: Deadline) -> Response:
        try:
            answer = _sent(pool, start, url, sent)
            try:
                held = self._body(answer, start)
            finally:
                answer.close()
        except (urllib3.exceptions.HTTPError, ValueError) as error:  # ValueError: http.client's own, of a chunk with a negative length
            if deadline.has_passed:
                raise Broken(f"{start.host} took longer than {self._limits.seconds:.0f} s to answer") from error
            raise Broken(f"{start.host}: the connection failed ({type(error).__name__})") from error
        # By name, urllib3 joins the lines of a header that comes more than once with ", " (RFC 9110 §5.3); by item, the last one wins.
        return Response(answer.status, {name.lower(): answer.headers[name] for name in answer.headers}, held)

    def _body(self, answer: Any, start: Place) -> bytes:
        held = bytearray()
        while chunk := answer.read(_CHUNK, decode_content=True):
            held += chunk
            if len(held) > self._limits.bytes:
                raise Refused(f"{start.host} answered more than {self._limits.bytes} bytes; ask for smaller pages")
        return bytes(held)


def _sent(pool: Any, start: Place, url: str, sent: Sent) -> Any:
    """The answer, its body not read yet. Raises Refused for what HTTP cannot carry."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = f"{start.host}:{start.port}" if start.is_loopback else start.host
    json = {"Content-Type": "application/json"} if sent.body else {}
    headers = {"Accept": "application/json", "User-Agent": "meshplane", "Accept-Encoding": "gzip", **json, **sent.headers, "Host": host}
    try:
        method, body = ("POST", sent.body.encode()) if sent.body else ("GET", None)
        return pool.urlopen(method, target, body=body, headers=headers, redirect=False, retries=False, preload_content=False)
    except ValueError:  # it quotes the header, which may be a credential: nothing of it goes on, not as a cause either
        raise Refused(f"{start.host}: a header or the body has characters that HTTP does not take") from None


def _redirected(start: Place, url: str, answer: Response) -> str:
    try:
        return urljoin(url, answer.headers.get("location", ""))
    except ValueError as error:
        raise Refused(f"{start.host} redirects to what is no URL") from error


def _pool(start: Place, address: str, deadline: Deadline) -> Any:
    timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=SILENT_SECONDS)
    if start.is_loopback:
        return Pool(address, start.port, timeout=timeout, deadline=deadline)
    # The certificate and the handshake are the name's, the connection is the judged address's.
    return TlsPool(
        address,
        start.port,
        timeout=timeout,
        deadline=deadline,
        cert_reqs="CERT_REQUIRED",
        assert_hostname=start.host,
        server_hostname=start.host,
    )
