"""What is wrong with a JSON text, as Tarantool 2.6.0 told it of the same texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.json_faults import fault

DATA: Final = Path(__file__).parents[1] / "data" / "tarantool_json_faults.json"
TOLD: Final = [tuple(row) for row in json.loads(DATA.read_text())]


@pytest.mark.parametrize(("text", "told"), TOLD)
def test_as_tarantool(text: str, told: str) -> None:
    assert fault(text.encode(), 128) == told


@pytest.mark.parametrize(
    ("text", "limit", "told"),
    [
        (b"[[[1]]]", 3, None),
        (b"[[[1]]]", 2, "Found too many nested data structures (3) on line 1 at character 3"),
        (b'[\n{"a": [', 2, "Found too many nested data structures (3) on line 2 at character 7"),
    ],
)
def test_depth(text: bytes, limit: int, told: str | None) -> None:
    assert fault(text, limit) == told


JSON: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_nothing_is_wrong_with_what_the_library_writes(value: object) -> None:
    assert fault(json.dumps(value).encode(), 128) is None
    assert fault(json.dumps(value, indent=1, ensure_ascii=False).encode(), 128) is None


@given(JSON, st.data())
def test_a_text_that_ends_too_early(value: object, data: st.DataObject) -> None:
    text = json.dumps([value]).encode()
    cut = data.draw(st.integers(0, len(text) - 1))

    assert fault(text[:cut], 128) is not None


@given(st.binary(max_size=40))
def test_any_bytes_are_judged(text: bytes) -> None:
    found = fault(text, 128)
    assert found is None or found.startswith("Expected ")
