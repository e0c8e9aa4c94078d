"""What `import chainspan` costs, each time in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from statistics import median, quantiles
from textwrap import dedent
from typing import NamedTuple

__all__ = ["HEAVY", "Import", "heavy", "imported"]

HEAVY = (
    "grpc",
    "requests",
    "tenacity",
    "google.protobuf",
    "opentelemetry.exporter",
    "opentelemetry.proto",
    "langgraph",
)
_TARGET_MS = 60.0
_PROGRAM = """
    import json, sys, time, tracemalloc
    class Absent:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in {absent!r}:
                raise ModuleNotFoundError(name, name=name)
    sys.meta_path.insert(0, Absent())
    import pydantic, opentelemetry.sdk.trace, opentelemetry.sdk.trace.export
    pydantic.BaseModel, pydantic.TypeAdapter
    {before}
    known = set(sys.modules)
    if {memory}:
        tracemalloc.start()
    began = time.process_time_ns()
    {imports}
    took = time.process_time_ns() - began
    held = tracemalloc.get_traced_memory()[0] if {memory} else 0
    print(json.dumps([took, held, sorted(set(sys.modules) - known)]))
"""
_LANGCHAIN = ("langchain_core", "langchain", "langgraph", "langsmith")
_LOADED = "from langchain_core.callbacks import CallbackManager; from langchain_core.runnables import RunnableLambda"


class _Case(NamedTuple):
    """An import, what is loaded before it, and what cannot be."""

    name: str
    imports: str
    before: str = ""
    absent: tuple[str, ...] = ()


_CASES = (
    _Case("import chainspan", "import chainspan"),
    _Case("OtelHandler, no LangChain", "from chainspan import OtelHandler", absent=_LANGCHAIN),
    _Case("every public name, no LangChain", "from chainspan import *", absent=_LANGCHAIN),
    _Case("OtelHandler, LangChain loaded", "from chainspan import OtelHandler", before=_LOADED),
)


@dataclass(frozen=True, kw_only=True)
class Import:
    """What an import takes over OpenTelemetry's SDK and pydantic.

    Attributes:
        heavy: Those of the modules that should not be loaded which are.
    """

    name: str
    ms: float
    low_ms: float
    high_ms: float
    kilobytes: float
    modules: int
    heavy: list[str]
    target_ms: float = _TARGET_MS


def imported(processes: int = 9) -> list[Import]:
    """Measure the imports, in so many processes each."""
    return [_measured(case, processes) for case in _CASES]


def heavy() -> dict[str, list[str]]:
    """Return what each of the imports loads that none of them should; one process each."""
    return {case.name: _heavy(_run(case, memory=False)[2]) for case in _CASES}


def _measured(case: _Case, processes: int) -> Import:
    _, held, modules = _run(case, memory=True)
    took = sorted(_run(case, memory=False)[0] / 1e6 for _ in range(processes))
    low, _, high = quantiles(took, n=4)
    return Import(
        name=case.name,
        ms=median(took),
        low_ms=low,
        high_ms=high,
        kilobytes=held / 1024,
        modules=len(modules),
        heavy=_heavy(modules),
    )


def _heavy(modules: list[str]) -> list[str]:
    return sorted({name for name in HEAVY for module in modules if module.startswith(name)})


def _run(case: _Case, *, memory: bool) -> tuple[int, int, list[str]]:
    program = dedent(_PROGRAM).format(imports=case.imports, before=case.before, absent=set(case.absent), memory=memory)
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    took, held, modules = json.loads(run.stdout)
    return took, held, modules
