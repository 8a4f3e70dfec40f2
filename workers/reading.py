"""What YAML texts say: values for Lua, by Tarantool's rules instead of those of YAML 1.1.

Called by :mod:`workers.bridge`. libyaml does the grammar; the result is one MessagePack array of
steps by which workers/lua/engine/yaml_build.lua makes tables: values one behind the other, and
between them arrays that begin with one of the numbers below. So tables can be keys, be shared, and
hold themselves. Errors are raised as ValueError, with the texts of Tarantool.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from workers.texts import base64_decode
from workers.values import pack, text_of_bytes

MAX_DEPTH: Final = 128

# Steps; behind the number the name of an anchor, if there is one.
DOCUMENT, SEQUENCE, MAPPING, END, SCALAR, ALIAS = range(1, 7)

_TAGS: Final = "tag:yaml.org,2002:"
_CONSTANTS: Final = {
    "~": None, "null": None, "true": True, "yes": True, "false": False, "no": False,
}  # fmt: skip
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_FLOAT: Final = re.compile(
    r"[-+]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?|nan|inf|infinity)", re.IGNORECASE
)
_HEXADECIMAL: Final = re.compile(
    r"[-+]?0x(?:[0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)(?:p[-+]?[0-9]+)?", re.IGNORECASE
)
_LONGEST_INTEGER: Final = 30
_LEADING_DIGITS: Final = re.compile(r"\s*([-+]?[0-9]+)")


def read(text: bytes, invalid_numbers: bool = True) -> bytes:
    """The steps of all documents of a text; without ``invalid_numbers`` nan and inf are errors."""
    return pack(list(_Reader(invalid_numbers).steps(text)))


def tag(text: bytes) -> bytes:
    """Handle and prefix of the tag that the first document declares, as an array; else empty.

    Of several tags the array says only that: None and a text.
    """
    found: list[str | None] = []
    for event in yaml.parse(text, Loader=yaml.CLoader):
        if isinstance(event, yaml.DocumentStartEvent):
            tags = list((event.tags or {}).items())
            if len(tags) > 1:
                found = [None, "can not decode multiple tags"]
            elif tags:
                found = list(tags[0])
            break
    return pack(found)


class _Reader:
    """Steps of one text."""

    def __init__(self, invalid_numbers: bool) -> None:
        self._invalid_numbers = invalid_numbers
        self._depth = self._documents = 0

    def steps(self, text: bytes) -> Iterator[Any]:
        """The steps one by one."""
        try:
            for event in yaml.parse(text, Loader=yaml.CLoader):
                yield from self._of(event)
        except yaml.MarkedYAMLError as error:
            raise ValueError(_fault(error, self._documents)) from error
        except yaml.reader.ReaderError as error:
            raise ValueError(f"{error.reason} at document: {self._documents}\n") from error

    def _of(self, event: yaml.Event) -> Iterator[Any]:
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                yield [DOCUMENT]
            case yaml.ScalarEvent():
                if event.anchor:
                    yield [SCALAR, event.anchor]
                yield self._scalar(event)
            case yaml.AliasEvent():
                yield [ALIAS, event.anchor]
            case yaml.CollectionStartEvent():
                self._depth += 1
                if self._depth >= MAX_DEPTH:
                    raise ValueError(f"Too high nest level - {MAX_DEPTH}")
                kind = SEQUENCE if isinstance(event, yaml.SequenceStartEvent) else MAPPING
                yield [kind, event.anchor] if event.anchor else [kind]
            case yaml.CollectionEndEvent():
                self._depth -= 1
                yield [END]

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        text = event.value
        if event.tag and event.tag.startswith(_TAGS):
            match event.tag.removeprefix(_TAGS):
                case "str":
                    return text
                case "binary":
                    return text_of_bytes(base64_decode(text.encode()))
                case "int":
                    return _leading_integer(text)
                case "float":
                    return self._checked(_number(text) or 0.0)
                case "bool":
                    return text in ("true", "yes")
        if event.style:
            return text
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        value = _number(text)
        return text if value is None else self._checked(value)

    def _checked(self, value: float) -> float:
        if not self._invalid_numbers and value - value != 0:
            raise ValueError("number must not be NaN or Inf")
        return value


def _number(text: str) -> int | float | None:
    if _INTEGER.fullmatch(text):
        return _limited(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return float.fromhex(text) if _HEXADECIMAL.fullmatch(text) else None


def _leading_integer(text: str) -> int:
    found = _LEADING_DIGITS.match(text)
    return max(-(2**63), min(2**63 - 1, _limited(found[1]))) if found else 0


def _limited(digits: str) -> int:
    """An integer of at most 64 bits; those beyond are the outermost."""
    if len(digits) > _LONGEST_INTEGER:
        digits = ("-" if digits[0] == "-" else "") + (digits.lstrip("-+0") or "0")[
            :_LONGEST_INTEGER
        ]
    return max(-(2**63), min(2**64 - 1, int(digits)))


def _fault(error: yaml.MarkedYAMLError, documents: int) -> str:
    """What is wrong with a text, as Tarantool says it; the first place goes unmentioned."""
    mark, context = error.problem_mark, error.context_mark
    text = f"{error.problem} at document: {documents}"
    if mark and (mark.line or mark.column):
        text += f", line: {mark.line + 1}, column: {mark.column + 1}"
    if error.context and context:
        where = f"line: {context.line + 1}, column: {context.column + 1}"
        text += f"\n{error.context} at {where}"
    return text + "\n"
