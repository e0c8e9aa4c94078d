"""The size of things: what does not fit on a screen is hard to read, hence hard to get right."""

from __future__ import annotations

import ast
import tokenize
from bisect import bisect, bisect_left
from collections.abc import Iterator
from pathlib import Path
from statistics import median

SOURCE = Path(__file__).parent.parent / "src" / "chainspan"
MODULES = sorted(SOURCE.rglob("*.py"))

MODULE_LINES = 300
FUNCTION_LINES = 40
TYPICAL_FUNCTION_LINES = 10
CLASS_METHODS = 12
NESTING = 3
CALLBACK_LINES = 6

Function = ast.FunctionDef | ast.AsyncFunctionDef
NO_CODE = (
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
)
DECISIONS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Match)


def classes_of(module: Path) -> list[ast.ClassDef]:
    """Return all classes of a module."""
    return [node for node in ast.walk(tree_of(module)) if isinstance(node, ast.ClassDef)]


def tree_of(module: Path) -> ast.Module:
    """Read a module."""
    return ast.parse(module.read_text("utf-8"))


def functions_of(module: Path) -> list[Function]:
    """Return all functions of a module, methods and inner ones too."""
    return [node for node in ast.walk(tree_of(module)) if isinstance(node, Function)]


def lines_of(module: Path) -> list[int]:
    """Return the numbers of the lines that hold code: explaining is free, so comments and docstrings do not count."""
    tree = tree_of(module)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = [node.body[0] for node in ast.walk(tree) if isinstance(node, documented) and ast.get_docstring(node)]
    explained = {line for text in docstrings for line in range(text.lineno, (text.end_lineno or 0) + 1)}
    with module.open("rb") as file:
        tokens = [*tokenize.tokenize(file.readline)]
    code = {line for token in tokens if token.type not in NO_CODE for line in range(token.start[0], token.end[0] + 1)}
    return sorted(code - explained - {0})


def sizes_of(module: Path) -> list[tuple[Function, int]]:
    """Return a module's functions, each with its lines of code."""
    lines = lines_of(module)
    return [
        (node, bisect(lines, node.end_lineno or 0) - bisect_left(lines, node.lineno)) for node in functions_of(module)
    ]


def depth_of(node: ast.AST) -> int:
    """Count how deep decisions lie in one another; an ``elif`` is no deeper than its ``if``."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        is_deeper = isinstance(child, DECISIONS) and not is_elif
        deepest = max(deepest, depth_of(child) + is_deeper)
    return deepest


def methods_of(node: ast.ClassDef) -> Iterator[Function]:
    """Return a class's public methods."""
    return (method for method in node.body if isinstance(method, Function) and not method.name.startswith("_"))


def is_callback_class(node: ast.ClassDef) -> bool:
    """Tell a class that answers LangChain's callbacks: as many methods as LangChain has hooks."""
    return any(method.name == "on_chain_start" for method in methods_of(node))


def named(module: Path, node: Function | ast.ClassDef, size: int) -> str:
    """Say where something too large stands."""
    return f"{module.relative_to(SOURCE)}:{node.lineno} {node.name}: {size}"


def test_modules_are_short() -> None:
    """One concept a file."""
    sizes = {str(module.relative_to(SOURCE)): len(lines_of(module)) for module in MODULES}

    assert {name: size for name, size in sizes.items() if size > MODULE_LINES} == {}


def test_functions_are_short() -> None:
    """No function is longer than a screen."""
    sizes = [(module, *function) for module in MODULES for function in sizes_of(module)]

    assert [named(*size) for size in sizes if size[2] > FUNCTION_LINES] == []


def test_typical_function_is_short() -> None:
    """Half of the functions take less than ten lines."""
    assert median(size for module in MODULES for _, size in sizes_of(module)) < TYPICAL_FUNCTION_LINES


def test_functions_are_flat() -> None:
    """Decisions lie at most three deep in one another: return early."""
    depths = [(module, node, depth_of(node)) for module in MODULES for node in functions_of(module)]

    assert [named(*depth) for depth in depths if depth[2] > NESTING] == []


def test_classes_are_small() -> None:
    """A class has at most twelve public methods, unless it answers LangChain's callbacks."""
    sizes = [
        (module, node, len([*methods_of(node)]))
        for module in MODULES
        for node in classes_of(module)
        if not is_callback_class(node)
    ]

    assert [named(*size) for size in sizes if size[2] > CLASS_METHODS] == []


def test_callbacks_only_forward() -> None:
    """A callback passes on what it is told: what it means is read elsewhere, and tested there."""
    callbacks = [
        (module, method, len(method.body))
        for module in MODULES
        for node in classes_of(module)
        if is_callback_class(node)
        for method in methods_of(node)
        if method.name.startswith("on_")
    ]

    assert [named(*size) for size in callbacks if size[2] > CALLBACK_LINES] == []
