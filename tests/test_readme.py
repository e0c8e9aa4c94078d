"""The examples in README.md and docs/: run as a reader would run them, their output compared.

A page runs from top to bottom in a process of its own, for its examples set up what a process
has once. Each ```text block shows what was printed since the last one; a line ``...`` in it stands
for any lines, and times may differ.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from tests._warnings import STRICT
from typing_extensions import override

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]*)[^)]*\)")
LINKING = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [
    page
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    if "```python" in page.read_text("utf-8")
]


class Collector(HTTPServer):
    """A collector that takes what it is sent and remembers where to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.paths: list[str] = []


class Receiver(BaseHTTPRequestHandler):
    """Answers an export with success."""

    def do_POST(self) -> None:
        """Take one export."""
        assert isinstance(self.server, Collector)
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.paths.append(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    @override
    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector on loopback."""
    with Collector() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def code_of(page: str) -> str:
    """Keep a page's Python, each line where it stands, so that a traceback names the page's line."""
    lines = [""] * (page.count("\n") + 1)
    for block in BLOCK.finditer(page):
        if block[1] == "python":
            first = page.count("\n", 0, block.start(2))
            code = block[2].splitlines()
            lines[first : first + len(code)] = code
    return "\n".join(lines)


def output_of(page: str) -> str:
    """Make a pattern of what a page says that it prints."""
    shown = "".join(block[2] for block in BLOCK.finditer(page) if block[1] == "text")
    pattern = re.sub(r"(?m)^\\\.\\\.\\\.\n", "(?:.*\n)*?", re.escape(shown).replace("\\\n", "\n"))
    return re.sub(r"\\\[[\d.\\]+m?s\\\]", r"\\[[\\d.]+m?s\\]", pattern)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_do_what_the_page_says(page: Path, collector: Collector, tmp_path: Path) -> None:
    """The examples run without an error or a warning and print what is shown."""
    text = page.read_text("utf-8")
    script = tmp_path / page.name
    script.write_text(code_of(text), "utf-8")
    environment = os.environ | {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
        "PYTHON_THREAD_INHERIT_CONTEXT": "0",  # the pages show what a bare thread is without
    }

    run = subprocess.run(
        [sys.executable, *STRICT, script], check=False, capture_output=True, text=True, env=environment
    )

    if run.stderr:
        pytest.fail(run.stderr, pytrace=False)
    assert re.fullmatch(output_of(text), run.stdout), run.stdout
    assert set(collector.paths) == ({"/v1/traces", "/v1/metrics"} if "configure()" in code_of(text) else set())


@pytest.mark.parametrize("page", LINKING, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """What a page links to is there, and in the source distribution too."""
    links = [link for link in LINK.findall(page.read_text("utf-8")) if "://" not in link]
    paths = [(page.parent / link).resolve() for link in links if link]

    assert [str(path) for path in paths if not path.exists()] == []
    tops = {path.relative_to(ROOT).parts[0] for path in paths}
    assert [top for top in tops if f'"/{top}"' not in (ROOT / "pyproject.toml").read_text("utf-8")] == []


def test_readme_is_short_and_begins_with_code() -> None:
    """A reader sees code within ten lines, and is through in 150."""
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()

    assert "```python" in lines[:10]
    assert len(lines) <= 150
