"""Run the command as ``python -m chainspan``."""

from __future__ import annotations

from ._cli import main

if __name__ == "__main__":
    main()
