"""Memory of idle sessions: rounds that take turns, and what they come to."""

from __future__ import annotations

import pytest

from bench import idle, targets
from bench.idle import IdleFigure
from bench.rounds import Plan
from bench.targets import Kind


def test_servers_and_sizes_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    def look(kind: Kind, sessions: int) -> tuple[int, int]:
        asked.append((kind.name, sessions))
        return 1000, 1000 + len(asked) * sessions

    monkeypatch.setattr(idle, "_round", look)
    wanted = [(targets.parse(name, None), size) for size in (10, 20) for name in ("3301", "3302")]
    found = idle.measure(wanted, Plan(9, deadline=0), lambda _: None)
    assert asked == 3 * [(kind.name, size) for kind, size in wanted]
    assert [each.per_session for each in found] == [5, 6, 7, 8]
    assert [len(each.rounds) for each in found] == [3, 3, 3, 3]


def test_medians_and_their_spread() -> None:
    figure = IdleFigure("x", 10, ((1000, 3000), (2000, 3000), (1500, 3000)))
    assert (figure.before, figure.after) == (1500, 3000)
    assert figure.per_session == 150
    assert figure.spread == pytest.approx(100 / 150)
