"""The public names: what `import chainspan` offers, and what it costs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import import_module, metadata
from pathlib import Path

import pytest

import chainspan

SOURCE = Path(chainspan.__file__)
NAMES = [name for name in chainspan.__all__ if name != "__version__"]


def imported_for_type_checkers() -> dict[str, str]:
    """Return each name that type checkers see, with the module that it comes from."""
    tree = ast.parse(SOURCE.read_text("utf-8"))
    below = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for part in below for node in ast.walk(part) if isinstance(node, ast.ImportFrom) and node.level]
    return {alias.name: node.module or "" for node in imports for alias in node.names}


def test_all_is_sorted() -> None:
    """The public names are listed in order and once."""
    assert chainspan.__all__ == sorted(set(chainspan.__all__))


@pytest.mark.parametrize("name", NAMES)
def test_name_is_what_its_module_calls_so(name: str) -> None:
    """A public name is loaded from the module that type checkers are told, and is public there too."""
    home = import_module(f"chainspan.{imported_for_type_checkers()[name]}")

    assert getattr(chainspan, name) is getattr(home, name)
    assert name in home.__all__


def test_type_checkers_see_every_name() -> None:
    """No name is public at run time only, nor for type checkers only."""
    assert sorted(imported_for_type_checkers()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_public_name_is_documented(name: str) -> None:
    """Every public name has a docstring of its own."""
    assert getattr(chainspan, name).__doc__


def test_dir_lists_the_public_names() -> None:
    """An interactive user is offered all names, also those that are not loaded yet."""
    assert dir(chainspan) == chainspan.__all__


def test_misspelt_name_is_an_attribute_error() -> None:
    """A name that does not exist is refused as by any module."""
    with pytest.raises(AttributeError, match=re.escape("module 'chainspan' has no attribute 'OtelHandlr'")):
        _ = chainspan.OtelHandlr  # type: ignore[attr-defined]


def test_version_is_that_of_the_distribution() -> None:
    """The version is written once, and the build reads it where the package does."""
    assert chainspan.__version__ == metadata.version("chainspan")


def test_import_loads_nothing_that_costs() -> None:
    """Importing the package leaves LangChain, the exporters and the terminal tools alone (pains #64)."""
    code = "import chainspan, sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    costly = {"google", "grpc", "langchain_core", "langgraph", "langsmith", "opentelemetry", "pydantic", "requests"}
    costly |= {"httpx", "rich", "typer"}

    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert costly.isdisjoint(run.stdout.split())


def test_what_is_no_function_is_not_carried() -> None:
    """What a call has returned would fail in a thread, where maybe nobody looks at the result."""
    with pytest.raises(
        chainspan.ConfigurationError, match=re.escape("carry_context(function): expected a function, got 3")
    ):
        chainspan.carry_context(len("abc"))  # type: ignore[arg-type]
