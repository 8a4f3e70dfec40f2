"""beespace kill and cancel: sessions are ended from the shell, also while all workers hang."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.commands import asked, beespace, stopped, told
from tests.helpers.raw import Raw
from tests.helpers.server import running
from tests.helpers.victims import APP, Scene, is_cut_off

EVERYBODY = (
    "got nothing that tells some sessions from others, expected ids, or options such as "
    "--user or --idle-gt"
)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Two workers; what a test connects stays until the last has run."""
    folder = tmp_path_factory.mktemp("kill")
    settings = {"limits": {"request_time": 0}}
    with (
        running(folder, app=APP % str(folder), workers=2, settings=settings) as server,
        contextlib.ExitStack() as stack,
    ):
        yield Scene(server, folder, stack)


def shell(scene: Scene, *words: str) -> subprocess.CompletedProcess[str]:
    return beespace(*words, run_dir=scene.server.folder / "run")


def test_sessions_are_ended_by_their_ids(scene: Scene) -> None:
    (one, first), (other, second) = scene.client(0), scene.client(1)
    done = shell(scene, "kill", str(first), str(second), "4000000")
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended 2 sessions\n", "")
    one.wait_closed()
    other.wait_closed()
    assert scene.reasons(first, second) == ["killed", "killed"]
    assert scene.server.lines(f"supervisor I> ending sessions .*sessions={first}, {second}")


def test_nobody_to_end(scene: Scene) -> None:
    done = shell(scene, "kill", "4000000")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "ended 0 sessions\n")
    done = shell(scene, "cancel", "--peer", "10.0.0.0/8")
    text = "cancelled the requests of 0 sessions\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", text)


def test_sessions_are_ended_by_what_they_are(scene: Scene) -> None:
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(Raw(scene.server.address, source=f"127.0.0.{number}"))
            for number in (3, 3, 3, 4)
        ]
        found = told(scene.server, "kill", "--peer", "127.0.0.3", "--sort", "-id", "--limit", "2")
        assert found == {"killed": 2}
        ended = [is_cut_off(each, 0.2) for each in clients]
        assert (sum(ended[:3]), ended[3]) == (2, False)
        done = shell(scene, "kill", "--peer", "127.0.0.0/29", "--not-peer", "127.0.0.1")
        assert done.stdout == "ended 2 sessions\n"


def test_both_workers_are_busy(scene: Scene) -> None:
    """Nobody is left in them who could do it, and what waits in line is not reached."""
    (one, first), (other, second) = scene.client(0), scene.client(1)
    waits, third = scene.client(0)
    scene.begin(waits, third, "wait")
    scene.begin(one, first, "busy")
    scene.begin(other, second, "busy_after_a_wait")
    done = shell(scene, "kill", str(first), str(second), str(third))
    assert (done.returncode, done.stdout) == (0, "ended 3 sessions\n")
    assert is_cut_off(one)
    assert is_cut_off(other)
    assert is_cut_off(waits)
    assert scene.reasons(first, second, third) == ["killed"] * 3


def test_requests_are_cancelled(scene: Scene) -> None:
    client, session = scene.client(0)
    for function in ("busy", "wait"):
        scene.begin(client, session, function)
        assert told(scene.server, "cancel", str(session)) == {"cancelled": 1}
        answer = client.packet()
        assert (answer.code, answer.text) == (32, "fiber is cancelled")
    assert scene.noted("ended", session) == []


def test_a_worker_that_does_not_answer(scene: Scene) -> None:
    client, session = scene.client(0)
    (pid,) = client.eval("return box.info.pid").data
    with stopped([pid]):
        done = shell(scene, "kill", str(session), "--timeout", "0.3")
    text = f"session {session} did not end within 0.3 s: worker 0 (process {pid}) does not answer"
    error = f"beespace: {text}; it ends as soon as that goes on\n"
    assert (done.returncode, done.stderr) == (1, error)
    client.wait_closed()


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["kill"], EVERYBODY),
        (["cancel", "--limit", "5"], EVERYBODY),
        (["kill", "--user", "nobody"], "--user: got 'nobody', expected one of admin, guest"),
        (
            ["kill", "--idle-gt", "long"],
            "--idle-gt: got 'long', expected a number of seconds from 0 on",
        ),
        (["kill", "0"], "ID: got '0', expected the id of a session"),
        (["kill", "all"], "ID: got 'all', expected the id of a session"),
        (
            ["kill", "1", "--timeout", "0"],
            "--timeout: got '0', expected a number of seconds from 0.001 on",
        ),
    ],
)
def test_wrong_words(scene: Scene, words: list[str], error: str) -> None:
    done = shell(scene, *words)
    assert (done.returncode, done.stderr) == (2, f"beespace: {error}\n")


def test_no_server(tmp_path: Path) -> None:
    for command in ("kill", "cancel"):
        assert beespace(command, "1", run_dir=tmp_path).returncode == 3


def test_more_sessions_than_one_command_takes(scene: Scene) -> None:
    ids = [str(number) for number in range(4_000_000, 4_004_500)]
    client, session = scene.client(0)
    assert told(scene.server, "kill", *ids, str(session)) == {"killed": 1}
    client.wait_closed()
    assert asked(scene.server, "kill", ids=[])["answer"] == {"killed": 0}
