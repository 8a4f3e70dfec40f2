"""LuaJIT inside this process: the one file that knows lupa.

``workers.process`` makes a :class:`Runtime` with the table of Python services (see
``workers.bridge``), asks it for Lua modules by name and calls their functions. Texts cross as
bytes: Lua strings have no encoding. A Lua error arrives as :class:`LuaFailureError` with its text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import lupa.luajit21 as lupa

LUA_ROOT: Final = Path(__file__).resolve().parent / "lua"


class LuaFailureError(Exception):
    """A Lua error that nobody caught in Lua; the text is what was raised."""


class Runtime:
    """One LuaJIT state."""

    def __init__(
        self, services: Mapping[str, Callable[..., Any]], root: Path = LUA_ROOT, max_memory: int = 0
    ) -> None:
        self._lua = lupa.LuaRuntime(
            encoding=None,
            unpack_returned_tuples=True,
            register_eval=False,
            register_builtins=False,
            max_memory=max_memory or None,
            attribute_filter=_no_attributes,
        )
        boot = self._lua.execute(
            b"return function(text, name, ...) return assert(loadstring(text, name))(...) end"
        )
        table = self._lua.table_from({name.encode(): call for name, call in services.items()})
        source = (root / "boot.lua").read_bytes()
        self._require, self._set_application, self._seal = boot(
            source, b"@beespace/boot.lua", str(root).encode(), table
        )

    def require(self, name: str) -> Any:
        """A Lua module's table; its functions are called with :meth:`call`."""
        return self.call(self._require, name.encode())

    def call(self, function: Any, *arguments: Any) -> Any:
        """Call a Lua function; raises LuaFailureError with the text of a Lua error."""
        try:
            return function(*arguments)
        except lupa.LuaError as error:
            raise LuaFailureError(_text(error)) from error

    def execute(self, source: str, *arguments: Any) -> Any:
        """Run a chunk of Lua, its arguments as ``...``."""
        return self.call(self._lua.execute, source.encode(), *arguments)

    def set_application(self, folder: Path) -> None:
        """Let ``require`` find the modules of the application's own folder."""
        self.call(self._set_application, str(folder).encode())

    def seal(self) -> None:
        """Hide our own files from ``require``: called before an application's code runs."""
        self.call(self._seal)

    def table(self, values: Mapping[str, Any]) -> Any:
        """A Lua table with string keys; texts become Lua strings, maps such tables."""
        return self._lua.table_from(
            {
                key.encode(): self.table(value) if isinstance(value, Mapping) else _plain(value)
                for key, value in values.items()
            }
        )

    @property
    def library(self) -> str:
        """The file that holds LuaJIT's C functions."""
        return str(lupa.__file__)

    @staticmethod
    def versions() -> str:
        """Which Lua this is, e.g. ``LuaJIT 2.1.1780076327``."""
        lua = lupa.LuaRuntime(encoding=None)
        return bytes(lua.eval(b"jit.version")).decode()


def _no_attributes(_owner: object, name: str, _setting: bool) -> str:
    """Lua may call what it was given, and look into nothing."""
    raise AttributeError(name)


def _plain(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value


def _text(error: Exception) -> str:
    first = error.args[0] if error.args else ""
    text = first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)
    # lupa adds the stack it was called from, which is ours and not the error's.
    return text.rpartition("\nstack traceback:")[0] or text
