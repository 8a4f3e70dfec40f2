"""What a scenario of the suite is given: servers to measure, how long, and the load generator.

``bench.run`` makes one for each scenario; all of a run share the load generator.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

from bench import targets
from bench.client import Client
from bench.rounds import Plan, Progress
from bench.session import Endpoint
from bench.targets import Kind

OWN: Final = "beespace"
"""Targets with this name are servers of this checkout."""

TARANTOOL: Final = "tarantool"
"""The one that is installed."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class Context:
    """One scenario's part of a run."""

    subject: str
    """The server that is judged, as ``--target`` names it."""
    reference: str | None
    """The one it is compared with; None when there is none."""
    rounds: int
    seconds: float
    """Counted seconds of a round."""
    smoke: bool
    """Whether the run only shows that everything works: smallest sizes, one round."""
    budget: float
    """Seconds after which no round is begun that is not needed."""
    client: Callable[[], Client]
    progress: Progress

    def plan(self) -> Plan:
        """Rounds as the user wants them, within the budget from now on."""
        if self.smoke:
            return Plan(1, 0.1, 0.02)
        return Plan(self.rounds, self.seconds, self.seconds / 3, time.monotonic() + self.budget)

    def size(self, full: _T, smoke: _T) -> _T:
        """``full``, or ``smoke`` in a smoke run."""
        return smoke if self.smoke else full

    @property
    def names(self) -> list[str]:
        """The subject, and the reference when there is one."""
        return [self.subject] if self.reference is None else [self.subject, self.reference]

    @property
    def started(self) -> list[str]:
        """Those of :attr:`names` that the bench starts: a server given by URI is never new."""
        return [name for name in self.names if name.partition(":")[0] in (OWN, TARANTOOL)]

    @property
    def is_own(self) -> bool:
        """Whether the subject is this checkout's server, started by the bench."""
        return self.subject.partition(":")[0] == OWN

    def kind(self, name: str) -> Kind:
        """How a server is started or reached."""
        return targets.parse(name, targets.find_tarantool())

    @contextmanager
    def servers(self, names: Sequence[str] | None = None) -> Iterator[list[Endpoint]]:
        """These servers at once, all of :attr:`names` unless given."""
        with ExitStack() as stack:
            started = []
            for name in self.names if names is None else names:
                self.progress(f"starting {name}")
                started.append(stack.enter_context(self.kind(name).start()))
            yield started
