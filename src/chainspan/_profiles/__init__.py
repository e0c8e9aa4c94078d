"""What a span says about a run: one profile per set of attribute names.

``compat`` writes the GenAI conventions 1.41, which backends read today; ``latest`` their
next version; ``openinference`` the names of Arize. They differ in attributes alone: the
spans, their number, names, kinds and nesting are the same.
"""

from __future__ import annotations

import os
from typing import Final, Protocol

from opentelemetry.trace import SpanKind

from .._content import Gate
from .._errors import ConfigurationError
from .._model import AttributeValue, RunEnd, RunFailure, RunStart
from ._compat import COMPAT
from ._events import record_evaluation
from ._latest import LATEST
from ._metrics import METERED
from ._openinference import OPENINFERENCE
from ._pricing import ModelCall, Price, cost_of
from ._receivers import meter_provider
from ._report import Ended, Report, Signals
from ._session import keep_session, session

__all__ = [
    "METERED",
    "OPT_IN_VARIABLE",
    "Ended",
    "ModelCall",
    "Price",
    "Profile",
    "Report",
    "Signals",
    "cost_of",
    "keep_session",
    "meter_provider",
    "profile",
    "record_evaluation",
    "session",
]

OPT_IN_VARIABLE: Final = "OTEL_SEMCONV_STABILITY_OPT_IN"
"""Chooses the profile where no argument does: ``gen_ai_latest_experimental`` means ``latest``."""


class Profile(Protocol):
    """Names and attributes of the spans of one pipeline.

    Attributes:
        name: What it is chosen by.
        schema_url: The schema of its names, where one is published.
        cost_name: What backends read a call's cost from, beside ``chainspan.cost``, where there is such a name.
    """

    @property
    def name(self) -> str:
        """Return what it is chosen by."""

    @property
    def schema_url(self) -> str | None:
        """Return the schema of its names, where one is published."""

    @property
    def cost_name(self) -> str | None:
        """Return what backends read a call's cost from, where there is such a name."""

    def name_and_kind(self, run: RunStart) -> tuple[str, SpanKind]:
        """Return the name and the kind of the run's span."""

    def start(self, run: RunStart, gate: Gate) -> dict[str, AttributeValue]:
        """Return what is known when the run starts, identity included: samplers see it."""

    def end(self, run: RunStart, end: RunEnd, gate: Gate) -> dict[str, AttributeValue]:
        """Return what is known when the run has ended well."""

    def failure(self, run: RunStart, failure: RunFailure, gate: Gate) -> dict[str, AttributeValue]:
        """Return what is known when the run has raised."""


_PROFILES: Final[dict[str, Profile]] = {item.name: item for item in (COMPAT, LATEST, OPENINFERENCE)}


def profile(name: object = None) -> Profile:
    """Return a profile by its name; None: as the environment says, else ``compat``.

    Raises:
        ConfigurationError: If there is no profile of that name.
    """
    if name is None:
        chosen = {item.strip().lower() for item in os.environ.get(OPT_IN_VARIABLE, "").split(",")}
        return LATEST if "gen_ai_latest_experimental" in chosen else COMPAT
    if not isinstance(name, str) or name not in _PROFILES:
        raise ConfigurationError("profile", expected=f"one of {', '.join(_PROFILES)}", got=name)
    return _PROFILES[name]
