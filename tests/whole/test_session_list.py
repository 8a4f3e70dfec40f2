"""box.session.list and count over all workers of a real server."""

from __future__ import annotations

import itertools
import threading
from contextlib import ExitStack
from typing import Any

from tests.helpers.raw import Raw
from tests.helpers.server import Server
from tests.whole.crews import spread

MINE = "return box.session.id(), box.workers.id(), box.session.listener()"


def test_any_worker_tells_of_the_sessions_of_all(shared: Server) -> None:
    with ExitStack() as stack:
        clients = [*itertools.chain(*spread(shared, stack, 2, each=3).values())]
        facts = {client.eval(MINE).data[0]: client for client in clients}
        known = {number: client.eval(MINE).data[1:] for number, client in facts.items()}
        assert {worker for worker, _ in known.values()} == {0, 1}
        for client in clients:
            (rows,) = client.eval("return box.session.list{id = ...}", list(known)).data
            assert {row["id"]: [row["worker"], row["listener"]] for row in rows} == known
            assert {row["peer"] for row in rows} == {each.name for each in clients}
            assert {(row["user"], row["type"], row["state"]) for row in rows} == {
                ("guest", "binary", "live")
            }
            source = "return box.session.count{id = ..., worker = 1}"
            of_one = [number for number, (worker, _) in known.items() if worker == 1]
            assert client.eval(source, list(known)).data == [len(of_one)]
        assert clients[0].name.rpartition(":")[0] in rows[0]["listener"]


def test_rows_are_whole_while_sessions_come_and_go(shared: Server) -> None:
    """Sessions of both workers change their names all the time: no list mixes two of them."""
    change = """
        local s = box.session
        for turn = 1, 200 do
          local text = ('%d.'):format(s.id()):rep(1 + turn % 6)
          s.set_name(text)
          s.set_attr('n', text:sub(1, 9))
          if turn % 20 == 0 then require('fiber').sleep(0) end
        end"""
    stop = threading.Event()

    def come_and_go() -> None:
        while not stop.is_set():
            with Raw(shared.address) as client:
                client.eval(change)

    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for thread in threads:
        thread.start()
    rows: list[dict[str, Any]] = []
    try:
        with Raw(shared.address) as reader:
            for turn in range(2000):
                for name in ("list", "history"):
                    rows += reader.eval(f"return box.session.{name}{{not_name = ''}}").data[0]
                if turn >= 50 and len({row["id"] for row in rows}) > 10:
                    break
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert len({row["id"] for row in rows}) > 10
    # Others that share this server have names of another kind.
    for row in (each for each in rows if each["name"][:1].isdigit()):
        number = f"{row['id']}."
        assert row["name"] == number * (len(row["name"]) // len(number))
        assert row["attrs"] in ({}, {"n": (number * 9)[: len(row["attrs"].get("n", ""))]})
