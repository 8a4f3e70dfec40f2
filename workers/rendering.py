"""YAML documents of Lua values, byte for byte as Tarantool prints them.

Lua walks the values and sends events (workers/lua/engine/yaml_stream.lua has their form); here they
drive libyaml's emitter, which decides on quotes, folding and indentation. :func:`render`, a service
of :mod:`workers.bridge`, makes one document of a whole stream; :mod:`workers.press` calls
:func:`document` with the events of large ones.

``2.6`` is libyaml as it is; a text that is no UTF-8, or has characters that nobody can see, is
printed as ``!!binary``. Under the newest rules, ``new``, Tarantool has another emitter: such bytes
and characters are escaped one by one, characters of four bytes are printed as they are, an empty
text leaves a space behind, an alias as a key none. libyaml does none of that, so that it is given
stand-ins for these, see :mod:`workers.stamps`.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import IO, Any, Final, cast

import msgpack
import yaml
from yaml._yaml import CEmitter

from workers.stamps import Stamps

DIALECTS: Final = frozenset({b"2.6", b"new"})

# Events, as yaml_stream.lua numbers them.
_EMPTY: Final = 9
_SECTION, _QUOTED, _LITERAL, _BINARY = 16, 17, 18, 19
_ANCHOR, _ALIAS, _ALIAS_KEY = 20, 21, 22

_STREAM_START: Final = yaml.StreamStartEvent(encoding="utf-8")
_STREAM_END: Final = yaml.StreamEndEvent()
_DOCUMENT_START: Final = yaml.DocumentStartEvent(explicit=True)
_DOCUMENT_END: Final = yaml.DocumentEndEvent(explicit=True)


def _scalar(text: bytes | str, style: str | None = None) -> yaml.ScalarEvent:
    return yaml.ScalarEvent(None, None, (True, True), text, style=style)  # type: ignore[arg-type]


def _sequence(flow: bool, anchor: str | None = None) -> yaml.Event:
    return yaml.SequenceStartEvent(anchor, None, False, flow_style=flow)


def _mapping(flow: bool, anchor: str | None = None) -> yaml.Event:
    return yaml.MappingStartEvent(anchor, None, False, flow_style=flow)


# Events never change, so that one object serves all documents.
_SHARED: Final = (
    _sequence(False),
    _sequence(True),
    _mapping(False),
    _mapping(True),
    yaml.SequenceEndEvent(),
    yaml.MappingEndEvent(),
    _scalar("null"),
    _scalar("true"),
    _scalar("false"),
    _scalar(""),
)
_STARTS: Final = ((_sequence, False), (_sequence, True), (_mapping, False), (_mapping, True))
_STYLES: Final = {_QUOTED: "'", _LITERAL: "|"}
_PIECE: Final = 3 << 16
"""Bytes of binary data that are encoded at once; a multiple of three."""
_BINARY_TAG: Final = "tag:yaml.org,2002:binary"

_MOST_KNOWN: Final = 4096
_LONGEST_KNOWN: Final = 32
_known: dict[bytes | float, yaml.Event] = {}
"""Events of numbers and short bare texts in ASCII, which are the same in every dialect."""


def _remembered(key: bytes | float, event: yaml.Event) -> yaml.Event:
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    _known[key] = event
    return event


def _number(value: float) -> yaml.Event:
    if value.is_integer() and -(2.0**63) <= value < 2.0**64:
        return _remembered(value, _scalar(str(int(value))))
    return _remembered(value, _scalar(f"{value:.14g}"))


class _Document:
    """One document: the events that it consists of, by the items of a stream."""

    def __init__(self) -> None:
        self._base = 0
        self._top = -1

    def events(self, items: Iterable[Any]) -> Iterator[yaml.Event]:
        """The events of a stream's items."""
        following = iter(items)
        known = _known
        for item in following:
            kind = item.__class__
            if kind is bytes:
                yield known.get(item) or self._plain(item)
            elif kind is float:
                yield known.get(item) or _number(item)
            elif item <= _EMPTY:
                yield _SHARED[item] if item != _EMPTY else self.empty()
            elif item == _SECTION:
                self._base = self._top + 1
            elif item == _ANCHOR:
                yield self._anchored(next(following), next(following))
            else:
                yield self._marked(item, next(following))

    def _plain(self, text: bytes) -> yaml.Event:
        if not text.isascii():
            return self.foreign(text, None)
        if len(text) <= _LONGEST_KNOWN:
            return _remembered(text, _scalar(text))
        return _scalar(text)

    def _anchored(self, number: int, start: int) -> yaml.Event:
        number += self._base
        self._top = max(self._top, number)
        make, flow = _STARTS[start]
        return make(flow, str(number))

    def _marked(self, item: int, value: Any) -> yaml.Event:
        if item == _ALIAS:
            return yaml.AliasEvent(str(self._base + value))
        if item == _ALIAS_KEY:
            return self.alias_key(str(self._base + value))
        if item == _BINARY:
            return _binary(value)
        if value.isascii():
            return _scalar(value, _STYLES[item])
        return self.foreign(value, _STYLES[item])

    def empty(self) -> yaml.Event:
        """An empty text that is no key."""
        return _SHARED[_EMPTY]

    def alias_key(self, anchor: str) -> yaml.Event:
        """An alias that is a key."""
        return yaml.AliasEvent(anchor)

    def foreign(self, text: bytes, style: str | None) -> yaml.Event:
        """A text that is not all ASCII."""
        return _scalar(text, style) if _is_printable(text) else _binary(text)

    def finished(self, text: bytes) -> bytes:
        """What is sent for the text of the emitter."""
        return text


def _binary(data: bytes) -> yaml.Event:
    # In pieces, so that other threads get their turn.
    pieces = range(0, len(data), _PIECE)
    text = b"".join(base64.b64encode(data[at : at + _PIECE]) for at in pieces)
    return yaml.ScalarEvent(None, _BINARY_TAG, (False, False), text)  # type: ignore[arg-type]


_C1: Final = re.compile("[\x80-\x9f\ufeff\ufffe\uffff]")
_ASTRAL: Final = re.compile("[\U00010000-\U0010ffff]")


def _is_printable(text: bytes) -> bool:
    try:
        decoded = text.decode()
    except UnicodeDecodeError:
        return False
    if _C1.search(decoded):
        return False
    return all(unicodedata.category(found)[0] != "C" for found in _ASTRAL.findall(decoded))


class _NewDocument(_Document):
    """The same by the newest rules."""

    def __init__(self) -> None:
        super().__init__()
        self._stamps = Stamps()

    def empty(self) -> yaml.Event:
        return _scalar(self._stamps.nothing())

    def alias_key(self, anchor: str) -> yaml.Event:
        return _scalar(self._stamps.plain(f"*{anchor}"))

    def foreign(self, text: bytes, style: str | None) -> yaml.Event:
        stamped, escaped = self._stamps.text(text)
        return _scalar(stamped, '"' if escaped else style)

    def finished(self, text: bytes) -> bytes:
        return self._stamps.finished(text)


def render(stream: bytes, dialect: bytes, handle: bytes = b"", prefix: bytes = b"") -> bytes:
    """The document of a stream of events; ``handle`` and ``prefix`` of a tag that is declared."""
    unpacker = msgpack.Unpacker(raw=True, max_buffer_size=0)
    unpacker.feed(stream)
    return document(unpacker, dialect, handle, prefix)


def document(items: Iterable[Any], dialect: bytes, handle: bytes, prefix: bytes) -> bytes:
    """The same for the items of the stream, which may come one by one."""
    made = _NewDocument() if dialect == b"new" else _Document()
    sink = _Sink()
    emitter = CEmitter(
        cast("IO[bytes]", sink), indent=2, width=80, allow_unicode=True, line_break="\n"
    )
    emit = emitter.emit
    emit(_STREAM_START)
    emit(_start(handle, prefix))
    for event in made.events(items):
        emit(event)
    emit(_DOCUMENT_END)
    emit(_STREAM_END)
    return made.finished(b"".join(sink.parts))


def _start(handle: bytes, prefix: bytes) -> yaml.Event:
    if not handle:
        return _DOCUMENT_START
    return yaml.DocumentStartEvent(explicit=True, tags={handle.decode(): prefix.decode()})


class _Sink:
    """Where the emitter writes; a Python function, so that other threads get their turn."""

    __slots__ = ("parts",)

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Take what the emitter has ready."""
        self.parts.append(data)
