"""The load generator against the echo server and against a server that can be made wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench import holder, idle, packets, targets
from bench.client import Client, Load, Measure
from bench.packets import AnswerError
from bench.rounds import Plan, take_turns
from bench.scenarios import SCENARIOS
from bench.session import Endpoint, Session
from bench.targets import CHECKOUT, TargetError
from tests.bench import stub
from tests.helpers.wait import wait_until

SECONDS = 0.1


@pytest.fixture(scope="module")
def client() -> Client:
    return Client()


@pytest.fixture
def echo() -> Iterator[Any]:
    request = packets.request(packets.TYPE_PING, 1_000_000, {})
    answer = bytes.fromhex("ce00000009820000 01ce000f4240")
    with targets.echo(request, answer) as endpoint:
        yield endpoint


def measured(client: Client, endpoint: Endpoint, load: Load) -> Measure:
    """A round in which something was asked and answered: another one when the machine stood."""

    def answered() -> Measure | None:
        found = client.measure(endpoint, load, 0.02, SECONDS)
        return found if found.latency.total else None

    made = wait_until(answered, 20, "a round with answers")
    assert made is not None
    return made


def test_a_round_against_the_echo_server(client: Client, echo: Any) -> None:
    began = time.monotonic()
    found = measured(client, echo, Load(SCENARIOS["ping"], 3, 16))
    assert SECONDS <= found.seconds <= time.monotonic() - began
    assert found.requests % 16 == 0
    assert found.requests >= found.latency.total * 16
    assert 0 < found.latency.quantile(0.5) <= found.latency.slowest <= 1e6 * found.seconds
    assert 0 < found.client_share < 1.5
    assert found.server_cpu is not None
    assert found.server_cpu > 0


def test_a_batch_larger_than_the_socket_buffers(client: Client, echo: Any) -> None:
    depth = 100_000
    found = client.measure(echo, Load(SCENARIOS["ping"], 2, depth), 0, SECONDS)
    assert found.requests % depth == 0


def test_the_echo_server_ends_with_its_block() -> None:
    with targets.echo(b"x" * 10, b"y" * 10) as endpoint:
        assert endpoint.pid is not None
        assert psutil.pid_exists(endpoint.pid)
    assert not psutil.pid_exists(endpoint.pid)


@pytest.mark.parametrize("name", sorted(set(SCENARIOS) - {"cpu"}))
def test_scenarios_against_a_server(client: Client, name: str) -> None:
    with stub.serve() as endpoint:
        found = measured(client, endpoint, Load(SCENARIOS[name], 2, 4))
    assert found.requests > 0
    assert found.server_cpu is None


def test_rounds_take_turns(client: Client) -> None:
    seen: list[str] = []
    with stub.serve() as one, stub.serve() as other:
        load = Load(SCENARIOS["eval"], 1, 1)
        found = take_turns(client, load, [one, other], Plan(2, 0.05, 0), seen.append)
    assert [len(series.rounds) for series in found] == [2, 2]
    assert [line.split()[3] for line in seen] == ["1/2", "1/2", "2/2", "2/2"]


def test_a_wrong_result_is_found_before_the_round(client: Client) -> None:
    def lying(body: dict[int, Any], peer: str) -> dict[int, Any]:
        answer = stub.good(body, peer)
        return {packets.KEY_DATA: [False]} if answer.get(packets.KEY_DATA) == [True] else answer

    with stub.serve(lying) as endpoint, pytest.raises(AnswerError, match="wrong result"):
        client.measure(endpoint, Load(SCENARIOS["exists"], 1, 2), 0, SECONDS)


def test_a_wrong_result_is_found_after_the_round(client: Client) -> None:
    asked = 0

    def tiring(body: dict[int, Any], peer: str) -> dict[int, Any]:
        nonlocal asked
        asked += packets.KEY_EXPRESSION in body
        return stub.good(body, peer) if asked <= 3 else {packets.KEY_DATA: [2]}

    with stub.serve(tiring) as endpoint, pytest.raises(AnswerError, match="wrong result"):
        client.measure(endpoint, Load(SCENARIOS["eval"], 1, 1), 0, SECONDS)
    # Two before the round, and the one that it begins with.
    assert asked > 3


def test_a_refusal_names_load_server_and_text(client: Client) -> None:
    def refusing(body: dict[int, Any], peer: str) -> dict[int, Any]:
        answer = stub.good(body, peer)
        return answer if packets.KEY_EXPRESSION not in body else {packets.KEY_ERROR: "no eval"}

    load = Load(SCENARIOS["eval"], 1, 1)
    with stub.serve(refusing) as endpoint, pytest.raises(TargetError) as caught:
        take_turns(client, load, [endpoint], Plan(1, SECONDS, 0), lambda _: None)
    text = "eval 1x1 against 'stub': the server answered with error 32: no eval"
    assert str(caught.value) == text


def test_a_server_that_hangs_up_in_the_round(client: Client) -> None:
    asked = 0

    def leaving(body: dict[int, Any], peer: str) -> dict[int, Any]:
        nonlocal asked
        asked += packets.KEY_EXPRESSION in body
        if asked > 2:
            raise ConnectionResetError
        return stub.good(body, peer)

    load = Load(SCENARIOS["eval"], 1, 1)
    with stub.serve(leaving) as endpoint, pytest.raises(TargetError, match=r"closed|reset"):
        take_turns(client, load, [endpoint], Plan(1, SECONDS, 0), lambda _: None)


def test_the_cpu_function_is_calibrated(client: Client) -> None:
    turns, result = client.cpu
    assert 1_000 < turns < 10_000_000
    assert 0 <= result < 65_536


def test_idle_sessions_are_opened_and_closed() -> None:
    with stub.serve() as endpoint, idle.holder(endpoint) as clients:
        clients.warm(20)
        clients.close()
        clients.open(3)


def test_a_holder_says_what_went_wrong() -> None:
    with (
        stub.nobody() as gone,
        idle.holder(gone) as clients,
        pytest.raises(TargetError, match=r"open 1: .*refused"),
    ):
        clients.open(1)


def test_the_open_files_limit_is_never_beyond_the_hard_one() -> None:
    code = (
        "import resource; from bench.holder import raise_limit;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 128)); raise_limit(20000);"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "(128, 128)\n"
    assert holder.MOST_FILES == 20_000


def test_the_command_writes_a_table_and_json(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    with stub.serve() as endpoint:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "bench", "load", "ping", "exists"),
                *("--target", str(endpoint.address), "--conns", "2", "--depth", "4"),
                *("--rounds", "3", "--seconds", "0.1", "--warmup", "0", "--json", str(file)),
            ],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=True,
        )
    assert "exists 2x4" in done.stdout
    document = json.loads(file.read_text())
    assert [each["scenario"] for each in document["series"]] == ["ping", "exists"]
    assert all(each["rate"] > 0 for each in document["series"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_process(number: int) -> None:
    with stub.serve() as endpoint:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "bench", "load", "ping", "--seconds", "1"),
                *("--target", str(endpoint.address), "--target", "echo", "--rounds", "50"),
            ],
            cwd=CHECKOUT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            children = wait_until(lambda: _in_traffic(process.pid), 20, "traffic with a child")
            os.kill(process.pid, number)
            assert process.wait(10) == (130 if number == signal.SIGINT else 143)
            _, alive = psutil.wait_procs(children, 5)
            assert alive == []
        finally:
            process.kill()
            process.wait()


def _in_traffic(pid: int) -> list[psutil.Process]:
    """Children, once one has a connection: before, its parent may not know yet that it is there."""
    children = psutil.Process(pid).children()
    with suppress(psutil.NoSuchProcess):
        if any(end.status == psutil.CONN_ESTABLISHED for end in _ends(children)):
            return children
    return []


def _ends(processes: list[psutil.Process]) -> list[Any]:
    return [end for process in processes for end in process.net_connections("tcp")]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["load", "pong"], "kind 'pong': expected one of ping"),
        (["load", "ping", "--target", "nowhere"], "'nowhere': expected host:port"),
        (["load", "ping", "--target", "beespace:0"], "with 1 to 64 workers"),
        (["run", "fibers", "--target", "beespice"], "target beespace[:WORKERS], tarantool or"),
        (["load", "ping", "--rounds", "1"], "Input should be greater than or equal to 3"),
        (["load", "ping", "--target", "echo"], "another target to learn the answers from"),
    ],
)
def test_bad_options_are_named(arguments: list[str], text: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert done.returncode == 2
    assert text in done.stderr


def test_a_session_is_told_its_greeting() -> None:
    with stub.serve() as endpoint, Session(endpoint) as session:
        assert session.greeting == "Tarantool 2.11.0 (Binary) stub"
