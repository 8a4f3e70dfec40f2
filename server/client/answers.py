"""Answers of a console: whether one is an error, and what it says. Pure.

    ---
    - error: text, also folded, quoted, a block or a structure
    ...

A result that is a map with ``error`` as its only key cannot be told from that; tarantoolctl takes
it for an error too.
"""

from __future__ import annotations

import re
import textwrap
from typing import Final

_YAML: Final = re.compile(rb"---\n- error:(?P<value>[ \n].*?)\n?\.\.\.\n", re.DOTALL)
_DEEPER: Final = re.compile(rb"(?:    .*|  -(?: .*)?|)")
_LUA: Final = re.compile(rb"\{error = (?P<value>.*)\};\s*", re.DOTALL)
_LUA_ESCAPE: Final = re.compile(rb"\\(\d{1,3}|x[0-9a-fA-F]{2}|\n|.)", re.DOTALL)
_LETTERS: Final = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f"}


def failure(text: bytes) -> str | None:
    """What the error in an answer says, None when the answer is no error."""
    found = _YAML.fullmatch(text)
    if found:
        value = found["value"]
        deeper = value.split(b"\n")[1:]
        return _scalar(value) if all(_DEEPER.fullmatch(line) for line in deeper) else None
    found = _LUA.fullmatch(text)
    return _literal(found["value"]) if found else None


def _scalar(value: bytes) -> str:
    """A YAML value as text: a scalar without its quotes, anything else from the margin on."""
    import yaml

    try:
        node = yaml.compose(b"error:" + value + b"\n", Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, RecursionError):
        node = None
    child = node.value[0][1] if isinstance(node, yaml.MappingNode) else None
    text = textwrap.dedent(value.decode("utf-8", "replace").strip("\n"))
    return str(child.value) if isinstance(child, yaml.ScalarNode) else text.strip()


def _literal(value: bytes) -> str:
    """A Lua value as text: a string without its quotes, anything else as it is."""
    if value[:1] == value[-1:] == b'"':
        value = _LUA_ESCAPE.sub(_unescaped, value[1:-1])
    return value.decode("utf-8", "replace")


def _unescaped(found: re.Match[bytes]) -> bytes:
    code = found[1]
    if code.isdigit():
        return bytes((int(code) & 0xFF,))
    if code[:1] == b"x":
        return bytes.fromhex(code[1:].decode())
    return _LETTERS.get(code, code)
