"""`net.http` against loopback servers that drip, mislead or are sent what HTTP cannot carry. The time is real: a cap of one second."""

from __future__ import annotations

import ssl
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from pathlib import Path
from socket import create_server, socket
from threading import Event, Thread
from time import monotonic

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from meshplane.errors import Broken, Refused
from meshplane.model.sources import Paginate, Response, Rest, following_url
from meshplane.model.urls import Place
from meshplane.net import addresses, http
from meshplane.net.http import Limits, SafeHttp
from tests.sources.apis import TOKEN, Shop
from tests.sources.world import HERE

OK = b"HTTP/1.1 200 OK\r\n"
NAME = "api.example.org"
Talk = Callable[[socket], object]


@dataclass
class Dripping:
    """Says `at_once`, then a byte of `slowly` every 0.2 s, then nothing more. `sent` counts the slow ones."""

    at_once: bytes
    slowly: bytes = b""
    tls: ssl.SSLContext | None = None
    sent: int = 0
    over: Event = field(default_factory=Event)

    def __call__(self, connection: socket) -> None:
        talking = self.tls.wrap_socket(connection, server_side=True) if self.tls else connection
        with talking:
            talking.recv(65536)
            talking.sendall(self.at_once)
            for byte in self.slowly:
                if self.over.wait(0.2):
                    return
                talking.sendall(bytes([byte]))
                self.sent += 1
            self.over.wait(10)


@contextmanager
def served(talk: Talk, over: Event) -> Iterator[int]:
    """A port where `talk` answers one connection after the other."""

    def accept() -> None:
        while not over.is_set():
            with suppress(OSError):  # the client leaves in the middle, or the listener is closed: that is what is tested
                connection, _ = listener.accept()
                with connection:
                    talk(connection)

    listener = create_server(("127.0.0.1", 0))
    listener.settimeout(0.2)
    thread = Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        thread.join(5)
        listener.close()


def ask(port: int, body: str = "", tick: Callable[[], float] = monotonic, seconds: float = 1) -> Response:
    return SafeHttp(HERE, tick, limits=Limits(seconds=seconds)).ask(f"http://127.0.0.1:{port}/x", {}, body)


def late_after(ticks: int) -> Callable[[], float]:
    """A clock that has 0.1 s of a cap of 4 s left from then on."""
    times = chain([0.0] * ticks, repeat(3.9))
    return lambda: next(times)


@contextmanager
def ends_at_once() -> Iterator[None]:
    begun = monotonic()
    with pytest.raises(Broken):
        yield
    assert monotonic() - begun < 3, "0.1 s, not the 4 s again"


@contextmanager
def ends_at_the_cap() -> Iterator[None]:
    begun = monotonic()
    with pytest.raises(Broken, match="took longer than 1 s"):
        yield
    assert monotonic() - begun < 3


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of NAME in one file, signed by itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding, nothing = serialization.Encoding.PEM, serialization.NoEncryption()
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, nothing) + built.public_bytes(encoding))
    return path


@dataclass
class Tls:
    """`server` is the server's side; the rest is the client's."""

    server: ssl.SSLContext
    monkeypatch: pytest.MonkeyPatch
    name: str = NAME
    tick: Callable[[], float] = monotonic
    seconds: float = 1

    def ask(self, port: int, body: str = "") -> Response:
        """All of the request is as it is in a function, but for the port, which is 443 there."""
        self.monkeypatch.setattr(http, "place", lambda url, allowed: (Place("https", self.name, port), ""))
        asking = SafeHttp(HERE, self.tick, lambda host, port: ["127.0.0.1"], Limits(seconds=self.seconds))
        return asking.ask(f"https://{self.name}/x", {}, body)


@pytest.fixture
def tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Tls:
    """The client trusts the certificate as if the machine's store had it, and takes loopback for public."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setattr(addresses, "is_public", lambda address: True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return Tls(context, monkeypatch)


SLOW = [
    pytest.param(OK + b"Content-Length: 50\r\n\r\n", b" " * 50, id="body"),
    pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 9, id="chunks"),
    pytest.param(b"", OK + b"Content-Length: 50\r\nX-Much: of it\r\n\r\n", id="headers"),
]


@pytest.mark.parametrize(("at_once", "slowly"), SLOW)
def test_an_answer_that_drips_ends_at_the_cap(at_once: bytes, slowly: bytes) -> None:
    api = Dripping(at_once, slowly)
    with served(api, api.over) as port, ends_at_the_cap():
        ask(port)
    assert 0 < api.sent < len(slowly), "there was more to send"


@pytest.mark.parametrize(("at_once", "slowly"), SLOW)
def test_an_answer_that_drips_ends_at_the_cap_by_tls(at_once: bytes, slowly: bytes, tls: Tls) -> None:
    api = Dripping(at_once, slowly, tls.server)
    with served(api, api.over) as port, ends_at_the_cap():
        tls.ask(port)
    assert 0 < api.sent < len(slowly), "there was more to send"


def test_an_answer_that_falls_silent_ends_at_the_cap() -> None:
    api = Dripping(OK + b"Content-Length: 50\r\n\r\n", b"  ")
    with served(api, api.over) as port, ends_at_the_cap():
        ask(port)
    assert api.sent == 2


def test_connecting_has_no_more_than_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    def connect(address: object, timeout: float, **others: object) -> None:
        given.append(timeout)
        raise TimeoutError

    monkeypatch.setattr("urllib3.util.connection.create_connection", connect)
    with pytest.raises(Broken):
        ask(1)
    assert 0 < given[0] <= 1


HANDSHAKE = b"\x16\x03\x03\x20\x00"  # begins a record of 8 KiB, which a server's hello may have


def test_a_handshake_that_drips_ends_at_the_cap(tls: Tls) -> None:
    api = Dripping(HANDSHAKE, b"\x02" * 50)
    with served(api, api.over) as port, ends_at_the_cap():
        tls.ask(port)
    assert 0 < api.sent < 50, "there was more to send"


def test_a_handshake_has_what_connecting_left(tls: Tls) -> None:
    tls.tick, tls.seconds = late_after(2), 4  # the cap is set, connecting begins
    api = Dripping(HANDSHAKE)
    with served(api, api.over) as port, ends_at_once():
        tls.ask(port)


def test_sending_has_what_connecting_left() -> None:
    over = Event()
    with served(lambda connection: bool(over.wait(10)), over) as port, ends_at_once():
        ask(port, " " * 16 * 1024 * 1024, late_after(3), 4)


def test_a_body_that_is_taken_slowly_ends_at_the_cap(tls: Tls) -> None:
    taken, over, wanted = bytearray(), Event(), 16 * 1024 * 1024

    def talk(connection: socket) -> None:
        with tls.server.wrap_socket(connection, server_side=True) as talking:
            while not over.wait(0.01) and (chunk := talking.recv(16384)):
                taken.extend(chunk)

    with served(talk, over) as port, ends_at_the_cap():
        tls.ask(port, " " * wanted)
    assert 0 < len(taken) < wanted, "there was more to take"


def test_redirects_do_not_begin_the_time_anew() -> None:
    over = Event()

    def talk(connection: socket) -> None:
        connection.recv(65536)
        over.wait(0.6)
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with served(talk, over) as port, ends_at_the_cap():
        ask(port)


def test_an_answer_by_tls_is_read_and_its_certificate_is_checked(tls: Tls) -> None:
    api = Dripping(OK + b"Content-Length: 2\r\n\r\n{}", tls=tls.server)
    with served(api, api.over) as port:
        assert tls.ask(port).body == b"{}"
    tls.name = "other.example.org"
    api = Dripping(OK + b"Content-Length: 2\r\n\r\n{}", tls=tls.server)
    with served(api, api.over) as port, pytest.raises(Broken, match="SSLError"):
        tls.ask(port)


def test_the_lines_of_one_header_are_joined() -> None:
    links = b'link: </p?page=2>; rel="next"\r\nLink: </p?page=9>; rel="last"\r\n'
    api = Dripping(OK + links + b"X-One: 1\r\nContent-Length: 2\r\n\r\n{}")
    with served(api, api.over) as port:
        answer = ask(port)
    assert answer.headers == {"link": '</p?page=2>; rel="next", </p?page=9>; rel="last"', "x-one": "1", "content-length": "2"}
    url = f"https://{NAME}/p"
    assert following_url(Rest(url, paginate=Paginate("headerLink")), url, answer, {}) == f"{url}?page=2"


@pytest.mark.parametrize("value", [f"Bearer {TOKEN}\n", f"Bearer {TOKEN}\r\nX-Other: 1", f"Bearer {TOKEN}ł"])
def test_what_no_header_can_carry_is_refused_and_not_told(shop: Shop, value: str) -> None:
    with pytest.raises(Refused, match="a header or the body") as failed:
        SafeHttp(HERE, monotonic).ask(f"{shop.url}/x", {"Authorization": value})
    assert TOKEN not in "".join(traceback.format_exception(failed.value))
    assert shop.asked == []


def test_a_body_that_has_no_encoding_is_refused(shop: Shop) -> None:
    with pytest.raises(Refused, match="a header or the body"):
        SafeHttp(HERE, monotonic).ask(f"{shop.url}/x", {}, '"\ud800"')
    assert shop.asked == []


def test_malformed_answers_are_told_as_any_other_failure() -> None:
    for answer, error, says in (
        (OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabc", Broken, "connection failed"),
        (b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: //[\r\n\r\n", Refused, "no URL"),
    ):
        api = Dripping(answer)
        with served(api, api.over) as port, pytest.raises(error, match=says):
            ask(port)
