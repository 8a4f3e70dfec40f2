"""Which sessions are looked at, and in which order; what typing and keys make of it. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from shm import filters
from shm.filters import Filter

MOST: Final = 500
"""Sessions that are listed at most: who looks for others narrows the filter."""
SORTS: Final = (
    "id",
    "user",
    "peer",
    "type",
    "worker",
    "state",
    "age",
    "idle",
    "requests",
    "in_flight",
    "bytes_in",
    "bytes_out",
    "pending_out",
    "name",
)
"""Fields that sessions can be sorted by, as the keys go through them."""


@dataclass(frozen=True)
class View:
    """One way to look at the sessions; ``conditions`` as :func:`shm.filters.parse` takes them."""

    sort: str = "requests"
    descending: bool = True
    conditions: tuple[tuple[str, Any], ...] = ()
    limit: int = MOST

    @property
    def filter(self) -> Filter:
        """For the table; FilterError when there is something wrong with it."""
        order = f"-{self.sort}" if self.descending else self.sort
        return filters.parse({**dict(self.conditions), "order": order, "limit": self.limit})

    @property
    def words(self) -> str:
        """The conditions as they are typed."""
        parts = []
        for key, value in self.conditions:
            values = value if isinstance(value, list) else [value]
            parts += [shlex.quote(f"{key}={each}") for each in values]
        return " ".join(parts)

    def moved(self, step: int) -> View:
        """Sorted by the next field, or by the one before."""
        at = SORTS.index(self.sort) if self.sort in SORTS else 0
        return replace(self, sort=SORTS[(at + step) % len(SORTS)])

    def turned(self) -> View:
        """The other way round."""
        return replace(self, descending=not self.descending)

    def narrowed(self, text: str) -> View:
        """With the conditions of ``text``; FilterError when it has none that can be read."""
        made = replace(self, conditions=conditions(text))
        made.filter  # noqa: B018 - raises
        return made


def conditions(text: str) -> tuple[tuple[str, Any], ...]:
    """``user=ada not_type=console``: pairs; a key that comes again has any of its values."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise filters.FilterError("filter", text, f"words with closed quotes ({error})") from None
    found: dict[str, Any] = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not sign or key in ("order", "limit", "after"):
            raise filters.FilterError("filter", word, "key=value, such as user=ada or idle_gt=60")
        found[key] = _also(found.get(key), value)
    return tuple(found.items())


def _also(before: Any, value: str) -> Any:
    if before is None:
        return value
    return (
        [*before, value]
        if isinstance(before, Sequence) and not isinstance(before, str)
        else [
            before,
            value,
        ]
    )
