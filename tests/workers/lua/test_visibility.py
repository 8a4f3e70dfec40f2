"""Who sees what: by being it, owning it, having rights on it, and by rights on everything."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.engine import Engine
from tests.helpers.raw import pack

READ, WRITE, EXECUTE, SESSION, USAGE, CREATE, DROP, ALTER = (1 << bit for bit in range(8))
ADMIN, BOB, EVE, OUTER, INNER, GONE = 1, 32, 33, 34, 35, 99
FUNCTION, SPACE, OTHER_SPACE = 7, 280, 304
SEEING = {READ, WRITE, DROP, ALTER}
RIGHTS = (READ, WRITE, EXECUTE, SESSION, USAGE, CREATE, DROP, ALTER)
PRINCIPALS = [
    (number, ADMIN, name, kind, None, 0, 0)
    for number, name, kind in (
        (BOB, "bob", "user"),
        (EVE, "eve", "user"),
        (OUTER, "outer", "role"),
        (INNER, "inner", "role"),
    )
]
SETUP = """
local visibility = require('beespace.engine.visibility')
function use(packed)
  require('beespace.engine.catalog').use(require('beespace.engine.codec').unpack(packed))
end
function sees(what, ...) return visibility[what](...) end
"""

Grant = tuple[int, int, str, object, int]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(warm=False) as made:
        made.execute(SETUP)
        yield made


def to_bob(kind: str, thing: object, mask: int) -> Grant:
    return (ADMIN, BOB, kind, thing, mask)


def sees(engine: Engine, what: str, *arguments: int, grants: tuple[Grant, ...] = ()) -> bool:
    """What the rule says of ``what`` where these are all the grants that there are."""
    content = {"principals": PRINCIPALS, "privileges": grants, "functions": []}
    engine.execute("use(...)", pack(content))
    found = engine.execute("return sees(...)", what.encode(), *arguments)
    assert isinstance(found, bool)
    return found


@pytest.mark.parametrize(
    ("what", "arguments", "seen"),
    [
        ("principal", (BOB, ADMIN), True),
        ("principal", (EVE, ADMIN), False),
        ("principal", (EVE, BOB), True),
        ("principal", (OUTER, ADMIN), False),
        ("func", (FUNCTION, ADMIN), False),
        ("func", (FUNCTION, BOB), True),
        ("func", (BOB, ADMIN), False),
        ("grant", (BOB, EVE), True),
        ("grant", (EVE, BOB), True),
        ("grant", (EVE, ADMIN), False),
        ("space", (SPACE,), False),
        ("everything", (SPACE,), False),
    ],
)
def test_without_rights(engine: Engine, what: str, arguments: tuple[int, ...], seen: bool) -> None:
    assert sees(engine, what, BOB, *arguments) is seen


@pytest.mark.parametrize("mask", RIGHTS)
def test_rights_on_the_object(engine: Engine, mask: int) -> None:
    on_space, on_function = to_bob("space", SPACE, mask), to_bob("function", FUNCTION, mask)

    assert sees(engine, "space", BOB, SPACE, grants=(on_space,)) is (mask in SEEING)
    assert not sees(engine, "space", BOB, OTHER_SPACE, grants=(on_space,))
    function = sees(engine, "func", BOB, FUNCTION, ADMIN, grants=(on_function,))
    assert function is (mask in SEEING | {EXECUTE})
    assert not sees(engine, "func", BOB, FUNCTION + 1, ADMIN, grants=(on_function,))


@pytest.mark.parametrize("mask", RIGHTS)
def test_everything_by_rights_on_universe(engine: Engine, mask: int) -> None:
    grants = (to_bob("universe", 0, mask),)

    assert sees(engine, "everything", BOB, SPACE, grants=grants) is (mask in SEEING)
    assert not sees(engine, "everything", EVE, SPACE, grants=grants)


@pytest.mark.parametrize("mask", RIGHTS)
def test_everything_by_reading_the_space_itself(engine: Engine, mask: int) -> None:
    grants = (to_bob("space", SPACE, mask),)

    assert sees(engine, "everything", BOB, SPACE, grants=grants) is (mask == READ)
    assert not sees(engine, "everything", BOB, OTHER_SPACE, grants=grants)
    assert not sees(engine, "everything", BOB, SPACE, grants=(to_bob("space", "", READ),))


def test_roles_that_one_has_through_others(engine: Engine) -> None:
    has_outer, has_inner = to_bob("role", OUTER, EXECUTE), (ADMIN, OUTER, "role", INNER, EXECUTE)

    assert sees(engine, "principal", BOB, INNER, ADMIN, grants=(has_outer, has_inner))
    assert not sees(engine, "principal", BOB, INNER, ADMIN, grants=(has_outer,))
    reads = (ADMIN, INNER, "space", SPACE, READ)
    assert sees(engine, "everything", BOB, SPACE, grants=(has_outer, has_inner, reads))


def test_a_user_that_was_dropped_sees_what_was_its_own(engine: Engine) -> None:
    assert not sees(engine, "everything", GONE, SPACE)
    assert not sees(engine, "space", GONE, SPACE)
    assert not sees(engine, "func", GONE, FUNCTION, ADMIN)
    assert sees(engine, "func", GONE, FUNCTION, GONE)
