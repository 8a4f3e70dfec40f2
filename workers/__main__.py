"""``python -m workers --version``: which LuaJIT the workers run, for ``beespace --version``."""

from __future__ import annotations

import sys

from workers.runtime import Runtime


def main() -> int:
    """Print the version; 2 for anything but ``--version``."""
    if sys.argv[1:] != ["--version"]:
        sys.stderr.write("usage: python -m workers --version\n")
        return 2
    sys.stdout.write(Runtime.versions() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
