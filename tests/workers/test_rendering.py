"""Event streams as YAML: every event, both dialects, and streams that nobody would send."""

from __future__ import annotations

import base64

import msgpack
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from workers import bridge, rendering

SEQUENCE, FLOW_SEQUENCE, MAPPING, FLOW_MAPPING = b"\x00", b"\x01", b"\x02", b"\x03"
SEQUENCE_END, MAPPING_END = b"\x04", b"\x05"
NULL, TRUE, FALSE, EMPTY = b"\x06", b"\x07", b"\x08", b"\x09"
SECTION, QUOTED, LITERAL, BINARY = b"\x10", b"\x11", b"\x12", b"\x13"
ANCHOR, ALIAS, ALIAS_KEY = b"\x14", b"\x15", b"\x16"


def text(value: str | bytes) -> bytes:
    return bytes(msgpack.packb(value, use_bin_type=False))


def number(value: float) -> bytes:
    return bytes(msgpack.packb(float(value)))


def render(stream: bytes, dialect: bytes = b"2.6") -> str:
    return rendering.render(stream, dialect).decode()


def root(stream: bytes, dialect: bytes = b"2.6") -> str:
    """The root of a document, without what is around it."""
    document = render(stream, dialect)
    assert document.startswith("---")
    assert document.endswith("\n...\n")
    return document[3:-5].removeprefix(" ").removeprefix("\n")


BOTH = [
    (NULL, "null"),
    (TRUE, "true"),
    (FALSE, "false"),
    (text("a b"), "a b"),
    (QUOTED + text("1"), "'1'"),
    (LITERAL + text("a\n\nb"), "|-\n  a\n\n  b"),
    (BINARY + text(b"\xff\xfe"), "!!binary //4="),
    (text("caf\u00e9"), "caf\u00e9"),
    (SEQUENCE + SEQUENCE_END, "[]"),
    (MAPPING + MAPPING_END, "{}"),
    (SEQUENCE + NULL + TRUE + SEQUENCE_END, "- null\n- true"),
    (FLOW_SEQUENCE + NULL + TRUE + SEQUENCE_END, "[null, true]"),
    (MAPPING + text("k") + NULL + MAPPING_END, "k: null"),
    (FLOW_MAPPING + text("k") + NULL + MAPPING_END, "{k: null}"),
    (
        SEQUENCE
        + ANCHOR
        + b"\x00"
        + SEQUENCE
        + NULL
        + SEQUENCE_END
        + ALIAS
        + b"\x00"
        + SEQUENCE_END,
        "- &0\n  - null\n- *0",
    ),
    (number(0), "0"),
    (number(-0.0), "0"),
    (number(2**53), "9007199254740992"),
    (number(2.0**64 - 2048), "18446744073709549568"),
    (number(2.0**64), "1.844674407371e+19"),
    (number(-(2.0**63)), "-9223372036854775808"),
    (number(1 / 3), "0.33333333333333"),
    (number(float("inf")), "inf"),
]


@pytest.mark.parametrize("dialect", [b"2.6", b"new"])
@pytest.mark.parametrize(("stream", "printed"), BOTH)
def test_an_event_in_either_dialect(dialect: bytes, stream: bytes, printed: str) -> None:
    assert root(stream, dialect) == printed


ONLY_ONE = [
    (SEQUENCE + EMPTY + SEQUENCE_END, "-", "- "),
    (MAPPING + text("k") + EMPTY + MAPPING_END, "k:", "k: "),
    (text("\U0001f600"), '"\\U0001F600"', "\U0001f600"),
    (text("a \U0001f600 b"), '"a \\U0001F600 b"', "a \U0001f600 b"),
    (text(b"caf\xe9"), "!!binary Y2Fm6Q==", '"caf\\xE9"'),
    (QUOTED + text(b"\xff"), "!!binary /w==", '"\\xFF"'),
    (LITERAL + text(b"a\n\n\xff"), "!!binary YQoK/w==", '"a\\n\\n\\xFF"'),
    (text("\x80"), "!!binary woA=", '"\\u0080"'),
    (text("\ufeffx"), "!!binary 77u/eA==", '"\\uFEFFx"'),
    (text("\uffff"), "!!binary 77+/", '"\\uFFFF"'),
    (text("a\u200bb"), "a\u200bb", '"a\\u200Bb"'),
    (text("\ue000"), "\ue000", '"\\uE000"'),
    (text("\ue100\U0001f600"), '"\ue100\\U0001F600"', '"\\uE100\U0001f600"'),
    (text("\U000f0000"), "!!binary 87CAgA==", '"\\U000F0000"'),
]


@pytest.mark.parametrize(("stream", "old", "new"), ONLY_ONE)
def test_where_dialects_differ(stream: bytes, old: str, new: str) -> None:
    assert (root(stream), root(stream, b"new")) == (old, new)


def test_the_newest_rules_leave_a_space_behind_an_empty_text() -> None:
    assert render(EMPTY) == "---\n...\n"
    assert render(EMPTY, b"new") == "--- \n...\n"
    assert root(SEQUENCE + EMPTY + NULL + SEQUENCE_END, b"new") == "- \n- null"


def test_an_alias_as_a_key() -> None:
    stream = (
        SEQUENCE + ANCHOR + b"\x00" + SEQUENCE + NULL + SEQUENCE_END
        + MAPPING + ALIAS_KEY + b"\x00" + TRUE + MAPPING_END + SEQUENCE_END
    )  # fmt: skip

    assert root(stream) == "- &0\n  - null\n- *0 : true"
    assert root(stream, b"new") == "- &0\n  - null\n- *0: true"


def test_sections_have_anchors_of_their_own() -> None:
    part = SECTION + SEQUENCE + ANCHOR + b"\x00" + SEQUENCE + NULL + SEQUENCE_END + ALIAS + b"\x00"
    part += SEQUENCE_END

    assert root(SEQUENCE + part + part + SEQUENCE_END) == (
        "- - &0\n    - null\n  - *0\n- - &1\n    - null\n  - *1"
    )


def test_a_tag_is_declared() -> None:
    made = rendering.render(NULL, b"2.6", b"!push!", b"tag:x")

    assert made == b"%TAG !push! tag:x\n--- null\n...\n"


words = st.text(st.sampled_from("abc  \u00e9"), min_size=1, max_size=300)


@given(words)
def test_escaped_bytes_are_as_wide_as_they_are_printed(pattern: str) -> None:
    # libyaml prints the control character with the same number of columns.
    known = SEQUENCE + text(pattern.replace("b", "\x01")) + SEQUENCE_END
    bytes_ = SEQUENCE + text(pattern.encode().replace(b"b", b"\xff")) + SEQUENCE_END

    assert render(bytes_, b"new") == render(known).replace("\\x01", "\\xFF")


@given(words)
def test_characters_of_four_bytes_are_one_column_wide(pattern: str) -> None:
    known = SEQUENCE + text(pattern.replace("b", "\u2603")) + SEQUENCE_END
    wide = SEQUENCE + text(pattern.replace("b", "\U0001f41d")) + SEQUENCE_END

    assert render(wide, b"new") == render(known).replace("\u2603", "\U0001f41d")


def test_more_kinds_of_characters_than_there_are_stand_ins() -> None:
    all_of_them = "".join(map(chr, range(0x20000, 0x20000 + 7000)))
    printed = root(text(all_of_them), b"new")

    assert yaml.safe_load(printed) == all_of_them


# Streams as Lua may send them: values nested in each other, any text in any style.
scalars = st.one_of(
    st.sampled_from([NULL, TRUE, FALSE]),
    st.floats(allow_nan=False).map(number),
    st.binary(max_size=40).map(text),
    st.text(max_size=40).map(text),
    st.tuples(st.sampled_from([QUOTED, LITERAL, BINARY]), st.binary(max_size=30).map(text)).map(
        b"".join
    ),
    st.tuples(st.sampled_from([QUOTED, LITERAL]), st.text(max_size=30).map(text)).map(b"".join),
)


def sequences(items: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    start = st.sampled_from([SEQUENCE, FLOW_SEQUENCE])
    return st.tuples(start, st.lists(items, max_size=4)).map(
        lambda found: found[0] + b"".join(found[1]) + SEQUENCE_END
    )


def mappings(items: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    start = st.sampled_from([MAPPING, FLOW_MAPPING])
    return st.tuples(start, st.lists(st.tuples(items, items).map(b"".join), max_size=3)).map(
        lambda found: found[0] + b"".join(found[1]) + MAPPING_END
    )


streams = st.recursive(scalars, lambda items: sequences(items) | mappings(items), max_leaves=15)


@given(streams, st.sampled_from([b"2.6", b"new"]))
def test_every_stream_of_values_is_a_document(stream: bytes, dialect: bytes) -> None:
    document = render(stream, dialect)

    assert document.startswith("---")
    assert document.endswith("\n...\n")
    assert len(list(yaml.parse(document, Loader=yaml.CLoader))) >= 5


@given(st.binary(max_size=200) | st.lists(st.sampled_from(range(24)), max_size=30).map(bytes))
def test_no_bytes_break_the_service(stream: bytes) -> None:
    service = bridge.make_services(bridge.Context(version="1"))["yaml_render"]

    for dialect in (b"2.6", b"new"):
        made = service(stream, dialect, None, None)
        assert isinstance(made, bytes) or made[0] is None


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_long_binary_data_is_one_text(more: int) -> None:
    data = b"\xff\x00\xfe" * rendering._PIECE + b"\xff" * (1 + more)
    wanted = b"--- !!binary " + base64.b64encode(data) + b"\n...\n"
    assert rendering.render(text(data), b"2.6") == wanted
