"""Servers with users, who log in over both workers."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Final

from shm.catalog import changes
from shm.catalog.store import FILE, Store
from shm.segment import Segment
from tests.helpers.raw import Raw
from tests.helpers.server import Server, running
from tests.helpers.wait import tries

PASSWORD: Final = "Sesame-0pen"
WHO = "return box.session.user(), box.session.effective_user(), box.info.worker.id"
EVERYTHING = [{"permissions": ["execute"], "universe": True}]
USERS = {
    "bob": {"password": PASSWORD, "privileges": EVERYTHING},
    "eve": {"password": PASSWORD, "privileges": EVERYTHING},
    "boss": {"password": PASSWORD, "roles": ["super"]},
    "bare": {"privileges": EVERYTHING},
}


def serve(folder: Path, **security: Any) -> contextlib.AbstractContextManager[Server]:
    settings = {"credentials": {"users": USERS}, "security": security}
    return running(folder, workers=2, open_to_guests=False, settings=settings)


def logged_in(server: Server, user: str, stack: contextlib.ExitStack) -> list[Raw]:
    """Two sessions of a user in each worker, by number of the worker."""
    found: dict[int, list[Raw]] = {0: [], 1: []}
    for _ in tries():
        if min(map(len, found.values())) >= 2:
            break
        client = stack.enter_context(Raw(server.address))
        assert client.auth(user, PASSWORD).code == 0
        name, _, worker = client.eval(WHO).data
        assert name == user
        found[worker].append(client)
    return [client for clients in found.values() for client in clients[:2]]


def change(server: Server, operation: str, *arguments: object) -> None:
    """Change the catalog as a worker would that tells the others nothing but the number."""
    store = Store.open(server.folder / "data" / FILE)
    changes.apply(store, operation, arguments)
    store.close()
    (path,) = server.segments()
    segment = Segment.attach(path.name)
    segment.renew_catalog()
    segment.close()


def number_of(server: Server, user: str) -> int:
    with Raw(server.address) as client:
        client.auth(user, PASSWORD)
        (uid,) = client.eval("return box.session.uid()").data
    return int(uid)
