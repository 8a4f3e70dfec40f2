"""Headers and bodies as objects that applications read by name and by number."""

from __future__ import annotations

from tests.helpers.engine import Client, Engine


def test_objects(client: Client) -> None:
    source = """
        local header, list = box.iproto.decode_packet('\\6\\129\\1\\5\\146\\7\\8')
        local _, scalar = box.iproto.decode_packet('\\4\\129\\1\\5\\9')
        local all = header:decode()
        all[1] = 6
        return header, list, scalar, list[2], scalar[1], scalar:decode(), header[1],
          pcall(function() header.sync = 9 end)"""
    *values, ok, text = client.eval(source).data
    assert values == [{1: 5}, [7, 8], 9, 8, None, 9, 5]
    assert not ok
    assert text.endswith("a packet object cannot be changed")


def test_extensions_are_decoded_when_asked(client: Client) -> None:
    source = """
        local _, body = box.iproto.decode_packet('\\8\\129\\1\\5\\129\\48\\212\\99\\0')
        return pcall(body.get, body, 'data')"""
    assert client.eval(source).data == [False, "msgpack.decode: unsupported extension: 99"]


def test_what_is_an_object(engine: Engine) -> None:
    source = """
        local objects = require('beespace.box.packet_object')
        local made = objects.make('\\128')
        return objects.is(made), objects.is({}), objects.is(5), objects.bytes(made)"""
    assert engine.execute(source) == (True, False, False, b"\x80")
