"""box.cfg: what applications read, and what they are told when they set something."""

from __future__ import annotations

import pytest

from shm import layout
from tests.helpers.engine import Client, Engine, error_of

CFG = 59


def listen(engine: Engine, *uris: str) -> None:
    """Write listeners into the segment as the supervisor does, and make box.cfg anew."""
    segment = engine.segment
    size, at = layout.LISTENER_BYTES, layout.Header.listener_names.offset
    for index, uri in enumerate(uris):
        start = at + index * size
        segment.memory[start : start + size] = uri.encode().ljust(size, b"\0")
    segment.header.first_console = len(uris)
    engine.execute("""
        local facts = {name = 'bee', count = 2, net_msg_max = 768}
        box.cfg = require('beespace.box.cfg').make(facts)
    """)


def test_what_the_server_was_started_with(engine: Engine, client: Client) -> None:
    source = "return box.cfg.listen, box.cfg.name, box.cfg.workers, box.cfg.net_msg_max"

    assert client.eval(source).data == [None, "bee", 1, 768]
    listen(engine, "127.0.0.1:3301")
    assert client.eval(source).data == ["127.0.0.1:3301", "bee", 2, 768]
    listen(engine, "127.0.0.1:3301", "unix/:/run/bee.sock")
    assert client.eval(source).data[0] == ["127.0.0.1:3301", "unix/:/run/bee.sock"]


@pytest.mark.parametrize(
    "options",
    ["", "{}", "{listen = '127.0.0.1:3301'}", "{net_msg_max = 768}", "nil"],
)
def test_what_is_so_already_may_be_set(engine: Engine, client: Client, options: str) -> None:
    listen(engine, "127.0.0.1:3301")

    assert client.eval(f"return box.cfg({options})").data == []


def test_a_list_of_addresses_is_compared_one_by_one(engine: Engine, client: Client) -> None:
    listen(engine, "127.0.0.1:3301", "[::1]:3301")

    assert client.eval("return box.cfg{listen = {'127.0.0.1:3301', '[::1]:3301'}}").data == []
    for other in ("{'127.0.0.1:3301', '[::1]:3302'}", "{'127.0.0.1:3301'}"):
        assert error_of(client.eval(f"box.cfg{{listen = {other}}}"))[0] == CFG


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("listen = 3301", "it is set when the server starts, as the setting listen (--listen)"),
        ("log_format = 'json'", "it is set when the server starts, as the setting log.format"),
        ("memtx_memory = 1", "this server keeps no data and has no such option"),
        ("work_dir = '/'", "this server keeps no data and has no such option"),
        ("no_such = 1", "unexpected option"),
    ],
)
def test_what_would_change_is_refused(client: Client, option: str, why: str) -> None:
    code, text = error_of(client.eval(f"box.cfg{{{option}}}"))

    name = option.partition(" ")[0]
    assert code == CFG
    assert text.startswith(f"Incorrect value for option '{name}': {why}")


def test_other_arguments_and_new_fields(client: Client) -> None:
    assert error_of(client.eval("box.cfg(5)"))[1].endswith(":1: Usage: box.cfg{option = value}")
    text = error_of(client.eval("box.cfg.no_such = 1"))[1]
    assert text.endswith(":1: Attempt to modify a read-only table")
