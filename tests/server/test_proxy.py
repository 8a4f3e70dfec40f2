"""The PROXY protocol, both versions: what is a header, what is none, and where it ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server import proxy
from server.proxy import LONGEST, SIGNATURE, Header, MalformedError

Address = tuple[str, int]


def binary(command: int, family: int, payload: bytes) -> bytes:
    return SIGNATURE + bytes([0x20 | command, family]) + len(payload).to_bytes(2, "big") + payload


V4 = bytes([192, 0, 2, 1, 198, 51, 100, 7]) + (51234).to_bytes(2, "big") + (3301).to_bytes(2, "big")
V6 = bytes.fromhex("20010db8000000000000000000000001") + bytes(15) + b"\1" + b"\0\7\0\x08"
MAPPED = bytes(10) + b"\xff\xff\x0a\1\2\3" + bytes(16) + b"\0\7\0\x08"
TLV = b"\x01\0\x02h2" + b"\x04\0\0"

GOOD = [
    (b"PROXY TCP4 192.0.2.1 198.51.100.7 51234 3301\r\n", b"192.0.2.1:51234"),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 0\r\n", b"255.255.255.255:65535"),
    (b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n", b"[2001:db8::1]:1"),
    (b"PROXY TCP6 2001:0DB8:0:0:0:0:0:1 ::1 1 2\r\n", b"[2001:db8::1]:1"),
    (b"PROXY TCP6 ::ffff:10.1.2.3 ::1 1 2\r\n", b"10.1.2.3:1"),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff::1 ffff::1 65535 65535\r\n", None),
    (b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n", None),
    (binary(1, 0x11, V4), b"192.0.2.1:51234"),
    (binary(1, 0x11, V4 + TLV), b"192.0.2.1:51234"),
    (binary(1, 0x21, V6), b"[2001:db8::1]:7"),
    (binary(1, 0x21, MAPPED + TLV), b"10.1.2.3:7"),
    (binary(1, 0x31, b"/run/a.sock".ljust(216, b"\0")), b"unix/:/run/a.sock"),
    (binary(1, 0x31, b"\0name".ljust(216, b"\0")), b"unix/:@name"),
    (binary(1, 0x31, bytes(216)), b"unix/:(socket)"),
    (binary(1, 0x00, b""), None),
    (binary(1, 0x00, TLV), None),
    (binary(1, 0x12, V4), None),
    (binary(0, 0x00, b""), None),
    (binary(0, 0x11, V4), None),
    (binary(0, 0xFF, TLV), None),
    (binary(0, 0x00, bytes(LONGEST - 16)), None),
]

BAD = [
    b"\xce\0\0\0\x05",
    b"GET / HTTP/1.1\r\n",
    b"proxy TCP4 1.1.1.1 1.1.1.1 1 1\r\n",
    b"PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n",
    b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1 \r\n",
    b"PROXY TCP4  1.1.1.1 1.1.1.1 1 1\r\n",
    b"PROXY TCP4 1.1.1.256 1.1.1.1 1 1\r\n",
    b"PROXY TCP4 01.1.1.1 1.1.1.1 1 1\r\n",
    b"PROXY TCP4 ::1 ::1 1 1\r\n",
    b"PROXY TCP6 1.1.1.1 1.1.1.1 1 1\r\n",
    b"PROXY TCP6 ::1 none 1 1\r\n",
    b"PROXY TCP4 1.1.1.1 1.1.1.1 65536 1\r\n",
    b"PROXY TCP4 1.1.1.1 1.1.1.1 1 01\r\n",
    b"PROXY TCP4 1.1.1.1 1.1.1.1 -1 1\r\n",
    b"PROXY TCP4 1.1.1.1 1.1.1.1 \xb2 1\r\n",
    b"PROXY TCP5 1.1.1.1 1.1.1.1 1 1\r\n",
    b"PROXY \r\n",
    b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
    b"PROXY UNKNOWN " + b"x" * 200,
    SIGNATURE + b"\x11\x11\0\x0c" + V4,
    SIGNATURE + b"\x22\x11\0\x0c" + V4,
    binary(1, 0x41, bytes(300)),
    binary(1, 0x13, V4),
    binary(1, 0x11, V4[:-1]),
    binary(1, 0x21, V6[:-1]),
    binary(1, 0x31, bytes(215)),
    binary(0, 0x00, bytes(LONGEST - 15)),
]


@pytest.mark.parametrize(("data", "peer"), GOOD)
def test_good(data: bytes, peer: bytes | None) -> None:
    assert proxy.parse(data) == Header(len(data), peer)
    assert proxy.parse(data + b"\xce\0\0\0\x05PROXY") == Header(len(data), peer)
    for end in range(len(data)):
        assert proxy.parse(data[:end]) is None, end


@pytest.mark.parametrize("data", BAD)
def test_bad(data: bytes) -> None:
    with pytest.raises(MalformedError):
        proxy.parse(data)


@given(
    source=st.tuples(st.ip_addresses(v=4), st.integers(0, 65535)),
    target=st.tuples(st.ip_addresses(v=4), st.integers(0, 65535)),
    rest=st.binary(max_size=40),
)
def test_both_versions_agree(source: Address, target: Address, rest: bytes) -> None:
    line = f"PROXY TCP4 {source[0]} {target[0]} {source[1]} {target[1]}\r\n".encode()
    packed = b"".join(getattr(one[0], "packed") for one in (source, target))  # noqa: B009
    ports = b"".join(one[1].to_bytes(2, "big") for one in (source, target))
    for data in (line, binary(1, 0x11, packed + ports)):
        found = proxy.parse(data + rest)
        assert found == Header(len(data), f"{source[0]}:{source[1]}".encode())
