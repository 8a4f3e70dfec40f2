"""Listen URIs: what is taken, what is refused, and that text and value agree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server import uri
from server.uri import TcpUri, UnixUri, Uri, UriError

GOOD = [
    ("3301", TcpUri("127.0.0.1", 3301)),
    ("0", TcpUri("127.0.0.1", 0)),
    ("*:3301", TcpUri("0.0.0.0", 3301)),
    ("127.0.0.1:65535", TcpUri("127.0.0.1", 65535)),
    ("localhost:1", TcpUri("localhost", 1)),
    ("bee-1.example.org.:3301", TcpUri("bee-1.example.org.", 3301)),
    ("[::1]:3301", TcpUri("::1", 3301)),
    ("[0:0::0:1]:3301", TcpUri("::1", 3301)),
    ("unix/:/run/bee.sock", UnixUri("/run/bee.sock")),
    ("unix/:/" + "a" * 106, UnixUri("/" + "a" * 106)),
]

LOOPBACK = ["1", "127.255.0.1:1", "[::1]:1", "localhost:1", "LocalHost:1"]
REMOTE = ["*:1", "128.0.0.1:1", "[::]:1", "[::2]:1", "10.0.0.1:1", "bee.example.org:1"]

BAD = [
    ("", "expected host:port"),
    ("localhost", "expected host:port"),
    (":3301", "expected host:port"),
    ("localhost:", "expected a port from 0 to 65535"),
    ("localhost:65536", "expected a port from 0 to 65535"),
    ("999999", "expected host:port"),
    ("localhost:-1", "expected a port"),
    ("localhost:http", "expected a port"),
    ("::1:3301", "expected an IPv6 address in brackets"),
    ("[::1]", "expected host:port"),
    ("[::1", "expected host:port"),
    ("[::g]:1", "expected an IPv6 address in the brackets"),
    ("[127.0.0.1]:1", "expected an IPv6 address in the brackets"),
    ("1.2.3:1", "expected an IPv4 address of four numbers"),
    ("1.2.3.256:1", "expected an IPv4 address of four numbers"),
    ("bad host:1", "expected a host name"),
    ("-bad:1", "expected a host name"),
    ("a" * 64 + ":1", "expected a host name"),
    ("unix/:relative", "expected unix/: and an absolute path"),
    ("unix/run", "expected unix/: and an absolute path"),
    ("unix/:/run/", "expected unix/: and the path of a file"),
    ("unix/:/a\0b", "expected unix/: and the path of a file"),
    ("unix/:/" + "a" * 107, "expected a path of at most 107 bytes, it has 108"),
    ("unix/:/" + "\u00e9" * 60, "expected a path of at most 107 bytes, it has 121"),
]


@pytest.mark.parametrize(("text", "value"), GOOD)
def test_taken(text: str, value: uri.Uri) -> None:
    assert uri.parse(text) == value


@pytest.mark.parametrize("text", [*LOOPBACK, *REMOTE])
def test_who_can_connect_from_another_machine(text: str) -> None:
    found = uri.parse(text)
    assert isinstance(found, TcpUri)
    assert found.is_loopback == (text in LOOPBACK)


@pytest.mark.parametrize(("text", "message"), BAD)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(UriError) as caught:
        uri.parse(text)
    assert str(caught.value).startswith(message)


ports = st.integers(0, 65535)
tcp = st.builds(
    TcpUri, st.one_of(st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str)), ports
)
names = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z]{1,10}){0,3}", fullmatch=True)
paths = st.from_regex(r"(/[a-zA-Z0-9_. -]{1,20}){1,4}", fullmatch=True)


@given(st.one_of(tcp, st.builds(TcpUri, names, ports), st.builds(UnixUri, paths)))
def test_a_value_survives_its_text(value: uri.Uri) -> None:
    assert uri.parse(str(value)) == value


@given(st.text(max_size=60))
def test_any_text_is_a_uri_or_a_clear_error(text: str) -> None:
    try:
        value = uri.parse(text)
    except UriError as error:
        assert str(error).startswith("expected ")
    else:
        assert uri.parse(str(value)) == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.2.3.4:5?proxy_protocol=true", TcpUri("1.2.3.4", 5, proxy=True)),
        ("[::1]:5?proxy_protocol=true", TcpUri("::1", 5, proxy=True)),
        ("5?proxy_protocol=false", TcpUri("127.0.0.1", 5)),
        ("unix/:/a?proxy_protocol=true", UnixUri("/a", proxy=True)),
        ("unix/:/a?b", UnixUri("/a?b")),
    ],
)
def test_parameters(text: str, expected: Uri) -> None:
    assert uri.parse(text) == expected
    assert uri.parse(str(expected)) == expected
    assert uri.same_place(expected, uri.parse(text.partition("?proxy")[0]))


@pytest.mark.parametrize("text", ["1:2?transport=ssl", "1.2.3.4:5?proxy_protocol=1", "5?a=b&c=d"])
def test_other_parameters(text: str) -> None:
    with pytest.raises(UriError, match="no parameter but proxy_protocol"):
        uri.parse(text)
