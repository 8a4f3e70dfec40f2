"""Answers of a console of Tarantool 2.6.0, and when another answer is the same.

tests/data/console_golden.jsonl has one case a line: what a fresh connection sends before it closes
its side, and what comes back until the end, without the greeting. :func:`cases` reads it;
:meth:`Case.matches` leaves out what no two runs have in common (ports, addresses, session ids) and
the order of keys where a map has several.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_DATA: Final = Path(__file__).parents[1] / "data"
_PORT: Final = re.compile(rb"(127\.0\.0\.1|\[::1\]):\d+")
_ADDRESS: Final = re.compile(rb"0x[0-9a-f]+")
_NUMBER: Final = re.compile(rb"\d+")

_HIDE: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "port": lambda text: _PORT.sub(rb"\1:<PORT>", text),
    "address": lambda text: _ADDRESS.sub(b"0x<ADDR>", text),
    "session id": lambda text: _NUMBER.sub(b"<ID>", text),
}


@dataclass(frozen=True)
class Case:
    """One connection: its name with that of its group, what it sends and what comes back."""

    name: str
    input: bytes
    output: bytes
    transport: str
    hidden: tuple[str, ...]
    order: str
    """How free the order is: "" not at all, "lines" within maps, "words" within a line too."""
    pure: bool
    """Whether it is one expression that changes nothing."""

    @property
    def group(self) -> str:
        return self.name.partition("/")[0]

    def matches(self, answer: bytes) -> bool:
        """Whether the answer is the recorded one."""
        for each in self.hidden:
            answer = _HIDE[each](answer)
        return _in_order(answer, self.order) == _in_order(self.output, self.order)


def _in_order(text: bytes, order: str) -> object:
    if order == "lines":
        return sorted(re.sub(rb"^(- | )*", b"", line) for line in text.split(b"\n"))
    if order == "words":
        return sorted(re.findall(rb"[^\s'\"]+", text))
    return text


def _bytes(record: Mapping[str, Any], key: str, encoding: str) -> bytes:
    text = str(record[key])
    return base64.b64decode(text) if record.get(encoding) == "base64" else text.encode()


def _case(record: Mapping[str, Any]) -> Case:
    order = "words" if record.get("order_dependent") else "lines" if record.get("unordered") else ""
    return Case(
        name=f"{record['group']}/{record['name']}",
        input=_bytes(record, "input", "input_encoding"),
        output=_bytes(record, "output", "encoding"),
        transport=record.get("transport", "tcp"),
        hidden=tuple(record.get("normalised", ())),
        order=order,
        pure=bool(record.get("pure")),
    )


def cases(path: Path = _DATA / "console_golden.jsonl") -> list[Case]:
    """All cases of the file."""
    with path.open(encoding="utf-8", newline="\n") as lines:
        return [_case(json.loads(line)) for line in lines]


@dataclass(frozen=True)
class Exceptions:
    """Names of cases with the reason: those left out, and those with another answer on purpose."""

    excluded: Mapping[str, str]
    different: Mapping[str, str]


def exceptions(path: Path = _DATA / "console_differences.json") -> Exceptions:
    """What the file says; a name stands once."""
    document = json.loads(path.read_text(encoding="utf-8"))
    parts = [
        [(name, reason) for reason, names in document[part].items() for name in names]
        for part in ("excluded", "different")
    ]
    names = [name for part in parts for name, _ in part]
    assert len(set(names)) == len(names), "a name stands twice"
    return Exceptions(*(dict(part) for part in parts))
