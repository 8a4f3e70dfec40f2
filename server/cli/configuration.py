"""``beespace check``, ``config show`` and ``config schema``: settings, seen before they are used.

:mod:`server.cli.command` puts the functions here into the command line. What is wrong is told by
:class:`server.errors.SettingsError`, as when the server starts.
"""

from __future__ import annotations

import json
import os
from typing import Annotated

import typer

from server.cli.asking import ANSWER_SECONDS
from server.cli.operation import AsJson, Name, RunDir, show, told
from server.errors import ExitStatus, SettingsError

config = typer.Typer(help="The settings that hold, and what a file of them may have.")


def check(
    file: Annotated[str, typer.Argument(metavar="CONFIG", help="YAML settings.")],
    as_json: AsJson = False,
) -> int:
    """Look for mistakes in a file of settings, as a server does that starts with it."""
    from server.settings import load

    try:
        load({"config": file}, os.environ)
    except SettingsError as error:
        if not as_json:
            raise
        show({"ok": False, "problems": list(error.lines)})
        return ExitStatus.SETTINGS
    if as_json:
        show({"ok": True, "problems": []})
    else:
        print(f"{file}: no mistakes")
    return ExitStatus.OK


@config.command("show")
def show_config(
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="[CONFIG]",
            help="YAML settings. Without it: what is in force in the running server.",
            show_default=False,
        ),
    ] = None,
    run_dir: RunDir = None,
    name: Name = None,
    as_json: AsJson = False,
) -> None:
    """Show settings: of the running server, or what a file and the environment make of them."""
    if file is None:
        answer = told("config", run_dir, name, patience=ANSWER_SECONDS)
        shown, whence = answer["values"], {}
    else:
        from server import inventory
        from server.settings import load, origins

        flags = {"config": file}
        shown = inventory.shown(load(flags, os.environ))
        whence = origins(flags, os.environ)
    if as_json:
        keys = {key: {"value": value} for key, value in shown.items()}
        show({key: {**told_, **_origin(whence, key)} for key, told_ in keys.items()})
        return
    for key, value in shown.items():
        origin = whence.get(key)
        text = json.dumps(value, ensure_ascii=False)
        print(f"{key}: {text}" + (f"  # {origin}" if origin else ""))


@config.command("schema")
def show_schema() -> None:
    """Print the JSON Schema of the settings' file, for editors."""
    from server import inventory

    show(inventory.schema())


def _origin(whence: dict[str, str], key: str) -> dict[str, str]:
    return {"origin": whence[key]} if key in whence else {}
