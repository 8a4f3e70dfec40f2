"""require('fiber') against what Tarantool 2.6 answers, case by case.

``data/tarantool_fiber.json`` has the cases and Tarantool's results, written by the script of the
same name; ``data/fiber_differences.json`` has ours where they differ, each group with its reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.helpers.engine import Client, Engine
from tests.helpers.requests import evaluation
from tests.workers.lua.tries import tried_again

DATA: Final = Path(__file__).resolve().parents[2] / "data"
CASES: Final = json.loads((DATA / "tarantool_fiber.json").read_text())
TARANTOOL: Final = {case["lua"]: case["result"] for case in CASES}
OURS: Final = {
    case["lua"]: case["result"]
    for group in json.loads((DATA / "fiber_differences.json").read_text())
    for case in group["cases"]
}


@pytest.fixture(scope="module")
def asking(engine: Engine) -> Iterator[Client]:
    runner = (DATA / "tarantool_fiber.lua").read_bytes()
    engine.execute("run_case = loadstring(...)('module')", runner)
    with engine.connect() as client:
        yield client


def agree(asking: Client, source: str) -> None:
    (answer,) = asking.answers(evaluation(1, "return run_case(...)", source), 1)

    assert answer.data == [OURS.get(source, TARANTOOL[source])]


@pytest.mark.parametrize("source", TARANTOOL)
def test_as_tarantool(asking: Client, source: str) -> None:
    has_times = "0.0" in source
    (tried_again(agree) if has_times else agree)(asking, source)


def test_the_differences_are_differences() -> None:
    assert len(TARANTOOL) == len(CASES)
    assert [source for source in OURS if OURS[source] == TARANTOOL[source]] == []
