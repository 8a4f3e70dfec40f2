"""The first of many by a key: the same as sorting all of them."""

from __future__ import annotations

import random
from operator import itemgetter

import pytest

from tests.helpers.engine import Engine

SOURCE = """
local selection = require('beespace.engine.selection')
local turn = require('beespace.engine.turns').begin()
local words, limit, down, texts = ...
local chosen, most = selection.new(limit < 0 and math.huge or limit, down), 0
for id, key in words:gmatch('(%d+)=(%S+)') do
  selection.add(chosen, texts and key or tonumber(key), tonumber(id))
  most = math.max(most, chosen.count)
  selection.cut(chosen, turn)
end
local ids, more = selection.finish(chosen, turn)
return table.concat(ids, ' '), more, most
"""


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("texts", [False, True])
@pytest.mark.parametrize(
    ("count", "limit"),
    [(0, 5), (1, -1), (2, 0), (2, 1), (1000, -1), (1025, 1025), (5000, 100), (9000, 1), (9001, -1)],
)
def test_any_order_of_coming(
    engine: Engine, count: int, limit: int, texts: bool, down: bool
) -> None:
    chance = random.Random(count + limit)
    ids = chance.sample(range(1, 10 * count + 1), count)
    pairs = [(f"{chance.randrange(count):x}" if texts else chance.randrange(count), i) for i in ids]
    words = " ".join(f"{i}={key}" for key, i in pairs).encode()
    found, more, most = engine.execute(SOURCE, words, limit, down, texts)

    by_id = sorted(pairs, key=itemgetter(1))
    expected = [i for _, i in sorted(by_id, key=itemgetter(0), reverse=down)]
    kept = expected if limit < 0 else expected[:limit]
    assert [int(i) for i in found.split()] == kept
    assert more == (len(kept) < count)
    assert limit < 0 or most <= max(4 * limit, 4096) + 1
