"""What Tarantool 2.6.0 answered to expressions on its Lua library, and what an engine answers.

Used by the tests of the modules that are compared with it, each with a group of
tests/data/tarantool_library.json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.helpers.engine import Engine

_DATA: Final = Path(__file__).parents[1] / "data"
_RECORDED: Final = json.loads((_DATA / "tarantool_library.json").read_text())
_EVALUATE: Final = (_DATA / "tarantool_library.lua").read_text()


def recorded(group: str) -> dict[str, str]:
    """Expressions of a group, and what they gave there."""
    return dict(_RECORDED[group])


def differences(engine: Engine, wanted: Mapping[str, str]) -> dict[str, str]:
    """What the engine answers to the expressions, as far as it is something else."""
    evaluate = engine.execute(_EVALUATE, True)
    answers = {lua: engine.runtime.call(evaluate, lua.encode()).decode() for lua in wanted}
    return {lua: text for lua, text in answers.items() if text != wanted[lua]}
