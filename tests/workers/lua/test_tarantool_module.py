"""require('tarantool'), and the global that names the version."""

from __future__ import annotations

import os

from tests.helpers.engine import Engine


def test_what_the_server_is(engine: Engine) -> None:
    version, named, package, pid, uptime = engine.execute("""
      local tarantool = require('tarantool')
      return tarantool.version, _TARANTOOL, tarantool.package, tarantool.pid(), tarantool.uptime()
    """)

    assert version == named == b"2.11.0"
    assert package == b"beespace"
    assert pid == os.getpid()
    assert uptime >= 0
