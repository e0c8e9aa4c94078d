"""Send the readable trace where you want it: a stream, a file, a logger, a function."""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path

from langchain_core.runnables import RunnableLambda

from chainspan import ConsoleHandler

logging.basicConfig(format="%(name)s %(levelname)s %(message)s", stream=sys.stdout, level=logging.INFO)

double = RunnableLambda(lambda number: number * 2, name="double")

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "trace.txt")
    lines: list[str] = []
    handlers = [
        ConsoleHandler(),  # standard output, in colour on a terminal
        ConsoleHandler(sys.stderr, color=False),
        ConsoleHandler(path),
        ConsoleHandler(logging.getLogger("trace")),
        ConsoleHandler(lines.append),
    ]

    double.invoke(21, config={"callbacks": handlers})

    for handler in handlers:
        handler.flush()
    print(f"The file has {len(path.read_text().splitlines())} lines, and the function was called {len(lines)} times.")
