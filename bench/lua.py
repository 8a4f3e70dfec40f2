"""LuaJIT for the bench: the load generator, the echo server and the calibration run in it.

A runtime of its own, not the product's: what is measured must not share code with what measures.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import lupa.luajit21 as lupa

FOLDER: Final = Path(__file__).resolve().parent


class LuaError(Exception):
    """A Lua error, with its text."""


def runtime() -> Any:
    """A fresh LuaJIT state; texts cross as bytes."""
    return lupa.LuaRuntime(
        encoding=None, unpack_returned_tuples=True, register_eval=False, register_builtins=False
    )


def load(state: Any, file: str) -> Any:
    """What the Lua file of this folder returns."""
    chunk = state.eval(b"function(text, name) return assert(loadstring(text, name))() end")
    return call(chunk, (FOLDER / file).read_bytes(), f"@bench/{file}".encode())


def call(function: Any, *arguments: Any) -> Any:
    """Call a Lua function; its error becomes a LuaError."""
    try:
        return function(*arguments)
    except lupa.LuaError as error:
        text = error.args[0] if error.args else ""
        raise LuaError(
            text.decode(errors="replace") if isinstance(text, bytes) else str(text)
        ) from None
