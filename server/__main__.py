"""``python -m server``: the same as the command ``beespace``."""

from server.cli import main

if __name__ == "__main__":
    main()
