"""Makes ``python -m bench`` the command of ``bench.cli``."""

from __future__ import annotations

from bench.cli import main

main()
