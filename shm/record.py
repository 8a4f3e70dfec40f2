"""Structures of shared memory as data: fields with type, unit and their one writer. Pure.

:mod:`shm.layout` declares the structures; from a :class:`Record` come the ctypes structure for
Python and the C text for LuaJIT, with the same padding in both.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

CACHE_LINE: Final = 64


class Writer(StrEnum):
    """Who may store into a field while others read it."""

    SUPERVISOR = "supervisor"
    ACCEPTOR = "acceptor"
    WORKER = "worker"
    METRICS = "process of metrics"
    HANDOVER = "handover"
    LOCKED = "whoever holds the lock"
    ANYBODY = "anybody, for any new value will do"


_CTYPES: Final[dict[str, tuple[Any, str]]] = {
    "u8": (ctypes.c_uint8, "uint8_t"),
    "u16": (ctypes.c_uint16, "uint16_t"),
    "u32": (ctypes.c_uint32, "uint32_t"),
    "u64": (ctypes.c_uint64, "uint64_t"),
    "f64": (ctypes.c_double, "double"),
    "char": (ctypes.c_char, "char"),
}


@dataclass(frozen=True)
class Field:
    """One member: type name of ``_CTYPES``, its writer, and what it means with its unit."""

    name: str
    kind: str
    writer: Writer
    about: str
    count: int = 1
    volatile: bool = False

    @property
    def size(self) -> int:
        """Bytes taken, without padding."""
        return ctypes.sizeof(_CTYPES[self.kind][0]) * self.count

    @property
    def ctype(self) -> Any:
        """The ctypes type of the member."""
        base = _CTYPES[self.kind][0]
        return base * self.count if self.count > 1 else base

    def declaration(self) -> str:
        """The member as C text."""
        qualifier = "volatile " if self.volatile else ""
        array = f"[{self.count}]" if self.count > 1 else ""
        return f"{qualifier}{_CTYPES[self.kind][1]} {self.name}{array};"


@dataclass(frozen=True)
class Record:
    """A structure: groups of fields, each group starting on its own cache line."""

    name: str
    size: int
    groups: tuple[tuple[Field, ...], ...]

    def fields(self) -> Iterator[Field]:
        """All fields in memory order, with explicit padding so both languages agree."""
        at = 0
        pads = 0
        for group in (*self.groups, ()):
            start = self.size if not group else -(-at // CACHE_LINE) * CACHE_LINE
            if start > at:
                yield Field(f"pad{pads}", "u8", Writer.HANDOVER, "padding", start - at)
                pads += 1
                at = start
            for field in group:
                yield field
                at += field.size
        if at != self.size:
            raise ValueError(f"{self.name} takes {at} bytes, declared with {self.size}")

    def structure(self) -> Any:
        """The ctypes structure of this record."""
        members = [(field.name, field.ctype) for field in self.fields()]
        made = type(self.name, (ctypes.Structure,), {"_fields_": members})
        if ctypes.sizeof(made) != self.size:
            raise ValueError(f"{self.name}: a member is not naturally aligned")
        return made

    def declaration(self) -> str:
        """The record as C text."""
        body = "\n".join("  " + field.declaration() for field in self.fields())
        return f"typedef struct {{\n{body}\n}} {self.name};\n"
