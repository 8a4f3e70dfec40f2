"""Amounts as short texts of at most six characters or so. Pure."""

from __future__ import annotations

from typing import Final

_COUNTS: Final = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_BYTES: Final = ((1 << 40, "T"), (1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K"))
_BARS: Final = " ▁▂▃▄▅▆▇█"


def count(value: float) -> str:
    """``0``, ``950``, ``12.3k``, ``4.56M``: three digits and a power of thousand."""
    return _scaled(value, _COUNTS)


def size(value: float) -> str:
    """Bytes: ``950``, ``12.3K``, ``4.56M``, by powers of 1024."""
    return _scaled(value, _BYTES)


def span(seconds: float) -> str:
    """A length of time in its largest units: ``0.4s``, ``59s``, ``2m05s``, ``3h07m``, ``4d12h``."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f}s"
    whole = int(seconds)
    for length, unit, part, smaller in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "m"),
        (60, "m", 1, "s"),
    ):
        if whole >= length:
            large, rest = divmod(whole, length)
            return f"{large}{unit}{rest // part:02d}{smaller}"
    return f"{whole}s"


def bars(values: list[float], width: int) -> str:
    """The last ``width`` values as bars; the highest one fills its place."""
    shown = values[-width:]
    highest = max(shown, default=0.0)
    steps = len(_BARS) - 1
    drawn = [_BARS[round(value / highest * steps) if highest > 0 else 0] for value in shown]
    return "".join(drawn).rjust(width)


def _scaled(value: float, scale: tuple[tuple[float, str], ...]) -> str:
    for factor, unit in scale:
        if value >= factor * 0.9995:
            return f"{_digits(value / factor)}{unit}"
    return _digits(value) if value % 1 else f"{value:.0f}"


def _digits(value: float) -> str:
    if value >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
