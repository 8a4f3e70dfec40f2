"""box.ctl: shutdown functions and their time limit."""

from __future__ import annotations

import pytest

from tests.helpers.engine import Client, Engine, error_of


def test_shutdown_functions_are_a_trigger_list(client: Client) -> None:
    source = """
        local f = function() end
        return box.ctl.on_shutdown(f) == f, #box.ctl.on_shutdown(),
          box.ctl.on_shutdown(nil, f), #box.ctl.on_shutdown()"""
    assert client.eval(source).data == [True, 1, None, 0]


def test_the_time_limit(engine: Engine, client: Client) -> None:
    client.eval("box.ctl.set_on_shutdown_timeout(0.5)")
    assert engine.execute("return require('beespace.engine.stopping').timeout") == 0.5


@pytest.mark.parametrize("value", ["", "'1'", "0", "-1", "0/0", "{}"])
def test_a_wrong_time_limit(client: Client, value: str) -> None:
    assert error_of(client.eval(f"box.ctl.set_on_shutdown_timeout({value})")) == (
        32,
        "box.ctl.set_on_shutdown_timeout(seconds): expected a number greater than 0",
    )
