"""Sessions of an engine that are ended, and requests that are cancelled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.helpers.engine import SALT, Client, Engine
from tests.helpers.journal import seen

_SETUP: Final = """
seen = {}
fiber = require('fiber')
gate = fiber.cond()
box.session.on_disconnect(function()
  local s = box.session
  seen[#seen + 1] = ('%d %s %s'):format(s.id(), s.reason(), tostring(s.storage.mine))
end, nil, 'note')
"""
CANCELLED: Final = (32, "fiber is cancelled")
WAIT: Final = "box.session.storage.mine = 'mine' gate:wait() return 'woken'"
"""A request that waits until the gate opens."""


@contextmanager
def engine_with_notes(capacity: int = 64) -> Iterator[Engine]:
    """An engine whose on_disconnect notes down id, reason, and ``storage.mine``."""
    with Engine(capacity, warm=False) as made:
        made.execute(_SETUP)
        yield made


def kill(client: Client, session: int, options: str = "nil") -> int:
    count: int = client.eval(f"return box.session.kill(..., {options})", session).data[0]
    return count


def cancel(client: Client, session: int) -> int:
    count: int = client.eval("return box.session.cancel(...)", session).data[0]
    return count


def has_ended(client: Client) -> bool:
    client.take()
    return client.ended


def settle(engine: Engine, *gone: Client) -> list[str]:
    """Turn until the sessions are over; what on_disconnect has noted."""
    engine.run_until(lambda: not any(each.exists for each in gone))
    return seen(engine)


def claim(engine: Engine) -> int:
    """A session whose connection is on the way."""
    claimed = engine.table.claim(b"127.0.0.1:7", 0, SALT)
    assert claimed is not None
    return claimed
