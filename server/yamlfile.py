"""The settings file: YAML to a tree of maps with texts as keys, or lines that say what is wrong.

Refused here is what YAML would let pass in silence: a key that stands twice in one map, a name that
it takes for something else than a text (``no``, ``1.5``), a text with half a character.
:mod:`server.settings` calls :func:`read`; values are checked there. No value is shown here, and of
PyYAML's own words only those that quote nothing from the file.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from server.errors import SettingsError
from server.shown import kind

CONFIG: Final = "config"

_QUOTED: Final = re.compile(r"""'.'|'<[^']*>'|(['"]).*\1""")
"""Single characters and names of YAML's tokens; or, with a group, something out of the file."""
_WORDS: Final = {None: "null", True: "true", False: "false"}


class _Loader(yaml.SafeLoader):  # no C loader: it may be missing, and this file is short
    """Plain values only; what cannot be made of a text is an error with its line."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            raise yaml.constructor.ConstructorError(
                None, None, "a value that is not what it looks like", node.start_mark
            ) from None


def read(file: str, origin: str, known: Collection[str], named: Collection[str]) -> dict[str, Any]:
    """The file's tree; SettingsError with a line for everything that is wrong.

    A key out of ``known`` without a value is as if it were not there. The keys of the maps under
    ``named`` are names, which must be texts.
    """

    def wrong(got: str, expected: str) -> SettingsError:
        return SettingsError(f"{CONFIG}: got {got}, expected {expected} ({origin})")

    try:
        text = Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise wrong(f"{file!r} ({error.strerror})", "a readable YAML file") from error
    except ValueError as error:
        raise wrong(f"{file!r}", "a file of UTF-8 text") from error
    cleaner = _Cleaner(known, named)
    try:
        tree, twice = _parsed(text)
        if isinstance(tree, dict):
            tree = cleaner.clean("", tree)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise wrong(
            f"{_unquoted(error.problem)} in line {line} of {file!r}", "valid YAML"
        ) from error
    except yaml.YAMLError as error:
        raise wrong(f"{str(error).splitlines()[0]} in {file!r}", "valid YAML") from error
    except RecursionError as error:
        raise wrong(f"maps or lists without an end in {file!r}", "few levels") from error
    problems = [*twice, *cleaner.problems]
    if problems:
        raise SettingsError(*(f"{key}: {what} ({file})" for key, what in problems))
    tree = {} if tree is None else tree
    if not isinstance(tree, dict):
        raise wrong(f"{kind(tree)} in {file!r}", "a map of settings")
    return tree


def _parsed(text: str) -> tuple[Any, list[tuple[str, str]]]:
    """The values of a text, and the keys that stand in one map more than once."""
    loader = _Loader(text)
    node = loader.get_single_node()
    if node is None:
        return None, []
    twice = sorted(_twice(node), key=lambda found: found[1])
    problems = [
        (key, f"got the key in the lines {', '.join(map(str, lines))}, expected it once")
        for key, lines in twice
    ]
    return loader.construct_document(node), problems


def _twice(root: yaml.Node) -> Iterator[tuple[str, list[int]]]:
    """Every key that its map has more than once, with its lines."""
    seen: set[int] = set()
    waiting = [("", root)]
    while waiting:
        path, node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            members = [(f"{path}[{place}]", each) for place, each in enumerate(node.value, 1)]
            waiting += reversed(members)
        elif isinstance(node, yaml.MappingNode):
            lines: dict[str, list[int]] = {}
            for key, value in reversed(node.value):
                if isinstance(key, yaml.ScalarNode):
                    name = _below(path, key.value)
                    lines.setdefault(name, []).append(key.start_mark.line + 1)
                    waiting.append((name, value))
            yield from ((name, found[::-1]) for name, found in lines.items() if len(found) > 1)


class _Cleaner:
    """Makes all keys texts, and notes the texts and names that cannot be."""

    def __init__(self, known: Collection[str], named: Collection[str]) -> None:
        self._known = {f"{key}." for key in known}
        self._named = named
        self.problems: list[tuple[str, str]] = []

    def clean(self, key: str, value: Any) -> Any:
        """The value under a key; a key ``1`` becomes a text, to be unknown like any other."""
        if isinstance(value, dict):
            return dict(self._members(key, value))
        if isinstance(value, list):
            return [self.clean(f"{key}[{place}]", each) for place, each in enumerate(value, 1)]
        if isinstance(value, str):
            self._check(key, value)
        return value

    def _members(self, key: str, branch: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
        for name, value in branch.items():
            text = _WORDS[name] if name is None or isinstance(name, bool) else str(name)
            path = _below(key, text)
            if key in self._named and not isinstance(name, str):
                what = f"got {kind(name)}, expected a name as text, write it in quotes"
                self.problems.append((path, what))
            self._check(path, text)
            # A known key without a value is as if it were not there.
            if value is not None or not any(one.startswith(f"{path}.") for one in self._known):
                yield text, self.clean(path, value)

    def _check(self, key: str, text: str) -> None:
        try:
            text.encode()
        except UnicodeEncodeError:
            what = "got a text with half a character (a lone surrogate), expected Unicode"
            if (key, what) not in self.problems:
                self.problems.append((key, what))


def _below(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _unquoted(problem: str | None) -> str:
    """PyYAML's words without what they quote from the file, which may be a part of a password."""
    return _QUOTED.sub(lambda found: "..." if found[1] else found[0], problem or "a mistake")
