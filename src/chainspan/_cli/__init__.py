"""The ``chainspan`` command.

Typer and rich come with the extra ``cli``. The library itself never needs them, hence
they are imported only when the command runs, and their absence is said in a sentence.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

__all__ = ["main"]


def main() -> None:
    """Run the command line and leave with its exit code."""
    if missing := [name for name in ("typer", "rich") if find_spec(name) is None]:
        sys.stderr.write(
            f"chainspan: the command line needs what is not installed: {', '.join(missing)}.\n"
            "Install it with: pip install 'chainspan[cli]'\n"
        )
        sys.exit(1)
    from ._app import app  # noqa: PLC0415 - of the extra

    app(prog_name="chainspan")
