"""Numbers of the system's errors, as Tarantool 2.6 has it."""

from __future__ import annotations

from tests.helpers.engine import Engine
from tests.helpers.library import differences, recorded


def test_as_tarantool(engine: Engine) -> None:
    assert differences(engine, recorded("errno")) == {}


def test_the_number_of_the_last_failure(engine: Engine) -> None:
    source = """
      local errno = require('errno')
      os.remove('/nowhere/at/all')
      local failed = errno()
      errno(7)
      return failed, errno(), pcall(function() errno.EMINE = 5 end)
    """

    failed, set_by_hand, ok, problem = engine.execute(source)

    assert (failed, set_by_hand, ok) == (2, 7, False)
    assert problem.endswith(b"Can't create new errno constants")
