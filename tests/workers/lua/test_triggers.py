"""The lists of triggers: the same in every worker, in the same order, whoever changes them."""

from __future__ import annotations

import pytest

from shm.segment import Segment
from tests.workers.lua.test_locks import holder
from tests.workers.lua.triggers_worker import Worker
from workers.runtime import LuaFailureError

APP = """
trigger.begin_loading()
trigger.set('e', f'a')
trigger.set('e', f'b', 'named')
trigger.set('e', f'c')
"""


@pytest.fixture
def pair(segment: Segment) -> tuple[Worker, Worker]:
    return Worker(segment, 0), Worker(segment, 1)


def check(pair: tuple[Worker, Worker], *expected: str) -> None:
    for worker in pair:
        assert worker.ran() == list(expected)
        assert worker.run("return trigger.count('e')") == len(expected)


def test_what_one_sets_the_other_runs_newest_first(pair: tuple[Worker, Worker]) -> None:
    one, two = pair
    check(pair)
    one.run("trigger.set('e', f'a')")
    check(pair, "a")
    two.run("trigger.set('e', f'b')")
    check(pair, "b", "a")
    one.run("trigger.set('e', f'c')")
    check(pair, "c", "b", "a")
    assert one.names() == two.names()
    assert one.run("return trigger.count('other')") == 0
    assert one.run("return nudged()") == 2


def test_the_same_function_again_stays_where_it_is(pair: tuple[Worker, Worker]) -> None:
    one, _ = pair
    one.run("for name in ('a b c'):gmatch('%a') do trigger.set('e', f(name)) end")
    names = one.names()
    one.run("trigger.set('e', f'b')")
    check(pair, "c", "b", "a")
    assert one.names() == names


def test_the_same_function_again_takes_its_new_upvalues_along(pair: tuple[Worker, Worker]) -> None:
    one, two = pair
    one.run("n = 1 local k = 1 g = function(seen) seen[1] = k end up = function() k = k + 1 end")
    one.run("trigger.set('e', g)")
    assert two.ran() == ["1"]
    one.run("up() trigger.set('e', g)")
    check(pair, "2")


def test_a_function_with_a_name_is_replaced_by_name(pair: tuple[Worker, Worker]) -> None:
    one, two = pair
    one.run("trigger.set('e', f'a', 'x') trigger.set('e', f'b', 'y')")
    check(pair, "b", "a")
    two.run("trigger.set('e', f'c', 'x')")
    check(pair, "b", "c")
    assert one.names() == two.names() == ["y", "x"]
    assert two.run("return (trigger.delete_named('e', 'y'))") is True
    assert two.run("return (trigger.delete_named('e', 'y'))") is False
    check(pair, "c")


def test_replace(pair: tuple[Worker, Worker]) -> None:
    one, two = pair
    one.run("for name in ('a b c'):gmatch('%a') do trigger.set('e', f(name)) end")
    assert one.run("return trigger.replace('e', f'd', f'b')") is True
    check(pair, "d", "c", "a")
    assert one.run("return trigger.replace('e', f'c', f'c')") is True
    check(pair, "d", "c", "a")
    assert one.run("return trigger.replace('e', f'a', f'd')") is True
    check(pair, "a", "c")
    assert one.run("return trigger.replace('e', f'x', f'y')") is False
    check(pair, "a", "c")
    # what another worker has set is known by the function that list() tells
    assert two.run("return trigger.replace('e', f'new', trigger.list('e')[2].func)") is True
    check(pair, "new", "a")


def test_delete(pair: tuple[Worker, Worker]) -> None:
    one, two = pair
    one.run("trigger.set('e', f'a') trigger.set('e', f'b')")
    assert one.run("return trigger.delete('e', f'a')") is True
    check(pair, "b")
    assert one.run("return trigger.delete('e', f'a')") is False
    assert two.run("return trigger.delete('e', trigger.list('e')[1].func)") is True
    check(pair)
    assert one.run("return #trigger.events()") == 0


def test_the_setting_worker_keeps_the_function_itself(pair: tuple[Worker, Worker]) -> None:
    one, two = pair
    one.run("total = 0 local n = 0 trigger.set('e', function() n = n + 1 total = n end)")
    one.run("ran'e' ran'e'")
    two.run("total = 0 ran'e'")
    assert (one.run("return total"), two.run("return total")) == (2, 1)
    two.run("trigger.set('e', f'b')")
    one.run("ran'e'")
    assert one.run("return total") == 3


def test_what_is_deleted_while_others_run_does_not_run(pair: tuple[Worker, Worker]) -> None:
    one, _ = pair
    one.run("trigger.set('e', f'a') trigger.set('e', f'b')")
    one.run("trigger.set('e', function() trigger.delete('e', f'b') end)")
    assert one.ran() == ["a"]


def test_the_first_error_stops_the_rest(pair: tuple[Worker, Worker]) -> None:
    _, two = pair
    two.run("trigger.set('e', f'a') trigger.set('e', function() error('no', 0) end)")
    for worker in pair:
        with pytest.raises(LuaFailureError, match=r"^no$"):
            worker.ran()


def test_a_refused_function_changes_nothing(segment: Segment, pair: tuple[Worker, Worker]) -> None:
    one, _ = pair
    one.run("trigger.set('e', f'a')")
    before = segment.header.trigger_generation
    bad = "local co = coroutine.create(print) local bad = function() return co end "
    text = "the function cannot be sent to the other workers: upvalue 'co' is a coroutine"
    for call in ("set('e', bad)", "set('e', bad, 'x')", "replace('e', bad, f'a')"):
        with pytest.raises(LuaFailureError, match=f"^{text}$"):
            one.run(f"{bad} trigger.{call}")
    assert segment.header.trigger_generation == before
    check(pair, "a")


def test_what_finds_no_room_changes_nothing(pair: tuple[Worker, Worker]) -> None:
    one, two = pair
    one.run("trigger.set('e', f'a')")
    fill = """
        for n = 1, 100 do
          local text = ('x'):rep(100000)
          trigger.set('e', function(seen) seen[#seen + 1] = #text end)
        end"""
    with pytest.raises(LuaFailureError, match=r"^no room for the triggers: they take 6"):
        one.run(fill)
    assert one.ran() == two.ran() == ["100000"] * 5 + ["a"]
    two.run("trigger.set('e', f'b')")
    assert one.ran() == two.ran() == ["b"] + ["100000"] * 5 + ["a"]


def test_what_a_worker_lacks_is_named_once(pair: tuple[Worker, Worker]) -> None:
    one, two = pair
    one.run("helper = function() end trigger.set('e', function() helper() end, 'mine')")
    one.ran()
    two.run("trigger.refresh() trigger.refresh() trigger.list('e')")
    assert one.logged == []
    assert two.logged == ["warn: trigger 'mine' of e uses what worker 1 does not have: helper"]
    one.run("trigger.set('e', f'b')")
    two.run("trigger.refresh()")
    assert len(two.logged) == 1


def test_a_function_by_name_that_a_worker_lacks(pair: tuple[Worker, Worker]) -> None:
    one, two = pair
    one.run(
        "package.loaded.shop = {sell = f'sold'} trigger.set('e', package.loaded.shop.sell, 's')"
    )
    two.run("package.loaded.shop = {}")
    assert one.ran() == ["sold"]
    assert two.ran() == []
    (line,) = two.logged
    assert line == "error: trigger 's' of e cannot run in worker 1: it has no require('shop').sell"
    two.run("trigger.set('e', f'b')")
    assert one.ran() == ["b", "sold"]


def test_a_worker_that_starts_later_has_them_all(segment: Segment) -> None:
    one = Worker(segment, 0)
    one.run("local n = 7 trigger.set('e', function(seen) seen[1] = n end, 'seven')")
    assert Worker(segment, 1).ran() == ["7"]


def test_what_an_application_sets_is_its_own_in_every_worker(segment: Segment) -> None:
    one = Worker(segment, 0)
    source = (
        APP + "local t = setmetatable({}, {}) trigger.set('e', function() return t end, 'meta')"
    )
    one.run(source)
    assert one.ran() == ["c", "b", "a"], "it counts while the application is loaded"
    one.run("trigger.end_loading()")
    two = Worker(segment, 1)
    two.run(source + "trigger.end_loading()")
    assert one.names() == two.names() == ["meta", "app:e:2", "named", "app:e:1"]
    check_all = (one, two)
    for worker in check_all:
        assert worker.ran() == ["c", "b", "a"]
        assert worker.logged == []
    two.run(
        "trigger.delete('e', f'a') trigger.replace('e', f'd', f'c') trigger.set('e', f'n', 'named')"
    )
    assert one.names()[1:] == two.names()[1:] == ["meta", "named"]
    three = Worker(segment, 2)
    three.run(source + "trigger.end_loading()")
    for worker in (one, two, three):
        assert worker.ran() == ["d", "n"]
        assert worker.logged == []


def test_an_application_that_sets_others_elsewhere_is_told(segment: Segment) -> None:
    one, two = Worker(segment, 0), Worker(segment, 1)
    one.run(APP + "trigger.end_loading()")
    two.run(APP + "trigger.set('e', f'extra', 'extra') trigger.end_loading()")
    assert one.ran() == two.ran() == ["c", "b", "a"]
    (line,) = two.logged
    assert line.startswith("warn: the application has set other triggers in worker 1 than in")
    assert "'extra' of e" in line


def test_changes_while_an_application_is_loaded(segment: Segment) -> None:
    one = Worker(segment, 0)
    one.run(APP + "trigger.set('e', f'a') trigger.delete('e', f'c')")
    assert one.ran() == ["b", "a"]
    assert one.run("return trigger.delete('e', f'c')") is False
    assert segment.header.trigger_generation == 0
    one.run("trigger.end_loading()")
    assert one.ran() == ["b", "a"]


def test_a_holder_that_hangs_is_an_error(segment: Segment, pair: tuple[Worker, Worker]) -> None:
    one, _ = pair
    with holder(segment, "hold", "trigger_lock"):
        text = "the lock of the triggers was not free for 1 s: its holder hangs"
        with pytest.raises(LuaFailureError, match=text):
            one.run("trigger.set('e', f'a')")
        assert one.ran() == []
    one.run("trigger.set('e', f'a')")
    check(pair, "a")


def test_names_stay_with_their_functions_where_an_application_sets_others(segment: Segment) -> None:
    one, two = Worker(segment, 0), Worker(segment, 1)
    one.run("trigger.begin_loading()")
    one.run("trigger.set('e', f'only', 'only') trigger.set('e', f'both', 'both')")
    one.run("trigger.end_loading()")
    two.run("trigger.begin_loading()")
    two.run("trigger.set('e', f'both', 'both') trigger.end_loading()")

    assert one.names() == ["both", "only"]
    assert one.ran() == ["both", "only"]
    assert two.ran() == ["both"]
    two.run("trigger.delete_named('e', 'both')")
    assert one.ran() == ["only"]
    assert two.ran() == []


def test_what_is_the_applications_stays_though_it_cannot_travel(segment: Segment) -> None:
    one = Worker(segment, 0)
    one.run("trigger.begin_loading()")
    one.run(
        "local t = setmetatable({}, {}) stuck = function(seen) seen[#seen + 1] = type(t) end "
        "trigger.set('e', stuck, 'stuck') trigger.end_loading()"
    )
    one.run("trigger.set('e', f'new') trigger.set('e', stuck)")

    assert one.ran() == ["new", "table"]
    assert one.names()[-1] == "stuck"
