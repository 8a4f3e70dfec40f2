"""The files of the checkout and the tables of pyproject.toml, for the tests of the rules."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
LUA_ROOT: Final = ROOT / "workers" / "lua"
PRODUCT: Final = ("server", "shm", "workers")
FOLDERS: Final = (*PRODUCT, "bench", "tests", "examples")


def files(suffix: str, folders: tuple[str, ...] = FOLDERS) -> list[Path]:
    """Source files with this suffix, sorted."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob(f"*{suffix}"))


def name(path: Path) -> str:
    """The path as the checkout knows it."""
    return path.relative_to(ROOT).as_posix()


def project() -> dict[str, Any]:
    """The content of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def lua_modules() -> Iterator[tuple[str, str]]:
    """Dotted name and text of every Lua module of the product: ``engine.loop``, ``boot``."""
    for path in files(".lua", ("workers",)):
        yield (
            path.relative_to(LUA_ROOT).with_suffix("").as_posix().replace("/", "."),
            path.read_text(),
        )
