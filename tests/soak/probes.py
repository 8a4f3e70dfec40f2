"""What a server that was soaked still counts right: limits, spread, failed logins.

Limits are probed by reaching them: as many sessions as are allowed get in, one more does not. So
what acceptors that died and workers that died have counted must have been put right.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from typing import Final

from tests.helpers.inside import Inside
from tests.helpers.raw import ClosedError, Raw
from tests.helpers.server import Server
from tests.helpers.wait import wait_until
from tests.soak import figures, observer
from tests.soak.guest import PATIENCE
from tests.soak.invariants import Finding, Round, equal, within
from tests.soak.visits import PASSWORD, USERS

SPREAD: Final = 0.1
"""Part of the most sessions that a worker has by which another one may have fewer."""
TOO_MANY: Final = "session limit of user"


def all_of(
    server: Server, inside: Inside, rounds: Sequence[Round], per_address: int, per_user: int
) -> list[Finding]:
    """Fill the server to its limits, look, and leave."""
    with contextlib.ExitStack() as stack:
        guests: list[Raw] = []
        with contextlib.suppress(ClosedError, OSError, AssertionError):
            while len(guests) <= per_address:
                guest = stack.enter_context(Raw(server.address, PATIENCE))
                guest.ping()
                guests.append(guest)
        found = [equal("probe: sessions of one address", per_address, len(guests))]
        if not guests:
            return found
        found += _spread(inside)
        found += _table(guests)
        found += _logins(guests, per_user)
        found += _failures(guests[-1], rounds)
    with contextlib.suppress(AssertionError):
        wait_until(lambda: not list(inside.table.sessions()), PATIENCE, "an empty table")
    found.append(equal("probe: sessions at the end", 0, len(list(inside.table.sessions()))))
    return [*found, *_metrics(server, inside)]


def _spread(inside: Inside) -> list[Finding]:
    segment = inside.segment
    rows = [row for row in segment.rows[: segment.header.workers] if row.on_duty]
    counts = [int(row.sessions) for row in rows]
    least = int(max(counts) * (1 - SPREAD))
    return [within("probe: sessions of the emptiest worker", least, min(counts), max(counts))]


def _table(guests: Sequence[Raw]) -> list[Finding]:
    """What sessions are told of all sessions, and of those that have ended."""
    count = guests[0].call("box.session.count").data[0]
    told = guests[-1].eval(
        "local ids, twice = {}, 0 for _, row in ipairs(box.session.history{}) do "
        "twice = twice + (ids[row.id] or 0) ids[row.id] = 1 end return twice, next(ids) ~= nil"
    )
    return [
        equal("probe: box.session.count()", len(guests), count),
        equal("probe: sessions that are in the history twice", [0, True], told.data),
    ]


def _logins(guests: Sequence[Raw], per_user: int) -> list[Finding]:
    name = USERS[0]
    answers = [guest.auth(name, PASSWORD) for guest in guests[: per_user + 1]]
    refused = [answer for answer in answers if answer.is_error]
    texts = [answer.text for answer in refused if TOO_MANY not in answer.text]
    return [
        equal("probe: sessions of one user", per_user, len(answers) - len(refused)),
        equal("probe: other reasons to refuse a login", [], texts),
    ]


def _failures(guest: Raw, rounds: Sequence[Round]) -> list[Finding]:
    """Failed logins, exact but for those whose answers did not come."""
    found = []
    records = [record for each in rounds for record in each.records]
    for name in USERS:
        rows = guest.eval("return box.security.failures(...)", name).data[0]
        count = sum(row["count"] for row in rows if row.get("user") == name)
        tried = sum(Counter(record.mistyped)[name] for record in records)
        lost = sum(name in record.mistyped and bool(record.cut) for record in records)
        found.append(within(f"probe: failed logins of {name}", tried - lost, count, tried))
    return found


def _metrics(server: Server, inside: Inside) -> list[Finding]:
    """What the metrics tell, which may be a moment old, once nothing moves any more."""
    counted = figures.take(inside)
    died = sum(int(row.lost) for row in inside.segment.rows[: inside.segment.header.workers])
    expected = {
        "beespace_requests_total": counted.requests,
        "beespace_sessions_ended_total": sum(counted.ended.values()) + died,
    }

    def told() -> dict[str, int]:
        totals = observer.metrics(server)
        return {name: int(totals[name]) for name in expected}

    with contextlib.suppress(AssertionError):
        wait_until(lambda: told() == expected, 5, "the newest metrics")
    return [equal("probe: metrics", expected, told())]
