"""Values of Lua as JSON and back; what YAML and base64 say.

Called by ``workers.bridge``. A value is its MessagePack form, which the codec on the Lua side makes
and reads. The libraries do the grammar; what is decided here is what Tarantool's modules print and
accept: number forms, escapes, which unquoted words are not texts. Errors are raised as ValueError
or TypeError.
"""

from __future__ import annotations

import binascii
import json
import math
import re
from collections.abc import Iterator
from json.encoder import encode_basestring
from typing import Any, Final

import yaml

from workers.json_faults import fault
from workers.values import Map, pack, text_of_bytes, unpack

MAX_DEPTH: Final = 128
MAX_ALIASED_NODES: Final = 1_000_000


def _number_text(value: float, precision: int) -> str:
    return "nan" if math.isnan(value) else f"{value:.{precision}g}"


# JSON --------------------------------------------------------------------------------------------


def json_encode(packed: bytes, precision: float = 14, non_finite: bool = True) -> bytes:
    """A packed value as compact JSON; ``non_finite`` allows nan and inf, which are not JSON."""
    text = "".join(_json(unpack(packed), int(precision), non_finite))
    return text.encode("utf-8", "surrogateescape")


def _json(value: Any, precision: int, non_finite: bool) -> Iterator[str]:
    match value:
        case None:
            yield "null"
        case bool():
            yield "true" if value else "false"
        case int():
            yield str(value)
        case float():
            if not non_finite and not math.isfinite(value):
                raise ValueError("number must not be NaN or Inf")
            yield _number_text(value, precision)
        case str():
            yield _json_string(value)
        case bytes():
            yield _json_string(text_of_bytes(value))
        case Map():
            separator = "{"
            for key, each in value:
                yield f"{separator}{_json_key(key)}:"
                yield from _json(each, precision, non_finite)
                separator = ","
            yield "}" if value else "{}"
        case _:
            separator = "["
            for each in value:
                yield separator
                yield from _json(each, precision, non_finite)
                separator = ","
            yield "]" if value else "[]"


def _json_string(value: str) -> str:
    return encode_basestring(value).replace("/", "\\/").replace("\x7f", "\\u007f")


def _json_key(key: Any) -> str:
    if isinstance(key, bool) or not isinstance(key, int | str):
        raise TypeError("table key must be a number or string")
    return _json_string(str(key))


# nan and inf outside of strings, which the encoder writes and the library does not read
_NON_FINITE: Final = re.compile(r'("(?:[^"\\]|\\.)*")|\b(nan|inf)\b')
_LIBRARY_NAMES: Final = {"nan": "NaN", "inf": "Infinity"}


def json_decode(text: bytes, max_depth: float = MAX_DEPTH, non_finite: bool = True) -> bytes:
    """JSON text as a packed value. Integers beyond 64 bits become doubles; nan and inf are read."""
    try:
        value = _json_value(text_of_bytes(text), non_finite)
        if _is_too_deep(value, int(max_depth)):
            raise ValueError(fault(text, int(max_depth)))
        return pack(value)
    except json.JSONDecodeError as error:
        place = f"on line {error.lineno} at character {error.colno}"
        raise ValueError(fault(text, int(max_depth)) or f"{error.msg} {place}") from error
    except UnicodeEncodeError as error:  # half of a surrogate pair
        raise ValueError(fault(text, int(max_depth))) from error


def _json_value(source: str, non_finite: bool) -> Any:
    try:
        return _json_load(source, non_finite)
    except json.JSONDecodeError:
        if not non_finite or ("nan" not in source and "inf" not in source):
            raise
    return _json_load(_NON_FINITE.sub(_library_name, source), non_finite)


def _library_name(found: re.Match[str]) -> str:
    return found[1] or _LIBRARY_NAMES[found[2]]


def _json_load(source: str, non_finite: bool) -> Any:
    def constant(name: str) -> float:
        if not non_finite:
            raise ValueError(f"number must not be NaN or Inf, found {name}")
        return float(name)

    return json.loads(source, strict=False, parse_int=_integer, parse_constant=constant)


def _integer(digits: str) -> int | float:
    """An integer of at most 64 bits, else the nearest double."""
    if len(digits) > 30:
        return float(digits)
    value = int(digits)
    return value if -(2**63) <= value < 2**64 else float(value)


def _is_too_deep(value: Any, limit: int) -> bool:
    level = [value]
    depth = 0
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        if depth > limit:
            return True
        level = [
            child for each in level for child in (each.values() if isinstance(each, dict) else each)
        ]
    return False


# YAML --------------------------------------------------------------------------------------------

_BINARY: Final = "tag:yaml.org,2002:binary"
_CONSTANTS: Final = {
    "~": None, "null": None, "true": True, "yes": True, "false": False, "no": False,
}  # fmt: skip
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_HEX: Final = re.compile(r"[-+]?0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(
    r"[-+]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?|nan|inf|infinity)", re.IGNORECASE
)


def _plain_value(text: str) -> Any:
    """What an unquoted scalar means: the rules of Tarantool's yaml, not those of YAML 1.1."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _HEX.fullmatch(text):
        value = int(text, 16)
        return value if -(2**63) <= value < 2**64 else float(value)
    return float(text) if _FLOAT.fullmatch(text) else text


def yaml_decode(text: bytes) -> bytes:
    """All documents of a YAML text as one packed array."""
    reader = _YamlReader()
    try:
        return pack(reader.documents(text))
    except yaml.MarkedYAMLError as error:
        raise ValueError(_yaml_fault(error, reader.started)) from error


def _yaml_fault(error: yaml.MarkedYAMLError, documents: int) -> str:
    """What is wrong with a YAML text, as Tarantool says it; the first place goes unmentioned."""
    mark, context = error.problem_mark, error.context_mark
    text = f"{error.problem} at document: {documents}"
    if mark and (mark.line or mark.column):
        text += f", line: {mark.line + 1}, column: {mark.column + 1}"
    if error.context and context:
        where = f"line: {context.line + 1}, column: {context.column + 1}"
        text += f"\n{error.context} at {where}"
    return text + "\n"


class _YamlReader:
    """Builds values from parser events; what aliases repeat is bounded."""

    def __init__(self) -> None:
        self._nodes = 0
        self._aliased = 0
        self._anchors: dict[str, tuple[Any, int]] = {}
        # open containers: (value, anchor, nodes counted before it, keys waiting for their value)
        self._open: list[tuple[Any, str | None, int, list[Any]]] = []
        self._documents: list[Any] = []
        self.started = 0

    def documents(self, text: bytes) -> list[Any]:
        for event in yaml.parse(text, Loader=yaml.CLoader):
            match event:
                case yaml.DocumentStartEvent():
                    self._anchors.clear()
                    self.started += 1
                case yaml.ScalarEvent():
                    self._put_scalar(event)
                case yaml.AliasEvent():
                    self._put_alias(event.anchor or "")
                case yaml.SequenceStartEvent():
                    self._enter([], event.anchor)
                case yaml.MappingStartEvent():
                    self._enter({}, event.anchor)
                case yaml.CollectionEndEvent():
                    value, anchor, before, _ = self._open.pop()
                    self._put(value, anchor, self._nodes - before)
        return self._documents

    def _put_scalar(self, event: yaml.ScalarEvent) -> None:
        # A long text weighs more than one node.
        nodes = 1 + len(event.value) // 16
        self._nodes += nodes
        self._put(_scalar_value(event), event.anchor, nodes)

    def _enter(self, value: Any, anchor: str | None) -> None:
        # The list of documents is one level more.
        if len(self._open) >= MAX_DEPTH - 1:
            raise ValueError(f"Too high nest level - {MAX_DEPTH}")
        self._open.append((value, anchor, self._nodes, []))
        self._nodes += 1

    def _put_alias(self, anchor: str) -> None:
        if anchor not in self._anchors:
            raise ValueError(f"invalid reference: {anchor}")
        value, nodes = self._anchors[anchor]
        self._nodes += nodes
        self._aliased += nodes
        if self._aliased > MAX_ALIASED_NODES:
            raise ValueError(f"references repeat more than {MAX_ALIASED_NODES} nodes")
        self._put(value, None, nodes)

    def _put(self, value: Any, anchor: str | None, nodes: int) -> None:
        if anchor is not None:
            self._anchors[anchor] = (value, nodes)
        if not self._open:
            self._documents.append(value)
            return
        container, _, _, waiting = self._open[-1]
        if isinstance(container, list):
            container.append(value)
        elif not waiting:
            if isinstance(value, dict | list):
                raise TypeError("a mapping key must be a scalar")
            waiting.append(value)
        else:
            container[waiting.pop()] = value


def _scalar_value(event: yaml.ScalarEvent) -> Any:
    tag = event.tag
    if tag == _BINARY:
        return text_of_bytes(base64_decode(event.value.encode()))
    if event.implicit[0]:
        return _plain_value(event.value)
    if tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:bool"):
        return _plain_value(event.value)
    return event.value


# Base64 -------------------------------------------------------------------------------------------

_URL_TO_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_OTHERS: Final = bytes(set(range(256)) - set(_ALPHABET))


def base64_decode(text: bytes) -> bytes:
    """Base64 of either alphabet; other characters are skipped, missing padding is no error."""
    letters = text.translate(_URL_TO_STANDARD).translate(None, _OTHERS)
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
