"""What the fuzzer throws at: the engine inside this process, and a real server.

Both do one :meth:`Target.trial` at a time: mutants on the connection at hand, a PING with a sync of
its own behind them, and the answers compared with what :mod:`tests.fuzz.model` says. Where the
mutants end the connection, or leave it waiting for more, the PING goes through a new one.
"""

from __future__ import annotations

import contextlib
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.fuzz import model, seeds
from tests.helpers.engine import Client, Engine
from tests.helpers.raw import ClosedError, Packet, Raw, ping
from tests.helpers.server import Server, running

LONGEST: Final = 1 << 20
PROBE: Final = 0xBEE5BEE5BEE5


class Target(ABC):
    """A server with one connection that is tried."""

    def __init__(self) -> None:
        self.trials = 0
        self.owes = False
        """Whether answers that nobody can be sure of may still come."""
        self.renewed: Callable[[], None] = lambda: None
        """Called when the connection was replaced by a new one."""

    def trial(self, parts: Sequence[bytes]) -> None:
        """Send the parts one after another; AssertionError when something wrong comes of it."""
        self.trials += 1
        data = b"".join(parts)
        stream = model.read(data, LONGEST)
        if stream.broken:
            model.judge(stream, self.last_words(parts))
            self.renew()
        elif stream.rest:
            model.judge(stream, self.answers(parts, stream))
            self.renew()
        else:
            stream = model.read(data + ping(PROBE), LONGEST)
            self.check_probe(stream, self.answers([*parts, ping(PROBE)], stream))
            if self.owes:
                self.renew()

    def check_probe(self, stream: model.Stream, answers: Sequence[Packet]) -> None:
        """Judge answers, the one to the PING among them."""
        model.judge(stream, answers)
        found = [(each.type, each.body) for each in answers if each.header.get(1) == PROBE]
        assert (0, {}) in found, f"the PING was answered with {found}"

    def renew(self) -> None:
        """Go on with a new connection, which answers a PING."""
        self.connect()
        self.owes = False
        self.renewed()
        probe = ping(PROBE)
        stream = model.read(probe, LONGEST)
        self.check_probe(stream, self.answers([probe], stream))

    @abstractmethod
    def connect(self) -> None:
        """Replace the connection by a new one."""

    @abstractmethod
    def answers(self, parts: Sequence[bytes], stream: model.Stream, /) -> list[Packet]:
        """Send; what came when nothing of it is left to be answered."""

    @abstractmethod
    def last_words(self, parts: Sequence[bytes], /) -> list[Packet]:
        """Send; what came until the connection was ended."""

    @abstractmethod
    def finish(self) -> None:
        """Look at the whole once more; AssertionError when it has suffered."""


class EngineTarget(Target):
    """The engine in this process; a crash of it is one of ours."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.engine = engine
        engine.call_main("load", b"fuzz.lua", seeds.application().encode())
        self.witness = engine.connect()
        self.client = engine.connect()

    def connect(self) -> None:
        self.client.close()
        self.client = self.engine.connect()

    def answers(self, parts: Sequence[bytes], _: model.Stream) -> list[Packet]:
        for part in parts:
            self.client.send(part)
        assert not self.client.ended, "the connection was ended"
        slot = self.client.slot
        if slot.in_flight:
            self.engine.run_until(lambda: slot.in_flight == 0)
            self.client.read()
        return self._packets(self.client)

    def last_words(self, parts: Sequence[bytes]) -> list[Packet]:
        for part in parts:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.client.send(part)
        assert self.client.ended, "the connection was not ended"
        return self._packets(self.client)

    def finish(self) -> None:
        assert self.witness.in_step()
        self.client.close()
        self.witness.close()
        self.engine.run_until(lambda: self.engine.row.sessions == 0)

    def _packets(self, client: Client) -> list[Packet]:
        found = client.packets()
        assert not client.buffer, f"half an answer: {bytes(client.buffer[:40]).hex(' ')}"
        return found


class ServerTarget(Target):
    """A server with one worker, which must be the same at the end."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.server = server
        self.pids = server.worker_pids()
        self.client = Raw(server.address)

    def connect(self) -> None:
        self.client.close()
        self.client = Raw(self.server.address)

    def answers(self, parts: Sequence[bytes], stream: model.Stream) -> list[Packet]:
        for part in parts:
            self.client.send(part)
        silent = sum(1 for each in stream.packets if model.syncs(each)[1] & set(model.WATCHING))
        self.owes = silent > 0
        found: list[Packet] = []
        count = 0
        probed = stream.packets[-1:] != (ping(PROBE)[5:],)
        while count < len(stream.packets) - silent or not probed:
            found.append(self.client.packet())
            count += found[-1].type not in (model.CHUNK, model.EVENT)
            probed = probed or found[-1].header.get(1) == PROBE
        return found

    def last_words(self, parts: Sequence[bytes]) -> list[Packet]:
        found = []
        with contextlib.suppress(ClosedError):
            for part in parts:
                self.client.send(part)
        try:
            while True:
                found.append(self.client.packet())
        except ClosedError as error:
            assert not error.rest, f"half an answer: {error.rest[:40].hex(' ')}"
        return found

    def finish(self) -> None:
        self.client.close()
        assert self.server.worker_pids() == self.pids, "a worker was replaced"
        assert self.server.lines("worker (died|ended)|stack traceback") == []


@contextlib.contextmanager
def engine_target() -> Iterator[Target]:
    """An engine for the time of a ``with`` block."""
    with Engine(max_packet=LONGEST) as engine:
        yield EngineTarget(engine)


@contextlib.contextmanager
def server_target() -> Iterator[Target]:
    """A server for the time of a ``with`` block."""
    settings = {"iproto": {"max_packet_size": LONGEST}}
    with (
        tempfile.TemporaryDirectory(prefix="beespace-fuzz-") as folder,
        running(Path(folder), app=seeds.application(), workers=1, settings=settings) as server,
    ):
        yield ServerTarget(server)
