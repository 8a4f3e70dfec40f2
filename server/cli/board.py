"""How ``beespace status`` shows a server to a person. Pure: an answer in, lines out.

The answer is that of :func:`server.status.report`; :mod:`server.cli.operation` is the caller.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from server.cli.texts import moment, span, table

_HEAD: Final = ("", "pid", "state", "sessions", "restarts", "loop", "last end")
_RIGHT: Final = frozenset({"pid", "sessions", "restarts", "loop"})


def lines(answer: Mapping[str, Any]) -> Iterator[str]:
    """The whole board."""
    metrics = answer.get("metrics")
    told = {
        "server": f"{answer['name']}, {answer['state']}, process {answer['pid']}, "
        f"beespace {answer['version']}",
        "since": f"{moment(answer['started'])} ({span(answer['uptime'])})",
        "listeners": ", ".join(answer["listeners"]),
        "consoles": ", ".join(answer["consoles"]) or "none",
        "control": answer["control"],
        **({"metrics": ", ".join(metrics["listeners"])} if metrics else {}),
        "application": answer["app"] or "none",
        "run dir": answer["run_dir"],
        "data dir": answer["data_dir"],
        "catalog": answer["catalog"],
        "sessions": f"{answer['sessions']} of {answer['max_sessions']}, "
        f"{answer['refused']} refused",
        "ended": _ended(answer["ended"]),
    }
    for name, value in told.items():
        yield f"{name:<12} {value}"
    yield ""
    rows = [_row("acceptor", answer["acceptor"])]
    rows += [_row("metrics", metrics)] if metrics else []
    rows += [_row(f"worker {worker['number']}", worker) for worker in answer["workers"]]
    yield from table([_HEAD, *rows], _RIGHT)


def _ended(reasons: Mapping[str, int]) -> str:
    """Sessions that have ended, the most frequent reason first."""
    some = sorted(((count, name) for name, count in reasons.items() if count), reverse=True)
    told = ", ".join(f"{count} {name}" for count, name in some)
    return f"{sum(reasons.values())}: {told}" if some else "none"


def _row(name: str, child: Mapping[str, Any]) -> tuple[str, ...]:
    end, start, turned = child["last_end"], child["next_start"], child["turned"]
    notes = [] if end is None else [f"{moment(end['time'])} {end['reason']}"]
    notes += [] if start is None else [f"next start in {start:.1f} s"]
    notes += ["it dies again and again"] if child["storm"] else []
    return (
        name,
        str(child["pid"] or "-"),
        str(child["state"]),
        str(child.get("sessions", "-")),
        str(child["restarts"]),
        "-" if turned is None else f"{turned:.1f} s",
        "; ".join(notes) or "-",
    )
