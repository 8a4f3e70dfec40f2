"""table.copy and table.deepcopy, as Tarantool 2.6 has it."""

from __future__ import annotations

from tests.helpers.engine import Engine
from tests.helpers.library import differences, recorded


def test_as_tarantool(engine: Engine) -> None:
    assert differences(engine, recorded("tables")) == {}


def test_keys_are_copied_too(engine: Engine) -> None:
    source = """
      local key = {1}
      local copy = table.deepcopy({[key] = 2})
      return copy[key] == nil, next(copy)[1], copy[next(copy)]
    """

    assert engine.execute(source) == (True, 1, 2)
