"""The sessions that need an environment of their own; everything else is in ``scripts/``.

``nox -l`` lists them. Each installs the package as a user would, from a build and not from the
source tree, so that what is tested is what is shipped.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["tests", "lowest", "bare", "core", "api"]

PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14", "3.15"]
OLDEST = PYTHONS[0]

# pyenv puts only the chosen versions on PATH; all that are installed are wanted here.
_pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
os.environ["PATH"] = os.pathsep.join(
    [
        *(str(found) for found in sorted(_pyenv.glob("versions/3.1[0-9].*/bin"))),
        os.environ["PATH"],
    ]
)

# What the group "test" has and "test-tools" has not, and the tests
# that start programs which import it, or that know spans only, hence cannot differ there.
BEYOND_CORE = (
    "anthropic",
    "benchmarks",
    "boto3",
    "fastapi",
    "google",
    "importlinter",
    "langchain",
    "langchain_anthropic",
    "langchain_openai",
    "langgraph",
    "mistralai",
    "openai",
    "opentelemetry.instrumentation",
    "rich",
    "typer",
)
PEERS = ("openinference-instrumentation-langchain", "opentelemetry-instrumentation-langchain")
README = "tests/test_readme.py::test_examples_do_what_the_page_says[README.md]"
LEFT_OUT = {
    Path("tests/cli"),
    Path("tests/exporters"),
    Path("tests/integration"),
    Path("tests/test_attributes_page.py"),
    Path("tests/test_examples.py"),
    Path("tests/test_layers.py"),
    Path("tests/test_readme.py"),
}


def tests_without(*packages: str) -> list[str]:
    """Return the test files that import none of these packages, directly or by a neighbour of theirs."""
    imports = re.compile(rf"^ *(?:from|import) (?:{'|'.join(map(re.escape, packages))})\b", re.MULTILINE)
    neighbours = re.compile(r"^from \.(\w+) import", re.MULTILINE)

    def needs(path: Path) -> bool:
        text = path.read_text("utf-8") if path.exists() else ""
        return bool(imports.search(text)) or any(
            needs(path.with_name(f"{name}.py")) for name in neighbours.findall(text)
        )

    files = [path for path in sorted(Path("tests").rglob("test_*.py")) if LEFT_OUT.isdisjoint([path, *path.parents])]
    return [str(path) for path in files if not needs(path) and not needs(path.with_name("conftest.py"))]


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run all tests against the built package."""
    session.install(".[demo,spool]", "--group", "test")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(python="3.11", venv_backend="uv")  # on 3.10, langchain-core before 1.5 loses more runs than 1.5 does
def lowest(session: nox.Session) -> None:
    """Run the tests with the oldest dependencies that pyproject.toml admits."""
    session.install("--resolution", "lowest-direct", ".[cli,langchain,spool]")
    session.install("--group", "test-tools")
    # anyio's plugin for pytest, which nothing here uses, knows this pytest only from a version that needs newer ones.
    session.run("python", "-m", "pytest", "-p", "no:anyio", *(session.posargs or tests_without(*BEYOND_CORE)))


@nox.session
def bare(session: nox.Session) -> None:
    """Show that the package does without LangChain where there is none."""
    session.install(".[spool]", "--group", "test-tools")
    session.run("python", "-m", "pytest", *(session.posargs or tests_without("langchain_core", *BEYOND_CORE)))


@nox.session
def core(session: nox.Session) -> None:
    """Show that langchain-core is enough: no `langchain`, no LangGraph."""
    session.install(".[langchain,spool]", "--group", "test-tools")
    session.run("python", "-m", "pytest", *(session.posargs or [README, *tests_without(*BEYOND_CORE)]))


@nox.session
def api(session: nox.Session) -> None:
    """Check that every public name has a complete type, as a user's type checker sees it."""
    session.install(".[demo,spool]", "basedpyright>=1.31")
    session.run("basedpyright", "--ignoreexternal", "--verifytypes", "chainspan")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure what a run costs."""
    session.install(".[demo,spool]", "--group", "test")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def peers(session: nox.Session) -> None:
    """Measure what a run costs beside other libraries, which are installed here and nowhere else."""
    session.install(".[langchain]", "langchain", "langgraph", *PEERS)
    session.run("python", "-m", "benchmarks", "--peers", *session.posargs)
