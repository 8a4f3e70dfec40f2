"""A LuaJIT runtime for unit tests of Lua modules; used by tests/workers/lua and other helpers.

Lua texts are bytes on the Python side, exactly as in a worker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from workers.runtime import Runtime

Services = Mapping[str, Callable[..., Any]]


def make_runtime(services: Services | None = None) -> Runtime:
    """A fresh runtime whose bridge offers ``services``, or nothing at all."""
    return Runtime(services if services is not None else {})


def lua_function(runtime: Runtime, source: str) -> Callable[..., Any]:
    """The function a Lua chunk returns, as a Python callable that raises LuaFailureError."""
    function = runtime.execute(source)

    def call(*arguments: Any) -> Any:
        return runtime.call(function, *arguments)

    return call
