"""The comparison: every load that a bar names, against the servers the bar names, in one run.

Called by ``bench.cli`` (``compare``). The servers with a process tree of their own stay up for the
whole run and idle while another one is measured; an echo server lives for the one load it is made
for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from bench.bars import Bar, Role, Verdict, judge
from bench.client import Client, Load
from bench.rounds import Plan, Progress, Series, ceiling, take_turns
from bench.scenarios import SCENARIOS
from bench.session import Endpoint
from bench.targets import Kind


@dataclass(frozen=True)
class Comparison:
    """Everything a run of the grid found."""

    endpoints: Mapping[Role, Endpoint]
    groups: Sequence[Sequence[tuple[Role, Series]]]
    """The series of one load that were measured in turns."""
    verdicts: Sequence[Verdict]


@dataclass(frozen=True)
class _Case:
    scenario: str
    connections: int
    depth: int
    roles: tuple[Role, ...]


def compare(
    client: Client, kinds: Mapping[Role, Kind], bars: Sequence[Bar], plan: Plan, progress: Progress
) -> Comparison:
    """Start the servers, take turns on every load, judge. TargetError when a server fails."""
    with ExitStack() as stack:
        running: dict[Role, Endpoint] = {}
        for role, kind in kinds.items():
            progress(f"starting {kind.name}")
            running[role] = stack.enter_context(kind.start())
        groups = [_measure(client, case, running, plan, progress) for case in _cases(bars)]
    verdicts = judge(bars, (each for group in groups for each in group))
    return Comparison(running, groups, verdicts)


def _cases(bars: Sequence[Bar]) -> list[_Case]:
    """The loads in the order of the bars; servers that share no bar are measured apart."""
    cases: dict[tuple[str, int, int, Role, Role], _Case] = {}
    for bar in bars:
        key = (bar.scenario, bar.connections, bar.depth, bar.who, bar.than)
        cases[key] = _Case(bar.scenario, bar.connections, bar.depth, (bar.who, bar.than))
    return list(cases.values())


def _measure(
    client: Client, case: _Case, running: Mapping[Role, Endpoint], plan: Plan, progress: Progress
) -> list[tuple[Role, Series]]:
    load = Load(SCENARIOS[case.scenario], case.connections, case.depth)
    with ExitStack() as stack:
        here = {role: running[role] for role in case.roles if role in running}
        if Role.CEILING in case.roles and here:
            teacher = next(iter(here.values()))
            here[Role.CEILING] = stack.enter_context(ceiling(client, load, teacher))
        found = take_turns(client, load, list(here.values()), plan, progress)
    return list(zip(here, found, strict=True))
