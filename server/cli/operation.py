"""The commands for a running server: ``status``, ``stop`` and what else its supervisor obeys.

:mod:`server.cli.command` puts the functions here into the command line. Each finds the server by
its run directory, as ``beespace connect`` does, and speaks to the supervisor alone, so all of them
work while workers hang. The names of the functions are those of the commands.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Final

import typer

from server.cli import asking, board
from server.cli.asking import ANSWER_SECONDS, Conversation
from server.errors import ExitStatus, ServerError

SPARE_SECONDS: Final = 5.0
"""What ``stop`` waits on top of the time that the server says it may take."""

_RELOADED: Final = {
    "live": "in force at once",
    "fresh": "in force in new workers",
    "needs_restart": "needs a restart of the server",
}

RunDir = Annotated[
    str | None,
    typer.Option(metavar="DIR", help="Folder of the server's pid file.", envvar="BEESPACE_RUN_DIR"),
]
Name = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Name of the server. Default: default.", envvar="BEESPACE_NAME"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def status(run_dir: RunDir = None, name: Name = None, as_json: AsJson = False) -> None:
    """Show a running server, its acceptor and workers. Exit code 3: no server runs."""
    with Conversation(asking.folder(run_dir, name)) as server:
        answer = server.ask("status", patience=ANSWER_SECONDS)
    if as_json:
        show(answer)
    else:
        for line in board.lines(answer):
            print(line)


def stop(
    run_dir: RunDir = None,
    name: Name = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="How long to wait. Default: what the server may take, and 5 seconds.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Stop a running server and wait until it is gone. Exit code 1: it is not; 3: none runs."""
    with Conversation(asking.folder(run_dir, name)) as server:
        patience = ANSWER_SECONDS if timeout is None else max(timeout, 0.1)
        answer = server.ask("stop", patience=patience)
        patience = float(answer["within"]) + SPARE_SECONDS if timeout is None else timeout
        if not server.wait_gone(patience):
            raise ServerError(f"process {server.pid} still runs after {patience:g} s")
        if as_json:
            show({"pid": server.pid, "stopped": True})
        else:
            print(f"stopped process {server.pid}")


def reload(run_dir: RunDir = None, name: Name = None, as_json: AsJson = False) -> None:
    """Read the settings again, and let new workers load the application; old ones drain."""
    answer = told("reload", run_dir, name, patience=None)
    if as_json:
        show(answer)
        return
    print(f"reloaded, {answer['workers']} new workers")
    for key, text in _RELOADED.items():
        if answer[key]:
            print(f"{text}: {', '.join(answer[key])}")


def restart_workers(run_dir: RunDir = None, name: Name = None, as_json: AsJson = False) -> None:
    """Put new workers in the place of all old ones, which drain."""
    answer = told("restart-workers", run_dir, name, patience=None)
    _say(answer, f"{answer['workers']} new workers", as_json=as_json)


def workers(
    count: Annotated[
        str,
        typer.Argument(metavar="N|+N|-N", help="How many, or how many more or fewer."),
    ],
    run_dir: RunDir = None,
    name: Name = None,
    as_json: AsJson = False,
) -> None:
    """Have so many workers, or so many more or fewer: new ones start, the last ones drain."""
    answer = told("workers", run_dir, name, patience=None, arguments=_resized(count))
    _say(answer, _counted(answer["workers"]), as_json=as_json)


def _resized(count: str) -> dict[str, int]:
    """What to ask of the server; ServerError for what is no number."""
    found = re.fullmatch(r"([+-]?)([1-9][0-9]{0,8})", count, re.ASCII)
    if found is None:
        raise ServerError(
            f"workers: got {count!r}, expected a number of workers, such as 4, or of more or fewer "
            "ones, such as +1 or -1",
            exit_code=ExitStatus.SETTINGS,
        )
    return {"by": int(count)} if found[1] else {"to": int(count)}


def _counted(workers: int) -> str:
    return "1 worker" if workers == 1 else f"{workers} workers"


def reopen_logs(run_dir: RunDir = None, name: Name = None, as_json: AsJson = False) -> None:
    """Let all processes open the log file anew, after it was renamed."""
    answer = told("reopen-logs", run_dir, name, patience=ANSWER_SECONDS)
    file = answer["file"]
    line = "the log has no file: nothing to do" if file is None else f"reopened {file}"
    _say(answer, line, as_json=as_json)


def told(
    command: str,
    run_dir: str | None,
    name: str | None,
    *,
    patience: float | None,
    arguments: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The answer of the server that is meant."""
    with Conversation(asking.folder(run_dir, name)) as server:
        return server.ask(command, arguments, patience=patience)


def _say(answer: dict[str, Any], line: str, *, as_json: bool) -> None:
    if as_json:
        show(answer)
    else:
        print(line)


def show(answer: Any) -> None:
    """Print an answer as JSON."""
    print(json.dumps(answer, indent=2, ensure_ascii=False))
