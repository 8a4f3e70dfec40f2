"""Every source file opens by saying what it is for, and its folder's README names it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.rules import sources

READMES = sorted(
    path / "README.md"
    for path in sources.ROOT.iterdir()
    if path.name in (*sources.PRODUCT, "bench") and (path / "README.md").exists()
)


def written() -> list[Path]:
    """Python files, without the empty files that only make a folder of tests a package."""
    paths = sources.files(".py")
    return [p for p in paths if p.stat().st_size or not sources.name(p).startswith("tests/")]


@pytest.mark.parametrize("path", written(), ids=sources.name)
def test_python_file_opens_with_a_docstring(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text()))
    assert text is not None
    assert len(text.split()) > 3, f"says too little: {text}"


@pytest.mark.parametrize("path", sources.files(".lua"), ids=sources.name)
def test_lua_file_opens_with_a_comment(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    assert re.match(r"-- \w+", first), f"opens with: {first}"
    assert len(first.split()) > 3, f"says too little: {first}"


@pytest.mark.parametrize("readme", READMES, ids=sources.name)
def test_readme_names_every_file_of_its_folder(readme: Path) -> None:
    folder = readme.parent.name
    named = set(re.findall(r"[\w./-]*\w\.(?:py|lua)\b", readme.read_text()))
    short = {name.rpartition("/")[2] for name in named}
    present = [*sources.files(".py", (folder,)), *sources.files(".lua", (folder,))]
    missing = [sources.name(p) for p in present if p.name not in short | {"__init__.py"}]
    assert missing == []


@pytest.mark.parametrize("readme", READMES, ids=sources.name)
def test_readme_names_no_file_that_is_gone(readme: Path) -> None:
    named = set(re.findall(r"[\w./-]*\w\.(?:py|lua)\b", readme.read_text()))
    present = {sources.name(p) for s in (".py", ".lua") for p in sources.files(s)}
    gone = [n for n in named if not any(f"/{p}".endswith(f"/{n.lstrip('./')}") for p in present)]
    assert gone == []
