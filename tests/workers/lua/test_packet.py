"""Headers and bodies that are not the usual ones (protocol of malformed input)."""

from __future__ import annotations

import pytest

from tests.helpers.engine import Client, error_of
from tests.helpers.raw import PING, frame, pack

HEADER_ERROR = (20, "Invalid MsgPack - packet header")


@pytest.mark.parametrize(
    ("header", "sync"),
    [
        ("90", 0),
        ("c0", 0),
        ("05", 0),
        ("a3616263", 0),
        ("c1", 0),
        ("82", 0),
        ("8200", 0),
        ("820040", 0),
        ("82004001", 0),
        ("82004001cd00", 0),
        ("82004001cf00000000", 0),
        ("de", 0),
        ("de0002", 0),
        ("df00000002", 0),
        ("dfffffffff", 0),
        ("82a1780501c2", 0),
        ("82ff400105", 0),
        ("82c0400105", 0),
        ("8200a1780105", 0),
        ("82010500a178", 5),
        ("82010500ff", 5),
        ("8301050040040a", 5),
        ("83010500400f01", 5),
        ("8301050040cc3501", 5),
        ("83010500400ac0", 5),
        ("830105004005a101", 5),
    ],
)
def test_a_malformed_header(client: Client, header: str, sync: int) -> None:
    before = client.engine.row.protocol_errors
    (answer,) = client.exchange(frame(bytes.fromhex(header)))

    assert error_of(answer) == HEADER_ERROR
    assert answer.sync == sync
    assert client.engine.row.protocol_errors == before + 1
    assert client.in_step()


@pytest.mark.parametrize(
    "header",
    [
        "8200400105",
        "de000200400105",
        "df0000000200400105",
        "82cc0040cc0105",
        "83cd000040cd00010505cc01",
        "8400400105020003cf0000000000000001",
        "830040010504cb3ff0000000000000",
        "830040010565c0",
        "8300400105cd1000a3616263",
        "8300400105cfffffffffffffffff92c0c0",
        "83004001050a00",
        "83004001050500",
        "83004001050501",
        "840040010505000a07",
    ],
)
def test_a_header_of_any_form(client: Client, header: str) -> None:
    (answer,) = client.exchange(frame(bytes.fromhex(header)))

    assert (answer.type, answer.sync) == (0, 5)


def test_a_header_key_twice_counts_with_its_last_value(client: Client) -> None:
    (answer,) = client.exchange(frame(bytes.fromhex("840000004001070105")))

    assert (answer.type, answer.sync) == (0, 5)


@pytest.mark.parametrize("version", [2, 78, 200, 2**32 - 1])
@pytest.mark.parametrize("kind", [PING, 10, 8, 73])
def test_another_schema_version(client: Client, version: int, kind: int) -> None:
    body = pack({0x22: "box.session.id", 0x27: "return 1"})
    (answer,) = client.exchange(frame(pack({0: kind, 1: 5, 5: version}) + body))

    text = f"Wrong schema version, current: {version}, in request: 1"
    assert error_of(answer) == (109, text)
    assert answer.sync == 5


def test_no_type_is_type_zero(client: Client) -> None:
    for header in ({}, {1: 5}, {0: 0}):
        (answer,) = client.exchange(frame(pack(header)))
        assert error_of(answer) == (48, "Unknown request type 0")


@pytest.mark.parametrize("junk", [b"\xc1", b"\x80\x80", b"\x81", b"\xdd\xff\xff\xff\xff"])
def test_bytes_behind_the_body(client: Client, junk: bytes) -> None:
    for header in ({0: PING, 1: 5}, {1: 5, 2: 0, 0: PING}, {0: 99, 1: 5}, {0: 1, 1: 5}):
        (answer,) = client.exchange(frame(pack(header) + junk))
        assert error_of(answer) == (20, "Invalid MsgPack - packet body")
        assert answer.sync == 5


def test_deep_nesting_is_refused_not_followed(client: Client) -> None:
    body = b"\x82\x27" + pack("return #...") + b"\x21\x91" + b"\x91" * 100_000 + b"\x01"
    (answer,) = client.exchange(frame(pack({0: 8, 1: 5}) + body))

    assert answer.code in (20, 32)
    assert client.in_step()
