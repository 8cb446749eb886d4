"""Which URLs and addresses a source may call: the hostile table, judged from the text and from what names resolve to."""

from __future__ import annotations

import pytest

from meshplane.errors import Refused
from meshplane.model.urls import Allowed, place
from meshplane.net.addresses import is_public, public_address

ALLOWED = Allowed.of(["api.example.org", "*.example.com"])
HOSTILE = """
http://api.example.org/
ftp://api.example.org/
file:///etc/passwd
gopher://api.example.org/
HTTPS://api.example.org/
https:/api.example.org/
https:api.example.org/
//api.example.org/
https://
https:///path
https://user@api.example.org/
https://user:pw@api.example.org/
https://api.example.org@evil.example.net/
https://evil.example.net#@api.example.org/
https://evil.example.net\\@api.example.org/
https://api.example.org\\.evil.example.net/
https://api.example.org/#fragment
https://api.example.org:80/
https://api.example.org:8443/
https://api.example.org:/
https://api.example.org:99999/
https://api.example.org:0/
https://api.example.org:443x/
https://api.example.org./
https://API.example.org/
https://api.example.org.evil.example.net/
https://evilexample.com/
https://example.com/
https://.example.com/
https://a..example.com/
https://-a.example.com/
https://xapi.example.org/
https://127.0.0.1/
https://127.1/
https://2130706433/
https://0x7f000001/
https://0177.0.0.1/
https://0/
https://169.254.169.254/latest/meta-data/
https://[::1]/
https://[::ffff:169.254.169.254]/
https://[fd00:ec2::254]/
https://10.0.0.1/
https://localhost/
http://localhost/
http://127.0.0.1/
http://127.0.0.1:9001/2018-06-01/runtime/invocation/next
https://metadata.google.internal/
https://api.example.org /
https://api.example.org/a b
https://api%2eexample.org/
https://api.example.org%00.evil.example.net/
https://api.example.org;evil.example.net/
https://api.example.org,evil.example.net/
https://аpi.example.org/
https://api。example.org/
https://*.example.com/
https://a_b.example.com/
javascript:alert(1)
""".strip().splitlines()
CONTROL = [
    "https://api.example.org/\r\nHost: evil",
    "https://api.example.org/\t",
    "\nhttps://api.example.org/",
    "https://api.example.org/\x00",
]
INSIDE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "192.168.1.1",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.5",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:a9fe:a9fe::1",
    "2001:0:a9fe:a9fe::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
    "2001:db8::1",
    "nonsense",
]


@pytest.mark.parametrize("url", [*HOSTILE, *CONTROL])
def test_a_hostile_url_is_refused_with_a_reason(url: str) -> None:
    found, why = place(url, ALLOWED)
    assert found is None
    assert why


def test_the_table_is_as_large_as_it_should_be() -> None:
    assert len(set(HOSTILE) | set(CONTROL)) >= 40


@pytest.mark.parametrize("url", ["https://api.example.org", "https://api.example.org:443/a?b=c", "https://a.b.example.com/x"])
def test_a_declared_host_is_called(url: str) -> None:
    found, why = place(url, ALLOWED)
    assert found is not None
    assert not why
    assert (found.scheme, found.port) == ("https", 443)


def test_loopback_is_called_only_where_it_is_named() -> None:
    assert place("http://127.0.0.1:8080/", ALLOWED)[0] is None
    found, _ = place("http://127.0.0.1:8080/", Allowed.of((), ["127.0.0.1"]))
    assert found is not None
    assert found.is_loopback
    assert place("http://localhost:8080/", Allowed.of((), ["127.0.0.1"]))[0] is None


@pytest.mark.parametrize("address", INSIDE)
def test_what_is_not_public_is_not_called(address: str) -> None:
    assert not is_public(address)
    with pytest.raises(Refused):
        public_address("api.example.org", 443, lambda host, port: [address])


def test_a_name_that_mixes_public_and_private_is_refused_and_a_public_one_is_resolved_once() -> None:
    with pytest.raises(Refused, match="no public address"):
        public_address("api.example.org", 443, lambda host, port: ["1.1.1.1", "10.0.0.1"])
    with pytest.raises(Refused):
        public_address("api.example.org", 443, lambda host, port: [])
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["1.1.1.1", "2606:4700::1"]

    assert public_address("api.example.org", 443, resolve) == "1.1.1.1"
    assert asked == ["api.example.org"]
