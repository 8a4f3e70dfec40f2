"""What triggers of an engine note down: Lua lists of texts, read and emptied by Python.

Tests of visits and of consoles set functions with :func:`on`, which append to such lists.
"""

from __future__ import annotations

from tests.helpers.engine import Engine


def seen(engine: Engine, name: str = "seen") -> list[str]:
    """The texts in a global list, which is empty then."""
    text: bytes = engine.execute(f"local s = table.concat({name}, '|') {name} = {{}} return s")
    return text.decode().split("|") if text else []


def on(engine: Engine, event: str, body: str) -> None:
    """Set a function of box.session's event, named so that a later one takes its place."""
    engine.execute(f"box.session.on_{event}(function(...) {body} end, nil, 'test')")
