"""What `import chainspan` costs, each time in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from statistics import median, quantiles
from textwrap import dedent

__all__ = ["HEAVY", "Import", "imported"]

HEAVY = ("grpc", "requests", "langchain_core", "langgraph", "opentelemetry.exporter")
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
_CASES = (
    ("import chainspan", "import chainspan", "", ()),
    (
        "every public name, no LangChain",
        "from chainspan import *",
        "",
        ("langchain_core", "langchain", "langgraph", "langsmith"),
    ),
    (
        "OtelHandler, LangChain loaded",
        "from chainspan import OtelHandler",
        "from langchain_core.callbacks import CallbackManager; from langchain_core.runnables import RunnableLambda",
        (),
    ),
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
    return [_measured(*case, processes) for case in _CASES]


def _measured(name: str, imports: str, before: str, absent: tuple[str, ...], processes: int) -> Import:
    program = dedent(_PROGRAM)
    held, modules = _run(program.format(imports=imports, before=before, absent=absent, memory=True))[1:]
    timed = program.format(imports=imports, before=before, absent=absent, memory=False)
    took = sorted(_run(timed)[0] / 1e6 for _ in range(processes))
    low, _, high = quantiles(took, n=4)
    heavy = sorted({module for module in modules if module.startswith(HEAVY)})
    return Import(
        name=name,
        ms=median(took),
        low_ms=low,
        high_ms=high,
        kilobytes=held / 1024,
        modules=len(modules),
        heavy=heavy,
    )


def _run(program: str) -> tuple[int, int, list[str]]:
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    took, held, modules = json.loads(run.stdout)
    return took, held, modules
