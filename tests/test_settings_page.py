"""The page of settings names every variable that the code reads, and no other."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import chainspan
from chainspan import _semconv

ROOT = Path(__file__).parent.parent
VARIABLE = re.compile(r"\b(?:OTEL|CHAINSPAN)_[A-Z_]+[A-Z]\b")
NOT_OURS = {"OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"}  # of the SDK's that configure()'s arguments stand for
# These load a provider, in which chainspan has no say.
OF_THE_API = {"OTEL_PYTHON_METER_PROVIDER", "OTEL_PYTHON_TRACER_PROVIDER"}


def test_every_variable_is_on_the_page() -> None:
    """What the package reads by itself, and what it says that the SDK reads."""
    package = Path(inspect.getfile(chainspan)).parent
    named = {name for path in package.rglob("*.py") for name in VARIABLE.findall(path.read_text("utf-8"))}
    read = named - set(vars(_semconv)) - OF_THE_API

    page = set(VARIABLE.findall((ROOT / "docs" / "settings.md").read_text("utf-8")))

    assert page == read | NOT_OURS


def test_every_argument_is_on_the_page() -> None:
    """Those of the one call that sets up all, in their order, and those of a handler."""
    page = (ROOT / "docs" / "settings.md").read_text("utf-8")

    assert re.findall(r"^    (\w+)=", page, re.MULTILINE) == [*inspect.signature(chainspan.configure).parameters]
    parameters = [*inspect.signature(chainspan.OtelHandler.__init__).parameters][2:]
    assert [name for name in parameters if f"`{name}`" not in page] == []
