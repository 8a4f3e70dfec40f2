"""Which Lua module may require which: the checker behind ``[tool.lualayers]`` in pyproject.toml.

``layers`` goes from top to bottom; a module may require what stands below it, siblings joined by
``|`` not each other. ``borrowed`` names the LuaJIT parts, and ``bridge``, that a module may
require; one that is not named may require none. ``cdef`` names the modules that may declare C
functions, ``values`` those that hand ``require`` itself on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

LUAJIT = frozenset({"ffi", "bit", "jit", "jit.util", "jit.opt", "table.new", "table.clear"}) | {
    "string.buffer"
}
_COMMENT = re.compile(r"--\[\[.*?\]\]|--[^\n]*", re.DOTALL)
_USE = re.compile(r"(?<![\w.:'\"])require\b(?!\s*=)")
_LITERAL = re.compile(r"""\s*(\(\s*)?(['"])([\w.]+)\2(?(1)\s*\))""")
_CDEF = re.compile(r"\bcdef\b\s*\(?\s*\[\[(.*?)\]\]", re.DOTALL)
_FUNCTION = re.compile(r"\w[\s*]+(\w+)\s*\([^()]*\)[^;{]*;")


@dataclass(frozen=True)
class Table:
    """The content of ``[tool.lualayers]``."""

    layers: Sequence[str]
    borrowed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    cdef: Sequence[str] = ()
    values: Sequence[str] = ()

    def ranks(self) -> dict[str, int]:
        """Module to layer, 0 at the top."""
        return {
            module.strip(): rank
            for rank, layer in enumerate(self.layers)
            for module in layer.split("|")
        }


def required(text: str) -> Iterator[str | None]:
    """Names a chunk requires; None for each use of ``require`` that names nothing."""
    code = _COMMENT.sub("", text)
    for use in _USE.finditer(code):
        literal = _LITERAL.match(code, use.end())
        yield literal[3] if literal else None


def declared_functions(text: str) -> list[str]:
    """C functions that the chunk's ``ffi.cdef`` texts declare."""
    bodies = (
        re.sub(r"/\*.*?\*/|//[^\n]*", "", body, flags=re.DOTALL) for body in _CDEF.findall(text)
    )
    return [name for body in bodies for name in _FUNCTION.findall(body)]


def problems(modules: Iterable[tuple[str, str]], table: Table) -> Iterator[str]:
    """One line for everything the modules (name, text) do against the table."""
    texts, ranks = dict(modules), table.ranks()
    yield from (
        f"{module}: in the table, but there is no such file" for module in ranks.keys() - texts
    )
    for module, text in texts.items():
        if module not in ranks:
            yield f"{module}: not in the table of layers"
            continue
        if module not in table.cdef:
            yield from (f"{module}: declares the C function {f}" for f in declared_functions(text))
        for name in required(text):
            found = _problem(module, name, texts, ranks, table)
            if found:
                yield f"{module}: {found}"


def _problem(
    module: str, name: str | None, texts: Mapping[str, str], ranks: Mapping[str, int], table: Table
) -> str | None:
    if name is None:
        return None if module in table.values else "uses require without naming a module"
    if name in LUAJIT or name == "beespace.bridge":
        part = name.removeprefix("beespace.")
        return None if part in table.borrowed.get(module, ()) else f"may not require {part}"
    inner = name.removeprefix("beespace.") if name.startswith("beespace.") else f"modules.{name}"
    if inner not in texts:
        return f"requires {name}, which does not exist"
    if inner in ranks and ranks[inner] <= ranks[module]:
        return f"requires {inner}, which is not below it"
    return None
