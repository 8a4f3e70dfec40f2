"""The command line of ``beespace``: reads it, prints errors as one line, exits.

All values reach :mod:`server.settings` as text, so a wrong flag reads like a wrong environment
variable or a wrong line in the file. Exit codes are those of :class:`server.errors.ExitStatus`.
"""

from __future__ import annotations

import enum
import errno
import io
import os
import sys
from typing import Annotated, Any, Final, NoReturn

import typer

from server.cli import configuration, ending, operation, sessions, stats, watching
from server.errors import ExitStatus, ServerError

app = typer.Typer(
    name="beespace",
    help="A multi-core application server in Lua that speaks Tarantool's binary protocol.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

# Newer versions of typer carry click inside, older ones import it: its error class has no name that
# is the same in both.
_USAGE_ERROR: Final[Any] = typer.BadParameter.__base__

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What an output answers that takes no more."""


def run() -> NoReturn:
    """Run the command and exit with its code."""
    command = typer.main.get_command(app)
    _write_anything()
    try:
        status = command.main(prog_name="beespace", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except _USAGE_ERROR as error:
        # typer prints a usage block of several lines; every error of ours is one line.
        _complain(error.format_message())
        sys.exit(ExitStatus.SETTINGS)
    except ServerError as error:
        _complain(*error.lines)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.filename is not None or error.errno not in _FULL:
            raise
        _complain(f"cannot write to the standard output: {error.strerror}")
        # What is left of it would be written at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitStatus.FAILED)
    sys.exit(status if isinstance(status, int) else ExitStatus.OK)


def _write_anything() -> None:
    """Let characters that the terminal's encoding has not be written as escapes."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _complain(*lines: str) -> None:
    for line in lines:
        print(f"beespace: {line}", file=sys.stderr)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print versions of beespace, LuaJIT and Python.")
    ] = False,
) -> None:
    if version:
        from server.version import version_line

        print(version_line())
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def serve(
    application: Annotated[
        str | None, typer.Argument(metavar="[APP.lua]", help="Lua file that every worker runs.")
    ] = None,
    config: Annotated[str | None, typer.Option(metavar="FILE", help="YAML settings.")] = None,
    listen: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URI",
            help="host:port, [ipv6]:port, port (loopback only), *:port or unix/:/path; "
            "may be repeated. Default 127.0.0.1:3301.",
        ),
    ] = None,
    console: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URI",
            help="Where admin consoles are listened for, as for --listen; may be repeated. "
            "Default: console.sock in the run directory.",
        ),
    ] = None,
    workers: Annotated[
        str | None, typer.Option(metavar="N|auto", help="Worker processes; auto: one a CPU.")
    ] = None,
    max_sessions: Annotated[
        str | None, typer.Option(metavar="N", help="Sessions at one time. Default 65536.")
    ] = None,
    run_dir: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder of the pid file.")
    ] = None,
    data_dir: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder of what outlives the server.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the server. Default: default.")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option(metavar="LEVEL", help="fatal ... debug, or 0 to 7.")
    ] = None,
    log_format: Annotated[str | None, typer.Option(metavar="plain|json", help="Log lines.")] = None,
) -> None:
    """Start a server and stay in the foreground until SIGTERM or SIGINT."""
    from server.settings import load
    from server.supervisor import Supervisor

    flags = {
        "app": application,
        "config": config,
        "listen": listen,
        "console": console,
        "workers": workers,
        "max_sessions": max_sessions,
        "run_dir": run_dir,
        "data_dir": data_dir,
        "name": name,
        "log_level": log_level,
        "log_format": log_format,
    }
    given = {flag: value for flag, value in flags.items() if value is not None}
    Supervisor(lambda: load(given, os.environ)).run()


app.command()(operation.status)
app.command()(operation.stop)
app.command()(operation.reload)
app.command()(operation.restart_workers)
# Or "-1" would be an option that nobody knows.
app.command(context_settings={"ignore_unknown_options": True})(operation.workers)
app.command()(operation.reopen_logs)
app.command()(sessions.sessions)
app.command()(ending.kill)
app.command()(ending.cancel)
app.command()(stats.stats)
app.command()(watching.top)
app.command()(configuration.check)
app.add_typer(configuration.config, name="config")


class Prompt(enum.StrEnum):
    """How the terminal asks for a statement."""

    BEESPACE = "beespace"
    BEE = "bee"
    TARANTOOL = "tarantool"


@app.command()
def connect(
    uri: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[URI]",
            help="unix/:/path, /path, host:port, [ipv6]:port, port, or user:password@ before them: "
            "a console or a binary port. Default: the console of the running server.",
            show_default=False,
        ),
    ] = None,
    run_dir: Annotated[
        str | None,
        typer.Option(
            metavar="DIR", help="Folder of the server's pid file.", envvar="BEESPACE_RUN_DIR"
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Name of the server. Default: default.", envvar="BEESPACE_NAME"
        ),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(
            metavar="USER",
            help="Whom to log in as at a binary port. The password is the one in the URI, "
            "or in BEESPACE_PASSWORD, or asked for.",
        ),
    ] = None,
    prompt: Annotated[
        Prompt, typer.Option(help="What the terminal shows before a statement.")
    ] = Prompt.BEESPACE,
    expression: Annotated[
        str | None,
        typer.Option(
            "--eval",
            metavar="EXPR",
            help="Run one statement, print its answer and leave. Without it, and when the input is "
            "no terminal, all of the input is that statement.",
        ),
    ] = None,
) -> int:
    """Talk to a server's console. Exit codes: 0, 2 no connection, 3 the answer is an error."""
    from server.client import connect as client

    if uri and len(uri) > 1:
        # Not shown: there may be a password in what was taken for a second one.
        raise ServerError("expected one URI, got more", exit_code=ExitStatus.SETTINGS)
    wish = client.Wish(
        uri=uri[0] if uri else None,
        run_dir=run_dir,
        name=name,
        user=user,
        prompt=prompt.value,
        expression=expression,
    )
    return client.run(wish)
