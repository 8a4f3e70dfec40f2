"""Values that the settings take from elsewhere: ``config.context`` and ``{{ context.name }}``.

A context is an environment variable or the content of a file; passwords in ``credentials`` may
name it instead of being written down. :mod:`server.credentials` is the caller. No value, and
nothing that was written in the place of one, is ever part of a text made here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from server.shown import kind

SECTION: Final = "config"
KEY: Final = f"{SECTION}.context"
MAX_BYTES: Final = 64 * 1024
"""Of a file: a password and what belongs to it is short."""

_KEYS: Final = {"from": "env or file", "env": "", "file": "", "rstrip": ""}
_TEMPLATE: Final = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_NAMED: Final = re.compile(r"\s*context\.([^\s{}]+)\s*")


class TemplateError(Exception):
    """What is wrong with a text that names a context, for the end of an error line."""


@dataclass
class Context:
    """Values by name; ``problems`` has the key and the text of every error line."""

    values: dict[str, str] = field(default_factory=dict, repr=False)
    variables: set[str] = field(default_factory=set)
    """Environment variables that are read."""
    problems: list[tuple[str, str]] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)
    """Names whose value cannot be had, which is among the problems."""

    def fill(self, text: str) -> str:
        """The text with the value in place of every ``{{ context.name }}``."""

        def value(match: re.Match[str]) -> str:
            named = _NAMED.fullmatch(match[1])
            if named is None:
                raise TemplateError("got a template, expected {{ context.NAME }}")
            name = named[1]
            if name not in self.values and name not in self.failed:
                raise TemplateError(f"got a template, expected a name of {KEY} in it")
            return self.values.get(name, "")

        return _TEMPLATE.sub(value, text)


def read(branch: Any, environment: Mapping[str, str]) -> Context:
    """All contexts of the settings' section ``config``."""
    context = Context()
    if branch is None:
        return context
    contexts = branch.get("context") if isinstance(branch, dict) else None
    for key in branch if isinstance(branch, dict) else ():
        if key != "context":
            context.problems.append(
                (f"config.{key}", "got a value, expected one of the keys context")
            )
    if not isinstance(branch, dict):
        context.problems.append(
            ("config", f"got {kind(branch)}, expected a map with the keys context")
        )
    elif contexts is not None and not isinstance(contexts, dict):
        context.problems.append((KEY, f"got {kind(contexts)}, expected a map of names to sources"))
    else:
        for name, source in (contexts or {}).items():
            _read_one(context, name, source, environment)
    return context


def _read_one(context: Context, name: str, source: Any, environment: Mapping[str, str]) -> None:
    key = f"{KEY}.{name}"
    problem = _wrong(source)
    if problem is None and source["from"] == "env":
        context.variables.add(source["env"])
        value = environment.get(source["env"])
        if value is None:
            problem = "env", "got a variable that is not set, expected one that is"
    elif problem is None:
        value, problem = _content(source["file"])
    if problem is not None:
        context.failed.add(name)
        context.problems.append((f"{key}.{problem[0]}".rstrip("."), problem[1]))
        return
    assert value is not None
    context.values[name] = value.rstrip() if source.get("rstrip") else value


def _wrong(source: Any) -> tuple[str, str] | None:
    """The last part of the key and the text of what is wrong with the source of a context."""
    if not isinstance(source, dict):
        return "", f"got {kind(source)}, expected a map with the keys {', '.join(sorted(_KEYS))}"
    for key in source:
        if key not in _KEYS:
            return key, f"got a value, expected one of the keys {', '.join(sorted(_KEYS))}"
    place = source.get("from")
    if place not in ("env", "file"):
        return "from", f"got {kind(place)}, expected env or file"
    where = source.get(place)
    if not isinstance(where, str) or not where or "\0" in where:
        what = "the name of a variable" if place == "env" else "the path of a file"
        return place, f"got {kind(where)}, expected {what}"
    if not isinstance(source.get("rstrip", False), bool):
        return "rstrip", f"got {kind(source['rstrip'])}, expected true or false"
    return None


def _content(path: str) -> tuple[str | None, tuple[str, str] | None]:
    try:
        with Path(path).expanduser().open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            reason = f"more than {MAX_BYTES} bytes"
        else:
            return data.decode("utf-8"), None
    except OSError as error:
        reason = error.strerror or "unreadable"
    except RuntimeError:
        reason = "no such home"
    except UnicodeDecodeError:
        reason = "no UTF-8"
    return None, ("file", f"got {reason}, expected a readable file of UTF-8 text")
