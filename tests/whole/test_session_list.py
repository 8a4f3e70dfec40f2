"""box.session.list and count over all workers of a real server."""

from __future__ import annotations

from contextlib import ExitStack

from tests.helpers.raw import Raw
from tests.helpers.server import Server

MINE = "return box.session.id(), box.workers.id(), box.session.listener()"


def test_any_worker_tells_of_the_sessions_of_all(shared: Server) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(Raw(shared.address)) for _ in range(6)]
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
