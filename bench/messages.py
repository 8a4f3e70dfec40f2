"""Messages from one worker's session to another's: how many a second, and how long they take.

Called by ``bench.cli``. Two connections on different workers: one calls ``bench_flood``, whose
messages carry a number and the time of their sending, the other ``bench_collect``, which checks
that every number comes once and in order, and answers how long each message was on its way (both
are in app.lua). The clock is the machine's monotonic one, which all its processes share.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from bench import packets
from bench.packets import AnswerError
from bench.rounds import Plan
from bench.session import Endpoint, Session
from bench.stats import median, quantile
from bench.targets import TargetError

RATE_BAR: Final = 100_000.0
"""Messages a second from one worker to another, at least."""
P50_BAR: Final = 1000.0
"""Microseconds that half of the messages may take, sent at RATE_BAR."""
MOST_MESSAGES: Final = 2_000_000
MOST_RATE: Final = 10_000_000
_TRIES: Final = 64


@dataclass(frozen=True)
class MessageFigure:
    """One way of sending; ``rate`` is what was asked for, 0 for as fast as possible."""

    rate: int
    messages: int
    """In a round."""
    seconds: float
    """From the first sending to the last arrival, median of the rounds."""
    p50: float
    p99: float
    """Microseconds on the way, medians of the rounds' own quantiles."""

    @property
    def found_rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds

    @property
    def bar(self) -> tuple[str, bool]:
        """What is promised of it, and whether it was kept."""
        if self.rate == 0:
            return f"at least {RATE_BAR:,.0f}/s", self.found_rate >= RATE_BAR
        return f"p50 at most {P50_BAR:,.0f} us", self.p50 <= P50_BAR


def measure(
    endpoint: Endpoint, messages: int, rate: int, plan: Plan, progress: Callable[[str], None]
) -> list[MessageFigure]:
    """As fast as possible, and at ``rate``; TargetError when messages are lost or out of order."""
    found = []
    for each in (0, rate):
        took, quantiles = [], []
        for turn in plan.turns():
            progress(f"messages at {each or 'full'} rate  round {turn}/{plan.rounds}")
            try:
                seconds, delays = _round(endpoint, messages, each)
            except (OSError, AnswerError) as error:
                raise TargetError(f"messages against {endpoint.name!r}: {error}") from error
            took.append(seconds)
            quantiles.append((quantile(delays, 0.5), quantile(delays, 0.99)))
        p50, p99 = (median(column) for column in zip(*quantiles, strict=True))
        found.append(MessageFigure(each, messages, median(took), p50, p99))
    return found


def _round(endpoint: Endpoint, messages: int, rate: int) -> tuple[float, list[int]]:
    """Seconds from the first sending to the last arrival, and each message's microseconds."""
    with ExitStack() as stack:
        sender, receiver = _apart(endpoint, stack)
        target = _ask(receiver, _evaluation("return box.session.id()"))[0]
        sender.socket.send(_call("bench_flood", target, messages, rate))
        ordered, finished, delays = _ask(receiver, _call("bench_collect", messages))
        (started,) = packets.decode(sender.exchange(b"", 1)).data()
    if not ordered:
        raise AnswerError("messages came out of order")
    if len(delays) != messages:
        raise AnswerError(f"{len(delays)} of {messages} messages came")
    return finished - started, delays


def _apart(endpoint: Endpoint, stack: ExitStack) -> tuple[Session, Session]:
    """Two sessions on different workers."""
    by_worker: dict[int, Session] = {}
    for _ in range(_TRIES):
        session = stack.enter_context(Session(endpoint))
        worker = _ask(session, _evaluation("return box.info.worker.id"))[0]
        by_worker.setdefault(worker, session)
        if len(by_worker) == 2:
            first, second = by_worker.values()
            return first, second
    raise AnswerError(f"{_TRIES} connections reached one worker, expected two")


def _ask(session: Session, request: bytes) -> Any:
    return packets.decode(session.exchange(request, 1)).data()


def _call(function: str, *arguments: Any) -> bytes:
    body = {packets.KEY_FUNCTION: function, packets.KEY_TUPLE: list(arguments)}
    return packets.request(packets.TYPE_CALL, 1, body)


def _evaluation(source: str) -> bytes:
    body = {packets.KEY_EXPRESSION: source, packets.KEY_TUPLE: []}
    return packets.request(packets.TYPE_EVAL, 1, body)
