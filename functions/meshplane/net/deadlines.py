"""Connections that end at a moment, however slowly the other side drips: connect, handshake, sending, headers and body together.

A socket's own time-out holds for one wait only, and http.client waits once per line and chunk. Here every single wait gets what is
left. Called by `net.http`.
"""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

CONNECT_SECONDS = 5.0
SILENT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """`at` is a moment of the monotonic clock `tick`."""

    tick: Callable[[], float]
    at: float

    @property
    def has_passed(self) -> bool:
        """Is there no time left?"""
        return self.tick() >= self.at

    def wait(self, at_most: float) -> float:
        """How long one wait may take. Raises TimeoutError, as a socket does, when there is no time left: 0 would mean not to block."""
        left = self.at - self.tick()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return min(left, at_most)


class _Reader(io.RawIOBase):
    """What http.client's buffer reads from: an unbuffered file of the socket, which keeps the socket open until it is closed itself."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock, self._deadline = sock, deadline
        self._file = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._deadline.wait(SILENT_SECONDS))
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Socket:
    """A connected socket, with TLS or without. What is not here is the socket's own."""

    def __init__(self, sock: Any, deadline: Deadline) -> None:
        self._sock, self._deadline = sock, deadline

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def makefile(self, *_: Any) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock, self._deadline))

    def sendall(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._sock.settimeout(self._deadline.wait(SILENT_SECONDS))
            rest = rest[self._sock.send(rest) :]


class _Connection(HTTPConnection):
    def __init__(self, host: str, port: int | None = None, *, deadline: Deadline, **others: Any) -> None:
        super().__init__(host, port, **others)
        self._deadline = deadline

    def _new_conn(self) -> socket.socket:
        self.timeout = self._deadline.wait(CONNECT_SECONDS)
        found = super()._new_conn()
        found.settimeout(self._deadline.wait(CONNECT_SECONDS))  # of the handshake: one time-out holds for the whole of it
        return found

    def connect(self) -> None:
        super().connect()
        self.sock: Any = _Socket(self.sock, self._deadline)


class _TlsConnection(_Connection, HTTPSConnection):
    """`super()` of `_Connection` is here urllib3's connection with TLS."""


class Pool(urllib3.HTTPConnectionPool):
    """urllib3's, with a `deadline` beside its other arguments."""

    ConnectionCls = _Connection


class TlsPool(urllib3.HTTPSConnectionPool):
    """The same for TLS."""

    ConnectionCls = _TlsConnection
