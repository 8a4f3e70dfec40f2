"""Values from the environment and from files, and lines that never show them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from server import context
from server.context import TemplateError

ENVIRONMENT = {"BEE_PASSWORD": "s3cret\n", "EMPTY": ""}


def test_values(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from a file \n\n")
    file = {"from": "file", "file": str(tmp_path / "password")}
    found = context.read(
        {
            "context": {
                "env": {"from": "env", "env": "BEE_PASSWORD"},
                "stripped": {"from": "env", "env": "BEE_PASSWORD", "rstrip": True},
                "file": file,
                "bare": {**file, "rstrip": True},
                "empty": {"from": "env", "env": "EMPTY", "rstrip": False},
            }
        },
        ENVIRONMENT,
    )
    assert found.problems == []
    assert found.values == {
        "env": "s3cret\n",
        "stripped": "s3cret",
        "file": "from a file \n\n",
        "bare": "from a file",
        "empty": "",
    }
    assert found.variables == {"BEE_PASSWORD", "EMPTY"}
    assert found.fill("{{ context.stripped }}") == "s3cret"
    assert found.fill("<{{context.stripped}}|{{ context.bare }}>") == "<s3cret|from a file>"
    assert found.fill("{ {context.x} }") == "{ {context.x} }"
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize("branch", [None, {}, {"context": {}}])
def test_nothing(branch: Any) -> None:
    assert context.read(branch, {}).problems == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "{{ context.other }}",
            "got a template, expected a name of config.context in it",
        ),
        ("{{ other }}", "got a template, expected {{ context.NAME }}"),
        ("a{{}}b", "got a template, expected {{ context.NAME }}"),
    ],
)
def test_bad_templates(text: str, said: str) -> None:
    found = context.read({"context": {"x": {"from": "env", "env": "EMPTY"}}}, ENVIRONMENT)
    with pytest.raises(TemplateError) as caught:
        found.fill(text)
    assert str(caught.value) == said


KEYS = "env, file, from, rstrip"


@pytest.mark.parametrize(
    ("branch", "line"),
    [
        (5, ("config", "got a number, expected a map with the keys context")),
        ({"relod": 5}, ("config.relod", "got a value, expected one of the keys context")),
        (
            {"context": []},
            ("config.context", "got a list, expected a map of names to sources"),
        ),
        (
            {"context": {"x": "s3cret"}},
            ("config.context.x", f"got a text, expected a map with the keys {KEYS}"),
        ),
        (
            {"context": {"x": {"form": "env"}}},
            ("config.context.x.form", f"got a value, expected one of the keys {KEYS}"),
        ),
        ({"context": {"x": {}}}, ("config.context.x.from", "got nothing, expected env or file")),
        (
            {"context": {"x": {"from": "vault"}}},
            ("config.context.x.from", "got a text, expected env or file"),
        ),
        (
            {"context": {"x": {"from": "env", "file": "x"}}},
            ("config.context.x.env", "got nothing, expected the name of a variable"),
        ),
        (
            {"context": {"x": {"from": "file", "file": 5}}},
            ("config.context.x.file", "got a number, expected the path of a file"),
        ),
        (
            {"context": {"x": {"from": "env", "env": "EMPTY", "rstrip": "yes"}}},
            ("config.context.x.rstrip", "got a text, expected true or false"),
        ),
        (
            {"context": {"x": {"from": "env", "env": "NOWHERE"}}},
            (
                "config.context.x.env",
                "got a variable that is not set, expected one that is",
            ),
        ),
    ],
)
def test_lines(branch: Any, line: tuple[str, str]) -> None:
    assert context.read(branch, ENVIRONMENT).problems == [line]


@pytest.mark.parametrize(
    ("content", "reason"), [(b"\xff", "no UTF-8"), (b"x" * 65537, "more than 65536 bytes")]
)
def test_files_of_other_things(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "password"
    path.write_bytes(content)
    found = context.read({"context": {"x": {"from": "file", "file": str(path)}}}, {})
    assert found.problems == [
        (
            "config.context.x.file",
            f"got {reason}, expected a readable file of UTF-8 text",
        )
    ]
    assert found.fill("{{ context.x }}") == ""


def test_a_file_that_is_not_there() -> None:
    found = context.read({"context": {"x": {"from": "file", "file": "/nowhere/at/all"}}}, {})
    text = "got No such file or directory, expected a readable file of UTF-8 text"
    assert found.problems == [("config.context.x.file", text)]


def test_a_home_that_is_not_there() -> None:
    source = {"from": "file", "file": "~no-such-user-here/x"}
    found = context.read({"context": {"x": source}}, {})
    text = "got no such home, expected a readable file of UTF-8 text"
    assert found.problems == [("config.context.x.file", text)]
