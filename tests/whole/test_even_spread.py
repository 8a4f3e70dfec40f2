"""Connections are spread evenly over many workers, also where some have gone."""

from __future__ import annotations

import contextlib
import random
from collections import Counter

from tests.helpers.raw import Raw
from tests.helpers.server import Server
from tests.whole.conftest import Start, await_gone

WORKERS = 8


def places(clients: list[Raw]) -> Counter[int]:
    """Sessions by worker."""
    return Counter(one.eval("return box.info.worker.id").data[0] for one in clients)


def is_even(found: Counter[int]) -> bool:
    """Whether all workers have some, and most and least differ by a tenth at most."""
    counts = found.values()
    return len(found) == WORKERS and max(counts) - min(counts) <= 0.1 * max(counts)


def connected(stack: contextlib.ExitStack, server: Server, count: int) -> list[Raw]:
    return [stack.enter_context(Raw(server.address, deadline=30)) for _ in range(count)]


def test_four_hundred_over_eight(start: Start) -> None:
    """One that stalls for a moment gets less, so there are several tries."""
    found = Counter[int]()
    for _ in range(3):
        found = four_hundred(start(workers=WORKERS))
        if is_even(found):
            return
    raise AssertionError(found)


def four_hundred(server: Server) -> Counter[int]:
    """Where they are; a second time when half of them have been replaced by others."""
    with contextlib.ExitStack() as stack:
        clients = connected(stack, server, 400)
        found = places(clients)
        if not is_even(found):
            return found
        random.Random(5).shuffle(clients)
        gone, clients = clients[:200], clients[200:]
        numbers = [one.call("box.session.id").data[0] for one in gone]
        for one in gone:
            one.close()
        for number in numbers:
            await_gone(clients[0], number)
        clients += connected(stack, server, 200)
        return places(clients)
