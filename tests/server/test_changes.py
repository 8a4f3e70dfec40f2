"""What is refused, and what a change of the crew leaves of the settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from server.changes import Changes
from server.crew import Crew
from server.loop import Loop
from server.notify import Manager, Notifier
from server.post import Post
from server.resources import Resources
from server.settings import Settings, load
from server.spare import Spare
from shm import logs


class Stage:
    """Changes of a server with two workers, whose crew notes what it is told."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "beespace.yaml"
        self.write({})
        self.told: list[dict[str, Any]] = []
        self.answers: list[dict[str, Any]] = []
        self.posts = [Post(0, 0, on_duty=True), Post(1, 1, on_duty=True)]
        self.hired: list[Post] = []
        self.drained: list[int] = []
        self.rows = 2
        self.changes = Changes(self.load, self.told.append)
        segment = SimpleNamespace(renew_catalog=lambda: None)
        resources = SimpleNamespace(segment=segment, apply_credentials=lambda _: {})
        silent = Notifier(Manager(), Loop(), logs.get())
        self.changes.begin(
            logs.get(), cast("Resources", resources), cast("Crew", self), silent, Spare(0)
        )

    def write(self, tree: dict[str, Any]) -> None:
        self.file.write_text(yaml.safe_dump({"iproto": {"threads": 2}, **tree}))

    def load(self) -> Settings:
        return load({"config": str(self.file)}, {})

    def serving(self) -> list[Post]:
        return self.posts

    def free(self) -> int:
        return self.rows

    def tell(self, message: dict[str, Any]) -> None:
        self.told.append(message)

    def hire(self, number: int, generation: int) -> Post:
        child: Any = SimpleNamespace(ready=False)
        self.hired.append(Post(2 + number, number, generation, child=child))
        return self.hired[-1]

    def dismiss(self, post: Post) -> None:
        assert post in self.hired

    def relieve(self, new: Sequence[Post], old: Sequence[Post], _timeout: float) -> None:
        self.drained += [post.index for post in old]
        self.posts = [post for post in (*self.posts, *new) if post not in old]

    def ready(self, number: int) -> None:
        post = self.hired[number]
        cast("Any", post.child).ready = True
        assert self.changes.worker_ready(post)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_new_workers_have_the_new_settings_old_ones_those_that_are_live(stage: Stage) -> None:
    stage.write({"console": {"dialect": "new"}, "session": {"inbox_limit": 5000}})
    stage.changes.reload(stage.answers.append)
    message = {"op": "settings", "values": {"session.inbox_limit": 5000}}
    assert stage.told == [message, message]
    dialects = [
        stage.changes.settings_for(post).console.dialect for post in (stage.posts[0], *stage.hired)
    ]
    assert dialects == ["2.6", "new"]
    assert stage.changes.settings_for(stage.posts[0]).session.inbox_limit == 5000
    stage.ready(0)
    stage.ready(1)
    assert stage.drained == [0, 1]
    assert stage.changes.settings.console.dialect == "new"
    assert stage.answers == [
        {
            "ok": True,
            "workers": 2,
            "live": ["session.inbox_limit"],
            "fresh": ["console.dialect"],
            "needs_restart": [],
        }
    ]


def test_a_failure_keeps_what_only_new_workers_get(stage: Stage) -> None:
    stage.write({"console": {"dialect": "new"}})
    stage.changes.reload(stage.answers.append)
    assert stage.changes.worker_failed(stage.hired[0], "app.lua:1: no")
    stage.changes.worker_ended(stage.hired[0], was_ready=False, reason="exit code 3")
    assert stage.answers[0]["error"] == "app.lua:1: no"
    assert stage.changes.settings.console.dialect == "2.6"
    assert stage.drained == []
    stage.changes.restart_workers(stage.answers.append)
    assert stage.hired[1].generation == 2, "no loading has the number of another one"


def test_another_change_is_refused_while_one_runs(stage: Stage) -> None:
    stage.changes.reload(stage.answers.append)
    for ask in (stage.changes.reload, stage.changes.restart_workers):
        ask(stage.answers.append)
    stage.changes.resize(1, stage.answers.append)
    assert [answer["error"] for answer in stage.answers] == [
        "another change of the workers is not over"
    ] * 3
    stage.ready(0)
    stage.ready(1)
    assert stage.answers[-1]["ok"] is True


def test_without_rows_nothing_begins(stage: Stage) -> None:
    stage.rows = 1
    stage.changes.reload(stage.answers.append)
    assert "2 new workers need as many rows, 1 are free" in stage.answers[0]["error"]
    assert stage.hired == []


def test_faults_in_the_settings(stage: Stage) -> None:
    stage.write({"session": {"inbox_limit": "x"}, "log": {"level": "debug"}})
    stage.changes.reload(stage.answers.append)
    assert stage.answers[0]["error"].startswith("session.inbox_limit: got 'x', expected bytes")
    assert (stage.told, stage.hired) == ([], [])


def test_the_number_of_workers_in_the_settings_counts_when_it_is_another_one(
    stage: Stage,
) -> None:
    stage.changes.resize(-1, stage.answers.append)
    assert stage.drained == [1]
    stage.changes.reload(stage.answers.append)
    stage.ready(0)
    assert stage.answers[-1]["workers"] == 1
    stage.write({"iproto": {"threads": 1}})
    stage.changes.resize(-1, stage.answers.append)
    assert stage.answers[-1]["error"] == "one worker is the least, 1 serve"


def test_several_workers_come_and_go_at_once(stage: Stage) -> None:
    stage.changes.resize_to(4, stage.answers.append)
    stage.ready(0)
    assert [post.number for post in stage.hired] == [2, 3], "the first alone, then the others"
    assert stage.answers == []
    stage.ready(1)
    assert stage.answers == [{"ok": True, "workers": 4}]
    assert stage.drained == []
    stage.changes.resize_to(4, stage.answers.append)
    stage.changes.resize(-4, stage.answers.append)
    stage.changes.resize(-3, stage.answers.append)
    assert stage.answers[1:] == [
        {"ok": True, "workers": 4},
        {"ok": False, "error": "one worker is the least, 4 serve"},
        {"ok": True, "workers": 1},
    ]
    assert stage.drained == [1, 4, 5]


def test_a_change_that_the_stop_ends_is_answered(stage: Stage) -> None:
    stage.changes.resize(1, stage.answers.append)
    stage.changes.end()
    assert stage.answers == [{"ok": False, "error": "the server stops"}]


def test_what_an_application_has_set_is_everybodys(stage: Stage) -> None:
    message = {"op": "settings", "values": {"log.level": "debug"}}
    stage.changes.adjust({"log.level": "debug"}, 1)
    assert stage.told == [message, message]
    assert stage.changes.settings_for(stage.posts[0]).log.level == "debug"
    assert stage.changes.log_order.level == "debug"
    stage.changes.adjust({"log.level": "debug"}, 0)
    assert stage.told == [message, message]


def test_a_worker_that_a_change_brings_has_it_too(stage: Stage) -> None:
    stage.changes.restart_workers(stage.answers.append)
    stage.changes.adjust({"log.level": "debug"}, 1)
    assert stage.changes.settings_for(stage.hired[0]).log.level == "debug"


def test_reading_the_settings_again_brings_back_what_they_say(stage: Stage) -> None:
    stage.changes.adjust({"log.level": "debug"}, 1)
    stage.told.clear()
    stage.changes.reload(stage.answers.append)
    message = {"op": "settings", "values": {"log.level": "info"}}
    assert stage.told == [message, message]


def test_what_an_application_may_not_set(stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    for values in ({"log.format": "json"}, {"log.level": "loud"}):
        stage.changes.adjust(values, 1)
    assert stage.told == []
    assert capfd.readouterr().err.count("not changed for an application worker=1") == 2
