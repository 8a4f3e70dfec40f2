"""All visits, and how often each is paid."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Final

from tests.soak import encounters, visits
from tests.soak.guest import GoneError
from tests.soak.visits import Purpose, Visit

VISITS: Final[Mapping[Purpose, int]] = {
    visits.brief: 40,
    visits.abrupt: 15,
    encounters.letters: 8,
    visits.login: 8,
    encounters.watcher: 6,
    visits.console: 6,
    visits.slow_reader: 4,
    visits.half_closed: 6,
    visits.silent: 1,
    encounters.deaf: 2,
    visits.chat: 6,
    encounters.killed: 4,
    encounters.cancelled: 3,
    encounters.user: 3,
    encounters.rule: 3,
    encounters.called: 6,
}
"""How often each is chosen, of all."""


def pay(what: Purpose, visit: Visit) -> None:
    """One visit; its host has the records."""
    with contextlib.closing(visit.host), contextlib.suppress(GoneError):
        try:
            what(visit)
        except (TypeError, ValueError, LookupError) as error:
            # An answer that nobody would have thought of.
            for record in visit.host.records:
                record.failed.append(f"{type(error).__name__}: {error}")
