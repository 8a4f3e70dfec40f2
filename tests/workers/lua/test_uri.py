"""Addresses, as Tarantool 2.6 has it."""

from __future__ import annotations

from tests.helpers.engine import Engine
from tests.helpers.library import differences, recorded


def test_as_tarantool(engine: Engine) -> None:
    assert differences(engine, recorded("uri")) == {}


def test_a_socket_behind_a_scheme(engine: Engine) -> None:
    source = """
      local parts = require('uri').parse('unix:///run/a.sock')
      return parts.scheme, parts.host, parts.unix, parts.service
    """

    assert engine.execute(source) == (b"unix", b"unix/", b"/run/a.sock", b"/run/a.sock")
