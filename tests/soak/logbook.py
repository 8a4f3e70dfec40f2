"""What a server's log says of ends and errors; pure.

Every end of a process must have a reason that the soak has given, and every error must be one that
its faults bring about.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

_END: Final = re.compile(
    r" (?P<who>(?:old |new )?worker|acceptor|metrics) ended.* "
    r"reason=(?:it [a-z ]+: )?(?P<why>killed by signal \d+|exit code \d+)"
)
_BAD: Final = re.compile(r" [EC\?]> ")
_KNOWN: Final = tuple(
    re.compile(text)
    for text in (
        r" E> worker ended ",
        r" E> (acceptor|metrics) ended ",
        r" E> a worker hangs: killed .*process=(stopped|sleeping|running|disk-sleep)",
        r" E> code runs too long: ending it .*request=call runaway$",
        r" E> code runs too long: ending it .*request=call endless$",
        r" E> code runs too long: ending it .*request=call stuck$",
        r" C> code cannot be ended: this worker ends .*request=call endless$",
        r" C> code cannot be ended: this worker ends .*request=call stuck$",
        r" E> code runs too long: ending it .*request=call hog$",
        r" E> code takes too much memory: ending it .*request=call hog$",
        r" E> worker cannot serve .*(broken on purpose|its holder hangs$)",
        r" E> [a-z ]+: failed, the workers stay as they are ",
    )
)


def ends(lines: Iterable[str]) -> Counter[tuple[str, str]]:
    """How often processes ended: (who, why), who being worker, old worker, new worker, acceptor."""
    found = (_END.search(line) for line in lines)
    return Counter((match["who"], match["why"]) for match in found if match)


def surprises(lines: Iterable[str]) -> Sequence[str]:
    """Errors that no fault explains, and what is no line of a log, such as a Python traceback."""
    return [line for line in lines if _is_bad(line) and not any(k.search(line) for k in _KNOWN)]


def _is_bad(line: str) -> bool:
    return bool(_BAD.search(line)) or not re.match(r"\d{4}-\d\d-\d\d ", line)


def given_up(lines: Iterable[str]) -> int:
    """Lost sessions for which no on_disconnect was run, since it had ended two workers."""
    found = (re.search(r"not run for (\d+) lost sessions", line) for line in lines)
    return sum(int(match[1]) for match in found if match)
