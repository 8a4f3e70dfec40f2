"""The system views against what Tarantool 2.6 answers to users with different rights.

``data/tarantool_views.json`` is written by the script of the same name; its head says what is in
it. The catalog of the engine is made of the recorded rows, and every user is asked for again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.helpers.engine import Client, Engine
from tests.helpers.raw import SELECT, pack
from tests.helpers.users import give

DATA: Final = Path(__file__).resolve().parents[2] / "data"
FACTS: Final = json.loads((DATA / "tarantool_views.json").read_text())
USERS: Final = {name: number for number, _, name, *_ in FACTS["users"]}
SEEN: Final = FACTS["seen"]

# What 2.6 has and beespace has not: SQL, data of sequences and vinyl; and what came later.
NOT_HERE: Final = {257, 285, 328, 356, 364, 372}
LATER: Final = {341, 380}
PRIMARY: Final = {289: (0, 1), 313: (1, 2, 3)}
ALL: Final = 0xFFFFFFFF

_LOAD: Final = """
local facts = require('beespace.engine.codec').unpack(...)
local content = {principals = {}, functions = {}, privileges = facts.privileges}
for _, row in ipairs(facts.users) do
  local hash = row[5]['chap-sha1']
  hash = hash and require('digest').base64_decode(hash)
  table.insert(content.principals, {row[1], row[2], row[3], row[4], hash, 0, 0})
end
local names = {}
for _, field in ipairs(require('beespace.engine.view_spaces').by_name._func.format) do
  table.insert(names, field.name)
end
for _, row in ipairs(facts.functions) do
  local made = {}
  for place, value in ipairs(row) do
    made[names[place]] = value
  end
  table.insert(content.functions, made)
end
require('beespace.engine.catalog').use(content)
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as made:
        catalog = {key: FACTS[key] for key in ("users", "privileges", "functions")}
        made.execute(_LOAD, pack(catalog))
        yield made


def become(client: Client, name: str) -> None:
    give(client, USERS[name])


def rows(client: Client, space: int) -> list[Any]:
    return client.request(SELECT, {0x10: space, 0x12: ALL, 0x20: []}).data


def without(numbers: list[int], *sets: set[int]) -> list[int]:
    return [number for number in numbers if not any(number in each for each in sets)]


@pytest.mark.parametrize("name", SEEN)
def test_what_a_user_sees(client: Client, name: str) -> None:
    become(client, name)
    seen = SEEN[name]

    spaces = [row[0] for row in rows(client, 281)]
    assert without(spaces, LATER) == without(seen["spaces"], NOT_HERE, LATER)
    indexes = [[row[0], row[1]] for row in rows(client, 289)]
    assert [each for each in indexes if each[0] not in LATER] == [
        each for each in seen["indexes"] if each[0] not in NOT_HERE | LATER
    ]
    assert {space for space, _ in indexes} <= set(spaces)
    assert [row[:5] for row in rows(client, 313)] == seen["privileges"]
    assert [row[0] for row in rows(client, 297)] == seen["functions"]
    assert len(rows(client, 277)) == len(FACTS["collations"])


# Tarantool shows nobody the roles it has, but for public.
ROLES: Final = {"mary": {"inner", "outer"}}


@pytest.mark.parametrize("name", SEEN)
def test_which_users_a_user_sees(client: Client, name: str) -> None:
    become(client, name)
    roles = {USERS[role] for role in ROLES.get(name, ())}

    assert {row[0] for row in rows(client, 305)} == {*SEEN[name]["users"], *roles}


@pytest.mark.parametrize("name", SEEN)
def test_which_spaces_a_user_reads(client: Client, name: str) -> None:
    become(client, name)
    asked = [272, 276, 277, 280, 281, 284, 286, 288, 289, 296, 297, 304, 305, 312, 313, 320, 330]
    answers = {s: client.request(SELECT, {0x10: s, 0x12: 1, 0x20: []}) for s in asked}

    assert [s for s, answer in answers.items() if not answer.is_error] == SEEN[name]["readable"]
    for answer in answers.values():
        if answer.is_error:
            assert answer.code == 42
            assert answer.text.endswith(f"is denied for user '{name}'")


@pytest.mark.parametrize(("space", "facts"), [(304, "users"), (312, "privileges")])
def test_rows_of_the_catalog(client: Client, space: int, facts: str) -> None:
    become(client, "admin")

    assert [row[:5] for row in rows(client, space)] == FACTS[facts]
    assert rows(client, space + 1) == rows(client, space)


def test_rows_of_functions(client: Client) -> None:
    become(client, "admin")

    assert [row[:19] for row in rows(client, 296)] == FACTS["functions"]
    assert rows(client, 296) == rows(client, 297)


# Formats that have more fields than 2.6 had.
GROWN: Final = {296, 297, 304, 305, 312, 313}


def test_rows_of_spaces(client: Client) -> None:
    become(client, "admin")
    ours = {row[0]: row for row in rows(client, 281)}

    for fact in FACTS["spaces"]:
        if fact[0] not in NOT_HERE:
            row = ours.pop(fact[0])
            assert row[:6] == fact[:6]
            size = len(fact[6]) if fact[0] in GROWN else None
            assert row[6][:size] == fact[6]
    assert set(ours) == {341}
    assert rows(client, 280) == rows(client, 281)


def test_rows_of_indexes(client: Client) -> None:
    become(client, "admin")
    facts = [row for row in FACTS["indexes"] if row[0] not in NOT_HERE]

    assert [row for row in rows(client, 289) if row[0] != 341] == facts


def test_collations(client: Client) -> None:
    assert rows(client, 277) == FACTS["collations"]


def answer_of(client: Client, select: list[Any]) -> object:
    name, space, index, iterator, key, offset, limit, _ = select
    become(client, name)
    place = {0x10: space, 0x11: index, 0x14: iterator}
    body = {**place, 0x20: key, 0x13: offset, 0x12: limit}
    answer = client.request(SELECT, body)
    if answer.is_error:
        prefix = "Illegal parameters, " if answer.code == 1 else ""
        return {"code": answer.code, "text": prefix + answer.text}
    fields = PRIMARY.get(space, (0,))
    found = [[row[field] for field in fields] for row in answer.data]
    return [row for row in found if row[0] not in LATER]


def test_selects(client: Client) -> None:
    different = []
    for select in FACTS["selects"]:
        answer = answer_of(client, select)
        if answer != select[-1]:
            different.append((select, answer))
    assert different == []


# The rows have more fields here, there is one setting more, and operations are not those of 2.6.
PREFACE: Final = """
local space, settings = box.space._vuser, box.space._session_settings
local t = box.tuple.new{1, 1, 'admin', 'user', {}}
"""


@pytest.mark.parametrize("case", FACTS["lua"], ids=lambda case: case[0])
def test_lua(client: Client, case: list[Any]) -> None:
    source, results, *error = case
    become(client, "admin")
    answer = client.eval(f"{PREFACE} {source}")

    if not error:
        assert answer.data == results
    else:
        text = error[0]["text"].removeprefix("Illegal parameters, ")
        assert (answer.code, answer.text.rpartition(": ")[2]) == (
            error[0].get("code", 32),
            text.rpartition(": ")[2],
        )
