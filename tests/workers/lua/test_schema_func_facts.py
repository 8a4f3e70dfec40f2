"""box.schema.func, box.func and box.once against what Tarantool 2.6 answers.

``data/tarantool_functions.json`` is written by the script of the same name; its head says what is
in it. Every piece of Lua is run again here, in the same order and with the same rights. Where the
answer is another one on purpose, ``data/functions_differences.json`` has it with the reason:
``[reason, user, piece, result or [code, text]]``.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

from tests.helpers.engine import Client, Engine
from tests.helpers.users import ADMIN, give

DATA: Final = Path(__file__).resolve().parents[2] / "data"
STEPS: Final = json.loads((DATA / "tarantool_functions.json").read_text())
DIFFERENCES: Final = {
    (user, piece): answer
    for _, user, piece, answer in json.loads((DATA / "functions_differences.json").read_text())
}
_RUN: Final = """
local who, source = ...
local preface = 'local user, func = box.schema.user, box.schema.func '
return box.session.su(who, assert(loadstring(preface .. source)))
"""
_PLACE: Final = re.compile(r"^[\w/.]+:\d+: ")
_OLD_PREFIX: Final = "Illegal parameters, "


def run(client: Client, who: str, source: str) -> Any:
    answer = client.eval(_RUN, who, source)
    return [answer.code, _PLACE.sub("", answer.text)] if answer.is_error else answer.data


def expected(step: list[Any]) -> Any:
    who, source, *answer = step
    if (who, source) in DIFFERENCES:
        return DIFFERENCES[who, source]
    if len(answer) == 1:
        return answer[0]
    code, text = answer[1]
    return [code, text.removeprefix(_OLD_PREFIX)]


def test_every_step() -> None:
    wrong = []
    with Engine(open_to_guests=False) as engine, engine.connect() as client:
        give(client, ADMIN)
        for step in STEPS:
            answer = run(client, step[0], step[1])
            if answer != expected(step):
                wrong.append((step[:2], expected(step), answer))
    assert wrong == []


def test_every_difference_is_asked_for() -> None:
    asked = {(step[0], step[1]) for step in STEPS}
    assert asked >= DIFFERENCES.keys()
    same = [key for key in asked & DIFFERENCES.keys() if _tarantools(key) == DIFFERENCES[key]]
    assert same == []


def _tarantools(key: tuple[str, str]) -> Any:
    return next(step[-1] for step in STEPS if (step[0], step[1]) == key)
