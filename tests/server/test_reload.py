"""What is done about settings that differ from those of the running server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from server import reload
from server.reload import Plan, TooLongError
from server.settings import Settings, keys, load


def settings(folder: Path, tree: dict[str, object]) -> Settings:
    file = folder / "beespace.yaml"
    file.write_text(yaml.safe_dump(tree))
    return load({"config": str(file), "name": "bee"}, {})


@pytest.mark.parametrize(
    ("tree", "plan"),
    [
        ({}, Plan({})),
        ({"name": "other"}, Plan({})),
        (
            {"session": {"output_limit": 2000000}, "log": {"level": "debug"}},
            Plan({"session.output_limit": 2000000, "log.level": "debug"}),
        ),
        ({"console": {"dialect": "new"}}, Plan({}, fresh=("console.dialect",))),
        (
            {"iproto": {"listen": 3399, "net_msg_max": 5}, "events": {"memory": 1 << 20}},
            Plan({"iproto.net_msg_max": 5}, needs_restart=("iproto.listen", "events.memory")),
        ),
        ({"credentials": {"users": {"ann": {}}}}, Plan({})),
    ],
)
def test_plan(tmp_path: Path, tree: dict[str, object], plan: Plan) -> None:
    assert reload.plan(settings(tmp_path, {}), settings(tmp_path, tree)) == plan


def test_the_tables_name_keys_that_there_are() -> None:
    assert set(keys()) >= reload.LIVE | reload.FRESH
    assert reload.LIVE > reload.ADJUSTABLE
    assert not reload.LIVE & reload.FRESH
    assert set(reload.live(Settings())) == reload.LIVE


def test_what_needs_a_restart_is_kept_as_it_was(tmp_path: Path) -> None:
    old = settings(tmp_path, {"session": {"limits": {"total": 10}}})
    tree = {
        "session": {"limits": {"total": 20}, "inbox_limit": 5000},
        "credentials": {"users": {"ann": {}}},
    }
    new = settings(tmp_path, tree)

    made = reload.merged(old, new, reload.plan(old, new).needs_restart)

    assert made.session.limits.total == 10
    assert made.session.inbox_limit == 5000
    assert made.credentials == new.credentials
    assert reload.plan(made, new).needs_restart == ("session.limits.total",)


def test_messages_take_what_fits() -> None:
    values = {"a": "x" * 40_000, "b": 1, "c": "y" * 40_000}

    assert reload.messages(values) == [
        {"op": "settings", "values": {"a": values["a"], "b": 1}},
        {"op": "settings", "values": {"c": values["c"]}},
    ]
    assert reload.messages({}) == []
    with pytest.raises(TooLongError, match=r"^b: got 65544 bytes, expected at most 65280, .*"):
        reload.messages({"a": 1, "b": "x" * 65_536})


def test_the_readme_names_what_can_change() -> None:
    text = Path(__file__).parents[2].joinpath("README.md").read_text(encoding="utf-8")
    section = text.split("## Changing settings while it runs")[1].split("\n## ")[0]
    named = set(re.findall("`([a-z_.]+)`", section))
    limits = {"idle_timeout", "login_timeout", "max_age", "max_age_jitter", "users"}
    assert "[time limits](#time-limits)" in section
    named |= {f"session.{name}" for name in limits}
    for key in reload.LIVE:
        assert named & {key, key.rpartition(".")[0]}, key


def test_what_an_application_sets_is_checked_like_a_setting(tmp_path: Path) -> None:
    old = settings(tmp_path, {"log": {"format": "json"}})

    made = reload.adjusted(old, {"log.level": "5"})
    assert (made.log.level, made.log.format, old.log.level) == ("info", "json", "info")
    assert reload.adjusted(old, {"log.level": "debug"}).log.level == "debug"
    with pytest.raises(ValueError, match=r"log\.format: an application cannot change it"):
        reload.adjusted(old, {"log.format": "plain"})
    with pytest.raises(ValueError, match="level"):
        reload.adjusted(old, {"log.level": "loud"})
