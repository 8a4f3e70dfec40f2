"""A file fits one sitting; a longer one gives its reason in ``[tool.beespace.long-files]``."""

from __future__ import annotations

from tests.rules import sources

LIMIT = 400


def lengths() -> dict[str, int]:
    """Lines of every source file."""
    paths = [*sources.files(".py"), *sources.files(".lua")]
    return {sources.name(path): len(path.read_text().splitlines()) for path in paths}


def reasons() -> dict[str, str]:
    """Files that may be longer, and why."""
    found: dict[str, str] = sources.project()["tool"].get("beespace", {}).get("long-files", {})
    return found


def test_files_are_short_or_have_a_reason() -> None:
    assert {n: k for n, k in lengths().items() if k > LIMIT and n not in reasons()} == {}


def test_reasons_are_still_needed() -> None:
    known = lengths()
    assert [name for name in reasons() if known.get(name, 0) <= LIMIT] == []


def test_lines_of_lua_are_short() -> None:
    too_long = [
        f"{sources.name(path)}:{number}"
        for path in sources.files(".lua")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > 100
    ]
    assert too_long == []
