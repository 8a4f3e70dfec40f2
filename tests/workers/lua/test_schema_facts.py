"""box.schema.user and box.schema.role against what Tarantool 2.6 answers.

``data/tarantool_users.json`` is written by the script of the same name; its head says what is in
it. Every piece of Lua is run again here, in the same order and with the same rights. Where the
answer is another one on purpose, ``data/users_differences.json`` has it with the reason:
``[reason, [group or set of rights, ...], piece, result or [code, text]]``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.helpers.engine import Client, Engine
from tests.helpers.users import ADMIN, give

DATA: Final = Path(__file__).resolve().parents[2] / "data"
FACTS: Final = json.loads((DATA / "tarantool_users.json").read_text())
GROUPS: Final = FACTS["groups"]
MATRIX: Final = FACTS["matrix"]
DIFFERENCES: Final = {
    (where, piece): answer
    for _, places, piece, answer in json.loads((DATA / "users_differences.json").read_text())
    for where in places
}

PREFACE: Final = """
local user, role = box.schema.user, box.schema.role
local catalog = require('beespace.engine.catalog')
local func = {
  create = function(name)
    local me = require('beespace.engine.state').cur.euid
    catalog.change('create_function', me, name, {}, false)
  end,
  exists = function(name)
    return catalog.function_by_name[name] ~= nil
  end,
}
"""
_RESTORE: Final = """
local catalog = require('beespace.engine.catalog')
for id, each in pairs(catalog.principals) do
  if id >= 32 then
    catalog.change('drop_principal', each.kind, id)
  end
end
for id in pairs(catalog.functions) do
  catalog.change('drop_function', id)
end
"""
_OLD_PREFIX: Final = "Illegal parameters, "


@pytest.fixture
def admin() -> Iterator[Client]:
    with Engine(open_to_guests=False) as engine, engine.connect() as client:
        give(client, ADMIN)
        yield client


def run(client: Client, source: str) -> Any:
    answer = client.eval(PREFACE + source)
    return [answer.code, answer.text] if answer.is_error else answer.data


def expected(where: str, step: list[Any]) -> Any:
    if (where, step[0]) in DIFFERENCES:
        return DIFFERENCES[where, step[0]]
    if len(step) == 2:
        return step[1]
    return [step[2].get("code"), step[2]["text"].removeprefix(_OLD_PREFIX)]


@pytest.mark.parametrize("group", GROUPS)
def test_group(admin: Client, group: str) -> None:
    wrong = []
    for step in GROUPS[group]:
        answer = run(admin, step[0])
        if answer != expected(group, step):
            wrong.append((step[0], expected(group, step), answer))
    assert wrong == []


@pytest.mark.parametrize("name", MATRIX)
def test_rights(admin: Client, name: str) -> None:
    wrong = []
    for step in MATRIX[name]["answers"]:
        assert run(admin, MATRIX[name]["prepare"]) == []
        answer = run(admin, f"return box.session.su('me', function() {step[0]} end)")
        if answer != expected(name, step):
            wrong.append((step[0], expected(name, step), answer))
        admin.engine.execute(_RESTORE)
    assert wrong == []


def test_every_difference_is_asked_for() -> None:
    asked = {(group, step[0]) for group, steps in GROUPS.items() for step in steps}
    asked |= {(name, step[0]) for name, row in MATRIX.items() for step in row["answers"]}
    assert DIFFERENCES.keys() <= asked
