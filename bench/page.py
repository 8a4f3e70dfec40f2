"""The report: one HTML page with tables and pictures, the figures as JSON, a table for a README.

    report.html   complete in itself: no other file, no script, nothing from the network
    report.json   every figure
    figures.md    the promises as Markdown, with date, machine, versions and command

``bench.cli`` calls :func:`write`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from bench import outcome, pictures
from bench.run import Result, promises
from bench.table import Table

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; margin: 1em 0; font-size: 13px; }
caption { text-align: left; font-weight: bold; padding: .3em 0; }
th, td { padding: .2em .7em; border-bottom: 1px solid #ddd; text-align: right; }
th.l, td.l { text-align: left; }
.missed { color: #a00; font-weight: bold; }
.note { color: #555; font-size: 13px; }
svg { max-width: 100%; height: auto; }
"""


def write(folder: Path, command: str, document: Mapping[str, Any], found: Sequence[Result]) -> None:
    """All three files; the folder is made when it is missing. OSError when that cannot be."""
    folder.mkdir(parents=True, exist_ok=True)
    page = html(_heading(command, document), found)
    folder.joinpath("report.html").write_text(page, encoding="utf-8")
    folder.joinpath("report.json").write_text(json.dumps(document, indent=2) + "\n")
    figures = markdown(_heading(f"`{command}`", document), found)
    folder.joinpath("figures.md").write_text(figures, encoding="utf-8")


def html(heading: str, found: Sequence[Result]) -> str:
    """The page."""
    body = [f"<h1>beespace: load tests</h1><p>{escape(heading)}</p>"]
    body.append(_html_table(outcome.promises(promises(found))))
    for result in found:
        body += _section(result)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>beespace: load tests</title><style>{_STYLE}</style></head>\n<body>"
        + "\n".join(body)
        + "</body></html>\n"
    )


def markdown(heading: str, found: Sequence[Result]) -> str:
    """The promises, for a README."""
    return f"{heading}\n\n{outcome.promises(promises(found)).markdown()}\n"


def _heading(command: str, document: Mapping[str, Any]) -> str:
    machine = document["machine"]
    servers = [f"{name} ({version})" for name, version in document["versions"].items()]
    servers += [] if document["reference"] else ["nothing"]
    return (
        f"{command}, {machine['date'][:10]}: {machine['cpus']} cores of {machine['cpu']}, "
        f"Linux {machine['kernel']}; {' beside '.join(servers)}."
    )


def _section(result: Result) -> Iterator[str]:
    yield f"<h2>{escape(result.entry.name)}</h2><p>{escape(result.entry.about)}</p>"
    if result.outcome is None:
        text = result.failure or result.left_out or ""
        yield f'<p class="missed">not measured: {escape(text)}</p>'
        return
    for table in result.outcome.tables:
        yield _html_table(table)
    for curve in result.outcome.curves:
        yield pictures.svg(curve)
    growth = outcome.slopes(result.outcome.curves)
    if growth is not None:
        yield _html_table(growth)
    for note in result.outcome.notes:
        yield f'<p class="note">{escape(note)}</p>'


def _html_table(table: Table) -> str:
    lines = [f"<table><caption>{escape(table.title)}</caption><tr>"]
    lines += [_cell("th", text, at < table.left) for at, text in enumerate(table.columns)]
    for row in table.rows:
        lines.append("</tr><tr>")
        lines += [_cell("td", text, at < table.left) for at, text in enumerate(row)]
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in table.notes)
    return "".join(lines) + "</tr></table>" + notes


def _cell(kind: str, text: str, left: bool) -> str:
    classes = [name for name, on in (("l", left), ("missed", text == "NOT MET")) if on]
    attribute = f' class="{" ".join(classes)}"' if classes else ""
    return f"<{kind}{attribute}>{escape(text)}</{kind}>"
