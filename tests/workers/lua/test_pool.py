"""The pool of coroutines: reuse, and letting go of what nobody needs."""

from __future__ import annotations

from tests.helpers.engine import Engine

POOL = "local pool = require('beespace.engine.pool') "


def test_a_coroutine_is_used_again(engine: Engine) -> None:
    source = """
        local thread = pool.take(function() end)
        local fresh = pool.is_own(thread)
        pool.give_back(thread)
        return fresh, pool.take(function() end) == thread, pool.is_own(coroutine.create(print))"""
    assert engine.execute(POOL + source) == (True, True, False)


def test_idle_coroutines_are_let_go(engine: Engine) -> None:
    engine.execute(
        POOL
        + """
        local all = {}
        for k = 1, 1000 do all[k] = pool.take(function() end) end
        for k = 1, 1000 do pool.give_back(all[k]) end
        """
    )
    counts = [int(engine.execute(POOL + "pool.shrink() return pool.count()")) for _ in range(20)]

    # The first look only learns how many are idle.
    assert counts[0] >= 1000
    assert counts[1] < 600
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 16


def test_a_pool_in_use_is_kept(engine: Engine) -> None:
    source = """
        local all = {}
        for _ = 1, 10 do
          for k = 1, 500 do all[k] = pool.take(function() end) end
          for k = 1, 500 do pool.give_back(all[k]) end
          pool.shrink()
        end
        return pool.count()"""
    assert engine.execute(POOL + source) == 500
