"""A program that keeps a server busy and counts what goes wrong; a process of its own.

    python -m tests.faults.load HOST PORT SESSIONS
        prints one line when all sessions work:       [[session id, worker, pid], ...]
        works until standard input ends, then prints: {"sessions": {id: {...}}, "newcomers": {...}}

Every session calls a function again and again and checks the answer; a stranger comes, asks and
leaves all the time. Times are of the monotonic clock, which all processes share.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from dataclasses import asdict, dataclass, field

from tests.helpers.raw import ClosedError, Raw, RequestError
from tests.helpers.wait import wait_until

PAUSE = 0.005
"""Seconds between two requests of a session, and between two strangers."""
PATIENCE = 20.0


@dataclass
class Record:
    """What became of one session, or of all strangers; seconds."""

    answered: int = 0
    failed: list[str] = field(default_factory=list)
    closed: float | None = None
    gap: float = 0.0
    """Longest time from a question to its answer."""

    def answer(self, asked: float) -> None:
        self.answered += 1
        self.gap = max(self.gap, time.monotonic() - asked)


def work(client: Raw, record: Record, over: threading.Event) -> None:
    """Use one session until the end."""
    while not over.wait(PAUSE):
        asked = time.monotonic()
        try:
            if client.call("echo", record.answered).data != [record.answered]:
                record.failed.append("a wrong answer")
        except (ClosedError, ConnectionError):
            record.closed = time.monotonic()
            return
        except (RequestError, TimeoutError, AssertionError) as error:
            record.failed.append(str(error))
            return
        record.answer(asked)


def visit(address: tuple[str, int], record: Record, over: threading.Event) -> None:
    """Come, ask and leave until the end."""
    while not over.wait(PAUSE):
        asked = time.monotonic()
        try:
            with Raw(address, PATIENCE) as client:
                client.call("echo", 1)
        except (ClosedError, OSError, AssertionError) as error:
            record.failed.append(f"{type(error).__name__}: {error}")
            continue
        record.answer(asked)


def main() -> None:
    host, port, count = sys.argv[1:]
    address = (host, int(port))
    over = threading.Event()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Raw(address, PATIENCE)) for _ in range(int(count))]
        places = [client.call("whereami").data for client in clients]
        records = {place[0]: Record() for place in places}
        strangers = Record()
        threads = [
            threading.Thread(target=work, args=(client, records[place[0]], over))
            for client, place in zip(clients, places, strict=True)
        ]
        threads.append(threading.Thread(target=visit, args=(address, strangers, over)))
        for thread in threads:
            thread.start()
        everybody = (strangers, *records.values())
        wait_until(lambda: all(each.answered for each in everybody), PATIENCE, "first answers")
        print(json.dumps(places), flush=True)
        sys.stdin.read()
        over.set()
        for thread in threads:
            thread.join()
    sessions = {session: asdict(record) for session, record in records.items()}
    print(json.dumps({"sessions": sessions, "newcomers": asdict(strangers)}))


if __name__ == "__main__":
    main()
