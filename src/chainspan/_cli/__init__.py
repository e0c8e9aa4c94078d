"""The ``chainspan`` command.

Typer and rich come with the extra ``cli``. The library itself never needs them, hence
they are imported only when the command runs, and their absence is said in a sentence.
"""

from __future__ import annotations

import sys

__all__ = ["main"]

_EXTRAS = frozenset({"typer", "rich"})

INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C ended: 128 + SIGINT


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        from ._app import app  # noqa: PLC0415 - absent without the extra
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        needs = f"chainspan: the command line needs {error.name}, which is not installed."
        sys.stderr.write(f"{needs}\nInstall it with: pip install 'chainspan[cli]'\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    app(prog_name="chainspan")
