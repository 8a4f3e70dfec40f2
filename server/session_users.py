"""The settings' ``session.users``: what sessions of single users may do.

    session:
      users: {NAME: {idle_timeout: SECONDS}}

A name needs no user. :mod:`server.settings` calls :func:`read`, which answers with what is wrong by
key; the workers get the map as it is. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from server import values
from server.shown import kind, scalar

SECTION: Final = "session"
NAME: Final = "users"
KEY: Final = f"{SECTION}.{NAME}"

_READERS: Final[Mapping[str, tuple[Callable[[Any], float], str]]] = {
    "idle_timeout": (values.seconds(values.MAX_LIFE), values.LIFE_EXPECTED),
}

Problem = tuple[str, str]
"""Key and text of an error line."""
Users = dict[str, dict[str, float]]
"""Limits by name of the limit, by name of the user."""


def take(tree: dict[str, Any]) -> Any:
    """The branch of the settings' file, which is taken out of its tree."""
    section = tree.get(SECTION)
    return section.pop(NAME, None) if isinstance(section, dict) else None


def read(branch: Any) -> tuple[Users, list[Problem]]:
    """Everything declared, and what is wrong."""
    users: Users = {}
    problems: list[Problem] = []
    if branch is None:
        return users, problems
    if not isinstance(branch, dict):
        return users, [(KEY, f"got {kind(branch)}, expected a map of names")]
    for name, member in branch.items():
        if member is not None:
            users[name] = _member(f"{KEY}.{name}", member, problems)
    return users, problems


def _member(key: str, member: Any, problems: list[Problem]) -> dict[str, float]:
    """What one user has."""
    found: dict[str, float] = {}
    known = ", ".join(sorted(_READERS))
    if not isinstance(member, dict):
        problems.append((key, f"got {kind(member)}, expected a map with the keys {known}"))
        return found
    for name, value in member.items():
        if name not in _READERS:
            problems.append((f"{key}.{name}", f"got a value, expected one of the keys {known}"))
            continue
        reader, expected = _READERS[name]
        try:
            found[name] = reader(value)
        except ValueError:
            problems.append((f"{key}.{name}", f"got {scalar(value)}, expected {expected}"))
    return found
