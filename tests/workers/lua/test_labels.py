"""Names and attributes in the text of a slot."""

from __future__ import annotations

import msgpack
import pytest

from tests.helpers.engine import Client

WRITE = """
local labels = require('beespace.engine.labels')
local shared = require('beespace.engine.table')
local id, name, key, value = ...
local attributes = key and {[key] = value} or nil
return labels.write(shared.slots[id % shared.capacity], name, attributes)
"""
READ = """
local glance = require('beespace.engine.glance')
local labels = require('beespace.engine.labels')
glance.of((...))
local attributes = labels.attributes(glance.copy)
return labels.name(glance.copy), require('msgpack').encode(attributes)
"""


def read(client: Client) -> tuple[bytes, object]:
    name, packed = client.engine.execute(READ, client.id)
    return name, msgpack.unpackb(packed)


def test_none(client: Client) -> None:
    assert read(client) == (b"", {})


@pytest.mark.parametrize(
    ("arguments", "size"),
    [((b"bee",), 3), ((b"", b"k", b"v"), 5), ((b"x" * 55, b"k", b"v"), 60), ((b"n" * 60,), 60)],
)
def test_what_is_written_is_read(client: Client, arguments: tuple[bytes, ...], size: int) -> None:
    assert client.engine.execute(WRITE, client.id, *arguments) == size
    name, *attribute = arguments
    assert read(client) == (name, {"k": "v"} if attribute else {})
    assert client.slot.text_version == 2
    assert client.engine.execute(WRITE, client.id, b"") == 0
    assert read(client) == (b"", {})
    assert client.slot.text_version == 4


def test_too_much_is_not_written(client: Client) -> None:
    client.engine.execute(WRITE, client.id, b"bee")
    assert client.engine.execute(WRITE, client.id, b"x" * 56, b"k", b"v") == 61
    assert read(client) == (b"bee", {})
    assert client.slot.text_version == 2
