"""The order of keys: the same as that of one sort, whatever their number is."""

from __future__ import annotations

import random

import pytest

from tests.helpers.engine import Engine


@pytest.mark.parametrize("count", [0, 1, 511, 512, 513, 1024, 1025, 5000])
def test_many_keys_are_sorted_as_few_are(engine: Engine, count: int) -> None:
    words = [b"%x" % random.Random(place).randrange(1 << 40) for place in range(count)]
    source = """
        local keys, pauses = {}, 0
        for word in (...):gmatch('%S+') do keys[#keys + 1] = word end
        local sorted = require('beespace.engine.key_order').sorted(keys, function(c)
          pauses = pauses + c
        end, 1)
        return table.concat(sorted, ' '), pauses"""
    text, pauses = engine.execute(source, b" ".join(words))
    assert text.split() == sorted(words)
    assert (pauses > 1) == (count > 512)


def test_numbers_come_before_texts_and_booleans(engine: Engine) -> None:
    source = """
        local sorted = require('beespace.engine.key_order').sorted
        local keys = sorted({true, 'b', 10, false, 'a', -1, 9}, error)
        for place = 1, #keys do keys[place] = tostring(keys[place]) end
        return table.concat(keys, ' ')"""
    assert engine.execute(source) == b"-1 9 10 a b false true"
