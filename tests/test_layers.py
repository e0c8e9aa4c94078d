"""The direction of imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
# In a process of its own: importing the linter's command line disables every logger that there is.
LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"


def test_modules_import_downwards_only() -> None:
    """The contracts of pyproject.toml are kept: layers, the one importer of LangChain, no OpenTelemetry in it."""
    done = subprocess.run(
        [sys.executable, "-c", LINT], cwd=ROOT, capture_output=True, text=True, timeout=50, check=False
    )

    assert done.returncode == 0, done.stdout
