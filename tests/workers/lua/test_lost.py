"""on_disconnect for sessions of dead workers: what it sees, and what the row says has begun."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgpack
import pytest

from tests.helpers.engine import Engine

ADDRESS = b"127.0.0.1:4000"
SET = """
local triggers = require('beespace.engine.triggers')
local func = assert(loadstring(...))
triggers.set('box.session.on_disconnect', func, 'test')
"""
CLEAR = "require('beespace.engine.triggers').delete_named('box.session.on_disconnect', 'test')"
STORAGES = """
local count = 0
for _ in pairs(getmetatable(box.session).aggregate_storage) do count = count + 1 end
return count
"""
SEEN = "seen = seen or {} seen[#seen + 1] = box.session.id()"


@pytest.fixture
def fresh() -> Iterator[Engine]:
    with Engine(warm=False) as made:
        yield made


def take(engine: Engine, first: int, ids: Sequence[int], uid: int = 0) -> None:
    batch = [(first, [[number, uid, 1, 0, ADDRESS] for number in ids])]
    engine.batches = msgpack.packb(batch, use_bin_type=False)
    engine.turn()


def on_disconnect(engine: Engine, source: str) -> None:
    engine.execute(SET, source.encode())


def seen(engine: Engine) -> list[Any]:
    return [int(number) for number in engine.execute("return unpack(seen)") or ()]


def values(engine: Engine, name: str) -> list[Any]:
    found = engine.execute(f"return unpack({name}, 1, {name}.n)")
    return list(found) if isinstance(found, tuple) else [found]


def test_it_sees_the_session_that_is_gone(fresh: Engine) -> None:
    on_disconnect(
        fresh,
        """
        local function look()
          local s = box.session
          return s.id(), s.uid(), s.euid(), s.peer(), s.type(), s.fd(), s.sync(), s.exists(),
            s.closed(), next(s.storage) == nil
        end
        local function keep(...) return {n = select('#', ...), ...} end
        before = keep(look())
        box.session.storage.x = 1
        require('fiber').sleep(0.01)
        storage = {n = 1, box.session.storage.x}
        box.session.storage.x = nil
        after = keep(look())
        """,
    )
    take(fresh, 0, [77], uid=32)
    fresh.run_until(lambda: fresh.execute("return after ~= nil"))
    expected = [77, 32, 1, ADDRESS, b"binary", -1, 0, 0, True, True]
    assert values(fresh, "before") == expected
    assert values(fresh, "after") == expected
    assert values(fresh, "storage") == [1]
    fresh.execute(CLEAR)
    assert fresh.execute("return box.session.id(), box.session.peer()") == (0, b"0.0.0.0:0")
    assert fresh.execute(STORAGES) == 0


def test_each_runs_once_in_order(fresh: Engine) -> None:
    on_disconnect(fresh, SEEN)
    take(fresh, 0, range(10, 20))
    assert fresh.row.lost_begun == 10
    take(fresh, 10, [5, 6])
    assert seen(fresh) == [*range(10, 20), 5, 6]
    assert fresh.row.lost_begun == 12
    fresh.execute(CLEAR)


def test_the_row_tells_how_far_it_has_begun(fresh: Engine) -> None:
    # What waits has begun as well: it runs here or nowhere.
    on_disconnect(fresh, SEEN + " require('fiber').sleep(9)")
    take(fresh, 40, range(1, 1500))
    assert len(seen(fresh)) == 1000
    assert (fresh.row.lost_begun, fresh.row.lost_running) == (1040, 1000)
    fresh.execute(CLEAR)


def test_the_row_tells_how_many_are_not_over(fresh: Engine) -> None:
    on_disconnect(fresh, "running = row.lost_running gate:wait()")
    fresh.execute("row, gate = require('beespace.engine.table').row, require('fiber').cond()")
    take(fresh, 0, range(1, 1201))
    assert (fresh.row.lost_begun, fresh.row.lost_running) == (1000, 1000)
    assert fresh.execute("return tonumber(running)") == 1000
    fresh.execute("gate:broadcast()")
    fresh.run_until(lambda: fresh.row.lost_running == 200)
    fresh.execute("gate:broadcast()")
    fresh.run_until(lambda: fresh.row.lost_running == 0)
    assert fresh.row.lost_begun == 1200
    fresh.execute(CLEAR)


def test_failures_stop_nothing(fresh: Engine) -> None:
    on_disconnect(fresh, SEEN + " error('no farewell')")
    take(fresh, 0, [1, 2])
    assert seen(fresh) == [1, 2]
    assert (fresh.row.lost_begun, fresh.row.lost_running) == (2, 0)
    fresh.execute(CLEAR)


def test_nothing_is_set(fresh: Engine) -> None:
    take(fresh, 0, [1, 2, 3])
    assert fresh.row.lost_begun == 3


def test_they_hold_the_end_up(fresh: Engine) -> None:
    on_disconnect(fresh, "require('fiber').sleep(0.05) ended = true")
    fresh.asked = b"drain"
    take(fresh, 0, [1])
    fresh.run_until(lambda: fresh.execute("return ended"))
    fresh.execute(CLEAR)


def test_the_end_cancels_them_last(fresh: Engine) -> None:
    on_disconnect(
        fresh,
        "local id = box.session.id()"
        " results[id] = {pcall(require('fiber').sleep, id == 1 and 0.2 or 60)}",
    )
    fresh.execute("""
        local stopping = require('beespace.engine.stopping')
        stopping.timeout = 0.1
        results = {}
        stopping.cut_off = function(count) cut = count end""")
    fresh.asked = b"drain"
    take(fresh, 0, [1, 2])
    fresh.run_until(lambda: fresh.execute("return results[1] and results[2]"))
    assert fresh.execute("return cut, results[1][1], results[2][1]") == (1, True, False)
    fresh.execute(CLEAR)
