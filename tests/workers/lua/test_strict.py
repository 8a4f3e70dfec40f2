"""Strict globals, as Tarantool 2.6 has it."""

from __future__ import annotations

from tests.helpers.engine import Engine
from tests.helpers.library import differences, recorded


def test_as_tarantool(engine: Engine) -> None:
    assert differences(engine, recorded("strict")) == {}
