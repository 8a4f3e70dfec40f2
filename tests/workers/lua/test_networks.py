"""Patterns of peers: texts, addresses and networks, against the ipaddress of Python."""

from __future__ import annotations

import ipaddress
import random

import pytest

from tests.helpers.engine import Engine

SOURCE = """
local networks = require('beespace.engine.networks')
local ffi = require('ffi')
local text, peer, times = ...
local pattern = networks.pattern(text, 83)
if pattern == nil then return 'bad' end
local bytes = ffi.cast('const uint8_t *', peer)
local found
for _ = 1, times or 1 do
  local fits = networks.fits(pattern, bytes, #peer)
  assert(found == nil or found == fits)
  found = fits
end
return found
"""


def fits(engine: Engine, text: str, peer: str, times: int = 1) -> object:
    """True or False, b"bad" for a text that is no pattern."""
    return engine.execute(SOURCE, text.encode(), peer.encode(), times)


@pytest.mark.parametrize(
    ("text", "peer", "expected"),
    [
        ("127.0.0.1:4000", "127.0.0.1:4000", True),
        ("127.0.0.1:4000", "127.0.0.1:40001", False),
        ("127.0.0.1:4000", "127.0.0.1:400", False),
        ("127.0.0.1", "127.0.0.1:4000", True),
        ("127.0.0.1", "127.0.0.10:4000", False),
        ("127.0.0.1", "unix/:(socket)", False),
        ("127.0.0.1", "", False),
        ("unix/:(socket)", "unix/:(socket)", True),
        ("unix/:(socket)", "unix/:/tmp/x", False),
        ("unix/:/tmp/x/24", "unix/:/tmp/x/24", True),
        ("[::1]:80", "[::1]:80", True),
        ("[::1]:80", "[::1]:81", False),
        ("::1", "[::1]:80", True),
        ("[::1]", "[::1]:80", True),
        ("0:0:0:0:0:0:0:1", "[::1]:80", True),
        ("::1", "[::2]:80", False),
        ("::1", "127.0.0.1:80", False),
        ("10.0.0.0/8", "10.255.0.1:1", True),
        ("10.0.0.0/8", "11.0.0.1:1", False),
        ("0.0.0.0/0", "11.0.0.1:1", True),
        ("0.0.0.0/0", "[::1]:1", False),
        ("::/0", "[::1]:1", True),
        ("::/0", "1.2.3.4:1", False),
        ("2001:db8::/33", "[2001:db8:7fff::1]:1", True),
        ("2001:db8::/33", "[2001:db8:8000::1]:1", False),
        ("[2001:db8::]/33", "[2001:db8:7fff::1]:1", True),
        ("fe80::/10", "[fe80::1%eth0]:1", True),
        ("10.0.0.0/8", "[::ffff:10.0.0.1]:1", True),
        ("::ffff:0.0.0.0/96", "[::ffff:10.0.0.1]:1", True),
        ("::ffff:0.0.0.0/96", "10.0.0.1:1", True),
        ("::ffff:10.0.0.0/104", "10.0.0.1:1", True),
        ("::ffff:10.0.0.1", "10.0.0.1:1", True),
        ("::/0", "[::ffff:10.0.0.1]:1", False),
        ("10.0.0.1", "[::ffff:10.0.0.1]:1", True),
        ("10.0.0.1", "[::fffe:10.0.0.1]:1", False),
        ("10.0.0.0/8", "10.0.0.1", False),
        ("10.0.0.0/8", "[10.0.0.1", False),
        ("10.0.0.0/8", "1" * 83, False),
    ],
)
def test_fits(engine: Engine, text: str, peer: str, expected: bool) -> None:
    assert fits(engine, text, peer, 200) is expected


@pytest.mark.parametrize(
    "text",
    [
        "", "localhost", "localhost:3301", "10.0.0", "10.0.0.256", "10.0.0.0/33", "10.0.0.1/8",
        "10.0.0.0/", "10.0.0.0/8x", "10.0.0.0/-1", "::/129", "::1/64", "::ffff:0.0.0.0/95",
        "[::1", "::1]", "[10.0.0.1]", "[::1]:", "[::1]:x", ":3301", "1.2.3.4:", "unix", "/tmp/x",
        "10.0.0.1\0", "1" * 300,
    ],
)  # fmt: skip
def test_what_is_no_pattern(engine: Engine, text: str) -> None:
    assert fits(engine, text, "10.0.0.1:1") == b"bad"


def test_other_values_are_no_patterns(engine: Engine) -> None:
    source = "return require('beespace.engine.networks').pattern(5, 83) == nil"
    assert engine.execute(source) is True


def test_a_long_text_means_the_peer_as_it_was_cut(engine: Engine) -> None:
    path = "unix/:/" + "x" * 100
    assert fits(engine, path, path[:83]) is True
    assert fits(engine, path, path[:82]) is False


@pytest.mark.parametrize("version", [4, 6])
def test_networks_are_those_of_python(engine: Engine, version: int) -> None:
    chance = random.Random(version)
    size = 32 if version == 4 else 128
    make = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
    for _ in range(300):
        number, bits = chance.getrandbits(size), chance.randrange(size + 1)
        network = ipaddress.ip_network((number >> (size - bits) << (size - bits), bits))
        flipped = number ^ (1 << chance.randrange(size))
        address = make(flipped)
        peer = f"{address}:1" if version == 4 else f"[{address}]:1"
        assert fits(engine, str(network), peer) is (address in network), (network, peer)
