"""Statements out of bytes: terminators, delimiters, pieces, the end of the stream."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.engine import Engine

DRIVER = """
local ffi = require('ffi')
local sessions = require('beespace.engine.sessions')
local statements = require('beespace.engine.statements')
local session = ffi.new('bee_session_t')
local driver = {}
function driver.start() reader = statements.new() end
function driver.append(bytes)
  return statements.append(reader, session, ffi.cast('const uint8_t *', bytes), #bytes)
end
function driver.next(delimiter) return statements.next(reader, session, delimiter) end
function driver.rest(delimiter) return statements.rest(reader, session, delimiter) end
function driver.waiting() return statements.waiting(reader, session) end
function driver.holds_memory() return session.buffers ~= nil end
return driver
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(warm=False) as made:
        yield made


class Reader:
    """A reader of statements whose session holds nothing but its buffer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._driver = engine.execute(DRIVER)
        self._call("start")

    def _call(self, name: str, *arguments: bytes) -> object:
        return self._engine.runtime.call(self._driver[name.encode()], *arguments)

    def append(self, data: bytes) -> None:
        assert self._call("append", data)

    def next(self, delimiter: bytes = b"") -> tuple[bytes, bytes] | None:
        found = self._call("next", delimiter)
        if found is None:
            return None
        assert isinstance(found, tuple)
        return found[0], bytes([int(found[1])])

    def rest(self, delimiter: bytes = b"") -> bytes | None:
        found = self._call("rest", delimiter)
        assert found is None or isinstance(found, bytes)
        return found

    def all(self, delimiter: bytes = b"") -> list[bytes]:
        found = []
        while (each := self.next(delimiter)) is not None:
            found.append(each[0])
        return found

    @property
    def waiting(self) -> object:
        return self._call("waiting")

    @property
    def holds_memory(self) -> object:
        return self._call("holds_memory")


def split(data: bytes, delimiter: bytes) -> tuple[list[bytes], bytes]:
    """What the statements of a text are, and its rest: the rule, written the slow way."""
    found = []
    begin = 0
    for place, byte in enumerate(data):
        end = place - len(delimiter)
        if byte in b"\r\n" and end >= begin and data[end:place] == delimiter:
            found.append(data[begin:end])
            begin = place + 1
    return found, data[begin:]


def test_lf_and_cr_end_a_statement_each(engine: Engine) -> None:
    reader = Reader(engine)
    reader.append(b"1\r\n2\r3\n\n4")
    assert [reader.next() for _ in range(6)] == [
        (b"1", b"\r"), (b"", b"\n"), (b"2", b"\r"), (b"3", b"\n"), (b"", b"\n"), None,
    ]  # fmt: skip
    assert reader.waiting == 1


def test_a_delimiter_counts_before_the_end_of_a_line_only(engine: Engine) -> None:
    reader = Reader(engine)
    reader.append(b"'a$E$b'\n+ 1$E$\r\nx$E$\n$E$\n$E\n")
    assert reader.all(b"$E$") == [b"'a$E$b'\n+ 1", b"\nx", b""]
    assert reader.rest(b"$E$") == b""


def test_a_delimiter_is_not_made_of_what_ended_the_statement_before(engine: Engine) -> None:
    reader = Reader(engine)
    reader.append(b";\n\n;\n")
    assert reader.all(b";\n") == [b""]
    assert reader.waiting == 2


def test_the_delimiter_may_change_between_two_statements(engine: Engine) -> None:
    reader = Reader(engine)
    reader.append(b"a\nb;\nc\n")
    assert reader.next() == (b"a", b"\n")
    assert reader.next(b";") == (b"b", b"\n")
    assert reader.next(b";") is None
    assert reader.next() == (b"c", b"\n")
    assert not reader.holds_memory


def test_the_rest_loses_what_would_have_ended_it(engine: Engine) -> None:
    for data, delimiter, rest in (
        (b"12", b"", b"1"),
        (b"1", b"", b""),
        (b"1\n2", b";", b"1"),
        (b"12", b"$EOF$", b""),
    ):
        reader = Reader(engine)
        reader.append(data)
        assert reader.next(delimiter) is None
        assert reader.rest(delimiter) == rest
        assert reader.rest(delimiter) is None
        assert not reader.holds_memory


def test_a_long_line_in_pieces_is_one_statement(engine: Engine) -> None:
    reader = Reader(engine)
    line = b"x" * 3_000_000
    for at in range(0, len(line), 65536):
        reader.append(line[at : at + 65536])
        assert reader.next() is None
    reader.append(b"\ny")
    assert reader.next() == (line, b"\n")
    assert reader.waiting == 1


PIECES = st.lists(st.text("a;$\n\r", max_size=12).map(str.encode), max_size=12)


@given(PIECES, st.sampled_from([b"", b";", b";;", b"$;", b"\n"]))
def test_any_pieces_give_the_statements_of_their_sum(
    engine: Engine, pieces: list[bytes], delimiter: bytes
) -> None:
    reader = Reader(engine)
    found = []
    for piece in pieces:
        if piece:
            reader.append(piece)
        found += reader.all(delimiter)
    statements, rest = split(b"".join(pieces), delimiter)
    assert found == statements
    assert reader.waiting == len(rest)
    if rest:
        assert reader.rest(delimiter) == rest[: max(0, len(rest) - len(delimiter) - 1)]
    assert not reader.holds_memory
