"""Events over several workers: a value set in one worker reaches those who watch in all."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.helpers.raw import Packet, Raw, request
from tests.helpers.server import DATA, Server, running
from tests.helpers.wait import tries, wait_until
from tests.whole.conftest import Start

WATCH, UNWATCH, EVENT, WATCH_ONCE = 74, 75, 76, 77
KEY, DATA_KEY = 0x57, 0x58
WORKERS = 2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("events")
    with running(folder, app=DATA / "events_app.lua", workers=WORKERS) as started:
        yield started


@dataclass
class Watcher:
    """A raw client that watches; answers and events may come in any order."""

    raw: Raw
    worker: int
    waiting: list[Packet] = field(default_factory=list)

    def watch(self, key: str, sync: int = 1) -> None:
        self.raw.send(request({0: WATCH, 1: sync}, {KEY: key}))

    def unwatch(self, key: str) -> None:
        self.raw.send(request({0: UNWATCH, 1: 1}, {KEY: key}))

    def event(self, key: str) -> object:
        """The value of the next event, which must be one of this key."""
        packet = self.waiting.pop(0) if self.waiting else self.raw.packet()
        assert set(packet.header) == {0, 1}, packet
        assert (packet.type, packet.body[KEY]) == (EVENT, key)
        value: object = packet.body.get(DATA_KEY)
        return value

    def eval(self, source: str, *arguments: object) -> list[object]:
        """The values of an EVAL; events that come before its answer are kept."""
        sync = self.raw.next_sync() + (1 << 40)
        self.raw.send(request({0: 8, 1: sync}, {0x27: source, 0x21: list(arguments)}))
        while (packet := self.raw.packet()).sync != sync:
            self.waiting.append(packet)
        return list(packet.data)

    def broadcast(self, key: str, value: object) -> None:
        self.eval("box.broadcast(...)", key, value)

    def await_last(self, value: object) -> None:
        """Wait until the Lua watcher of this worker was last called with a value."""
        wait_until(lambda: self.eval("return last") == [value], what=f"last is {value!r}")

    def once(self, key: str) -> list[object]:
        answer = self.raw.request(WATCH_ONCE, {KEY: key})
        return list(answer.data)


@contextlib.contextmanager
def watchers(server: Server) -> Iterator[list[Watcher]]:
    """One client in each worker, in order of the workers."""
    with contextlib.ExitStack() as stack:
        found: dict[int, Watcher] = {}
        for _ in tries():
            raw = stack.enter_context(Raw(server.address))
            (worker,) = raw.eval("return box.info.worker.id").data
            found.setdefault(worker, Watcher(raw, worker))
            if len(found) == WORKERS:
                break
        assert sorted(found) == list(range(WORKERS))
        yield [found[worker] for worker in range(WORKERS)]


def test_a_value_reaches_every_worker(server: Server) -> None:
    with watchers(server) as clients:
        for client in clients:
            client.watch("plain")
            assert client.event("plain") is None
            client.watch("plain")
        for number, sender in enumerate(clients * 3, 1):
            sender.broadcast("plain", {"number": number, "list": [1, "two", None]})
            for client in clients:
                assert client.event("plain") == {"number": number, "list": [1, "two", None]}
                client.watch("plain")
        clients[0].broadcast("plain", None)
        for client in clients:
            assert client.event("plain") is None


def test_the_first_event_and_watch_once_have_the_newest_value(server: Server) -> None:
    with watchers(server) as (here, there):
        for number in range(50):
            here.broadcast("newest", number)
            assert there.once("newest") == [number]
            there.watch("newest")
            assert there.event("newest") == number
            there.unwatch("newest")
            assert there.eval("return box.watch_once('newest')") == [number]
        here.broadcast("newest", None)
        assert there.once("newest") == []
        assert there.eval("return select('#', box.watch_once('newest'))") == [0]


def test_nothing_is_sent_before_the_acknowledgement(server: Server) -> None:
    with watchers(server) as (here, there):
        there.watch("slow", 5)
        assert there.event("slow") is None
        for number in range(20):
            here.broadcast("slow", number)
        assert there.once("slow") == [19]
        assert there.raw.quiet()
        there.watch("slow", 6)
        assert there.event("slow") == 19
        here.broadcast("slow", None)


def test_lua_watchers_of_all_workers(server: Server) -> None:
    with watchers(server) as clients:
        for number, sender in enumerate(clients * 2, 1):
            sender.broadcast("app key", number)
            for client in clients:
                client.await_last(number)
        before = [client.eval("return seen") for client in clients]
        clients[0].broadcast("other key", 1)
        assert [client.eval("return seen") for client in clients] == before


def test_large_values(server: Server) -> None:
    value = "x" * 1_000_000
    with watchers(server) as (here, there):
        there.watch("large")
        assert there.event("large") is None
        there.watch("large")
        here.broadcast("large", value)
        assert there.event("large") == value
        assert here.once("large") == [value]
        here.broadcast("large", None)


def test_the_last_value_is_never_lost(server: Server) -> None:
    """Two workers set values as fast as they can while both are watched."""
    rounds = 300
    source = """
        local key, name, rounds = ...
        for k = 1, rounds do box.broadcast(key, {name, k}) end"""

    def race(clients: list[Watcher], key: str) -> None:
        def sending(client: Watcher) -> None:
            with Raw(server.address) as raw:
                raw.eval(source, key, client.worker, rounds)

        threads = [threading.Thread(target=sending, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def last_event(client: Watcher, key: str, final: object) -> object:
        while (value := client.event(key)) != final:
            client.watch(key)
        return value

    with watchers(server) as clients:
        for turn in range(5):
            key = f"race {turn}"
            for client in clients:
                client.watch(key)
            race(clients, key)
            (final,) = clients[0].eval("return box.watch_once(...)", key)
            for client in clients:
                assert last_event(client, key, final) == final
            clients[0].broadcast(key, None)


def test_a_worker_that_starts_later_knows_the_values(start: Start) -> None:
    server = start(app=DATA / "events_app.lua", workers=WORKERS)
    with watchers(server) as (here, there):
        here.broadcast("kept", [1, 2])
        here.broadcast("app key", "kept too")
        pids = server.worker_pids()
        os.kill(pids[there.worker], signal.SIGKILL)
        wait_until(lambda: _replaced(server, pids), 30, "the new worker")
    with watchers(server) as clients:
        for client in clients:
            assert client.once("kept") == [[1, 2]]
            client.watch("kept")
            assert client.event("kept") == [1, 2]
            client.await_last("kept too")
        clients[1].broadcast("kept", "again")
        for client in clients:
            client.watch("kept")
            assert client.event("kept") == "again"


def _replaced(server: Server, before: dict[int, int]) -> bool:
    with contextlib.suppress(Exception):
        now = server.worker_pids()
        return set(now) == set(before) and now != before
    return False


def test_system_keys(server: Server) -> None:
    with watchers(server) as clients:
        values = []
        for client in clients:
            for key in ("box.id", "box.status", "box.election", "box.schema", "internal.ballot"):
                client.watch(key)
                values.append(client.event(key))
            assert client.once("box.shutdown") == []
            assert client.once("box.wal_error") == [{}]
        assert values[:5] == values[5:]
        assert values[0]["instance_name"] == "default"  # type: ignore[index]


def test_id_announces_them(server: Server) -> None:
    with Raw(server.address) as raw:
        answer = raw.id()
        assert (answer.body[0x54], answer.body[0x55]) == (6, [0, 2, 3, 6])


def test_the_stop_waits_for_who_watches_it(start: Start) -> None:
    settings = {"process": {"stop_timeout": 20}}
    server = start(app=DATA / "events_app.lua", workers=WORKERS, settings=settings)
    with watchers(server) as clients:
        for client in clients:
            client.watch("box.shutdown")
            assert client.event("box.shutdown") is None
            client.watch("box.shutdown")
            assert client.once("box.shutdown") == []
        server.send_signal()
        for client in clients:
            assert client.event("box.shutdown") is True
            assert client.eval("return 'still here'") == ["still here"]
        assert server.process.poll() is None
    server.process.wait(10)
    assert server.process.returncode == 0


def test_the_number_of_waiting_messages(server: Server) -> None:
    key = "box.session.inbox"
    with watchers(server) as (here, there):
        (number,) = there.eval("return box.session.id()")
        there.watch(key)
        assert there.event(key) == 0
        for count in range(1, 6):
            there.watch(key)
            assert here.eval("return box.session.push_to(...)", number, "x") == [True]
            assert there.event(key) == count
        there.watch(key)
        assert there.eval("return #box.session.receive(0)") == [5]
        assert there.event(key) == 0
