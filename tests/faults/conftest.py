"""Servers for the tests of faults, each with the application below, and a look into its segment."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.inside import Inside
from tests.helpers.server import Server, running

Start = Callable[..., Server]

APP = """
local ffi = require('ffi')
ffi.cdef('unsigned sleep(unsigned);')

function echo(...) return ... end
function whereami() return box.session.id(), box.info.worker.id, box.info.pid end
function stuck() ffi.C.sleep(600) end

box.session.on_disconnect(function()
  local file = io.open('%s', 'a')
  file:write(('%%d %%d %%s\\n'):format(box.session.id(), box.info.pid, box.session.reason()))
  file:close()
end)
"""


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """Where on_disconnect writes session, process and reason, a line each."""
    return tmp_path / "notes"


@pytest.fixture
def start(tmp_path: Path, notes: Path) -> Iterator[Start]:
    """Starts servers; they are stopped, and checked for leftovers, at the end of the test."""
    with contextlib.ExitStack() as stack:

        def begin(**options: Any) -> Server:
            return stack.enter_context(running(tmp_path, **{"app": APP % notes, **options}))

        yield begin


@pytest.fixture
def look() -> Iterator[Callable[[Server], Inside]]:
    """Looks into the segment of a server."""
    with contextlib.ExitStack() as stack:

        def into(server: Server) -> Inside:
            return stack.enter_context(contextlib.closing(Inside(server)))

        yield into
