"""What goes into ``callbacks=[...]``."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import BuiltinMethodType, MethodType, TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from opentelemetry import trace
from opentelemetry.metrics import MeterProvider
from typing_extensions import Self, override

from . import _pipeline, _word
from ._console_profile import ConsoleProfile
from ._content import ContentPolicy, Gate, ShownGate, asks_for_content_in_events
from ._delivery import Delivery, aflush_all
from ._errors import ConfigurationError, require, require_flags
from ._model import RunKind, RunStart
from ._pipeline import Pipeline, Target
from ._profiles import Price, Profile, Report, Signals
from ._profiles import profile as profile_named
from ._recording import Recording
from ._sink import GlobalPipeline, Sink
from .exporters import ConsoleProcessor
from .langchain import CallbackAdapter, as_tracers, current_run_id, graph_base, js_form

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider

__all__ = ["ConsoleHandler", "OtelHandler"]

H = TypeVar("H", bound="OtelHandler")

_GRAPH_CLASS = "_class_for_graphs"
_OF_THIS_PROCESS = frozenset({"_arguments", "_sink", "_noted"})
_STEPS = frozenset(RunKind) - {RunKind.PROMPT, RunKind.PARSER, RunKind.CHAIN}
_MODELS = frozenset({RunKind.LLM, RunKind.CHAT, RunKind.EMBEDDINGS})

_word.set_current_run(current_run_id)


class OtelHandler(CallbackAdapter):
    """Turns every step of a chain, an agent or a graph into a nested OpenTelemetry span.

    Pass it where you invoke, or bind it to a component; both may be done in one call.
    Cheap to make for each call, and safe to share between threads and tasks.

    With no target it feeds the global TracerProvider, and its spans are current while their
    runs are open: HTTP and database spans nest below them. With targets it has a pipeline
    of its own, which only its own runs reach; a root there has no parent but a link to the
    span that was current.

    Args:
        targets: Processors and exporters of a pipeline of the handler's own. They are kept
            from one another's faults. Exporters get a batching worker, one for each exporter
            however many handlers share it.
        tracer_provider: Feed this provider instead of the global one.
        content: Whether prompts, answers, arguments and the like are recorded: True, False,
            or a `ContentPolicy`. None: what ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT``
            says, else not.
        profile: The attribute names: ``compat``, ``latest`` or ``openinference``. None: what
            ``OTEL_SEMCONV_STABILITY_OPT_IN`` says, else ``compat``.
        spans: Which runs get a span: ``all``; ``steps`` leaves out plain chains, prompts and
            parsers; ``llm`` keeps model calls alone. The others hand their children up.
        metrics: Whether the GenAI metrics are recorded, of sampled runs and of others, each run
            once with a MeterProvider however many handlers report it. None: yes, unless
            ``CHAINSPAN_METRICS`` is ``false``. Without a MeterProvider nothing is.
        meter_provider: Record to this provider instead of the global one.
        price: Called with a `ModelCall` for each model call that was billed; returns what it
            cost, or None. Recorded on the call's span as ``chainspan.cost``, and as ``gen_ai.usage.cost``
            or ``llm.cost.total``, which backends show as US dollars; summed up on the root.
        events: Whether each model call gives the event ``gen_ai.client.inference.operation.details``
            by the Logs API. None: what ``OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT`` says, else whether the
            variable of ``content`` is ``EVENT_ONLY`` or ``SPAN_AND_EVENT``. False: no event at all, where
            the profile ``latest`` would tell of exceptions by events too.
        logger_provider: Emit events to this provider instead of the global one.

    Raises:
        ConfigurationError: An argument cannot be used.
    """

    _hears_of_graphs = False
    _arguments: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make a handler that LangGraph reports interrupts to as well, where it is in use."""
        made = object.__new__(_for_graphs(cls))
        made._arguments = args, kwargs
        return made

    def __init__(  # noqa: PLR0913  each stands for itself, and few are ever given together
        self,
        *targets: Target,
        tracer_provider: trace.TracerProvider | None = None,
        content: bool | ContentPolicy | None = None,
        profile: str | None = None,
        spans: str = "all",
        metrics: bool | None = None,
        meter_provider: MeterProvider | None = None,
        price: Price | None = None,
        events: bool | None = None,
        logger_provider: LoggerProvider | None = None,
    ) -> None:
        _check(targets, tracer_provider, price)
        require_flags("OtelHandler", may_be_none=True, metrics=metrics, events=events)
        _check_providers(tracer_provider, meter_provider, logger_provider)
        chosen = profile_named(profile)
        signals = Signals.choose(
            chosen,
            metrics=metrics,
            events=events,
            events_have_content=asks_for_content_in_events(),
            meter_provider=meter_provider,
            logger_provider=logger_provider,
        )
        gate = Gate.of(content)
        recording = Recording(
            profile=chosen, gate=gate, keeps=_preset(spans), price=price, report=_report(chosen, gate, content, signals)
        )
        if targets:
            pipeline = _pipeline.apart(targets, chosen.schema_url)
            super().__init__(Sink(pipeline, recording))
        elif tracer_provider is not None:
            pipeline = _pipeline.of_provider(tracer_provider, chosen.schema_url)
            super().__init__(Sink(pipeline, recording))
        else:
            super().__init__(Sink(GlobalPipeline(chosen.schema_url), recording))

    def flush(self, timeout_s: float = 10.0) -> Delivery:
        """Export what has ended, and return within the timeout what became of it.

        The answer is true only if everything arrived, as far as anybody can tell.
        """
        pipeline = self._pipeline
        return Delivery() if pipeline is None else pipeline.flush(timeout_s)

    async def aflush(self, timeout_s: float = 10.0) -> Delivery:
        """Do what `flush` does, without blocking the event loop."""
        pipeline = self._pipeline
        return Delivery() if pipeline is None else await aflush_all(pipeline.feeds(), timeout_s)

    def in_flight(self) -> list[str]:
        """Return the names of the runs that are open now in the handler's pipeline, oldest first."""
        pipeline = self._pipeline
        runs = [] if pipeline is None else pipeline.lifecycle.in_flight()
        return [run.start.name for run in runs if run.start is not None]

    def __enter__(self) -> Self:
        """Return the handler."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Flush, so that nothing is pending when a short-lived process is frozen or ends."""
        self.flush()

    def __copy__(self) -> Self:
        """Return the handler itself: it stands for its pipeline."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return the handler itself: configs are copied deep, pipelines are not."""
        return self

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        """Let another process make the handler from the same arguments: it has pipelines of its own."""
        added = {name: value for name, value in vars(self).items() if name not in _OF_THIS_PROCESS}
        return _made_again, (_as_written(type(self)), *self._arguments), added

    @override
    def _meet_graph(self) -> None:
        if not self._hears_of_graphs:  # it was made before LangGraph was in use
            self.__class__ = _for_graphs(type(self))

    @property
    def _pipeline(self) -> Pipeline | None:
        return self._sink.pipeline if isinstance(self._sink, Sink) else None


class ConsoleHandler(OtelHandler):
    """Prints each run as it starts and ends, in the bracketed text of LangChain.js.

    Args:
        to: A stream, a path, a logger, or a function of one string. None: standard output.
        color: Whether to write colours. None: on a terminal, unless ``NO_COLOR`` or
            ``FORCE_COLOR`` says otherwise.
        content: Whether inputs and outputs are printed; a `ContentPolicy` masks in them.
        clock: Nanoseconds since the epoch; for tests.
    """

    def __init__(
        self,
        to: Any = None,
        color: bool | None = None,
        *,
        content: bool | ContentPolicy = True,
        clock: Callable[[], int] | None = None,
    ) -> None:
        if isinstance(content, ContentPolicy) and content.capture is None:
            content = replace(content, capture=True)  # shown, unless the policy itself says no
        profile = ConsoleProfile(js_form)
        processor, pipeline = _console_pipeline(to, color, clock)
        recording = Recording(
            profile=profile,
            gate=ShownGate.of(content),
            encode_event=profile.event,
            on_event=processor.on_event,
        )
        CallbackAdapter.__init__(self, Sink(pipeline, recording))


_PROVIDERS = (  # by which method of OpenTelemetry's API each is known
    ("tracer_provider", "get_tracer", "a TracerProvider"),
    ("meter_provider", "get_meter", "a MeterProvider"),
    ("logger_provider", "get_logger", "a LoggerProvider of OpenTelemetry"),
)
_presets: Mapping[str, frozenset[RunKind] | None] = {"all": None, "steps": _STEPS, "llm": _MODELS}
_consoles: weakref.WeakValueDictionary[tuple[Any, ...], Pipeline] = weakref.WeakValueDictionary()


def _check(targets: tuple[Target, ...], tracer_provider: trace.TracerProvider | None, price: Price | None) -> None:
    if targets and tracer_provider is not None:
        raise ConfigurationError(
            "OtelHandler(tracer_provider=)",
            expected="no provider where processors or exporters are given",
            got=tracer_provider,
        )
    if price is not None and not callable(price):
        raise ConfigurationError("OtelHandler(price=)", expected="a function of a ModelCall", got=price)


def _check_providers(*providers: object) -> None:
    for provider, (name, method, expected) in zip(providers, _PROVIDERS, strict=True):
        is_one = not isinstance(provider, type) and callable(getattr(provider, method, None))
        require(provider is None or is_one, f"OtelHandler({name}=)", expected=expected, got=provider)


def _preset(name: object) -> Callable[[RunStart], bool] | None:
    if not isinstance(name, str) or name not in _presets:
        raise ConfigurationError("OtelHandler(spans=)", expected="all, steps or llm", got=name)
    kinds = _presets[name]
    return None if kinds is None else (lambda run: run.kind in kinds)


def _report(profile: Profile, gate: Gate, content: bool | ContentPolicy | None, signals: Signals) -> Report | None:
    """Return what tells of runs beside their spans, or None where nothing is to be told."""
    return Report(profile, gate, Gate.of(content, in_events=True), signals) if signals else None


def _for_graphs(cls: type[H]) -> type[H]:
    base = graph_base()
    if base is None:
        return cls
    if issubclass(cls, base):
        return as_tracers(cls)
    known = cls.__dict__.get(_GRAPH_CLASS)
    if known is None:
        names = {"__module__": cls.__module__, "__doc__": cls.__doc__, "_hears_of_graphs": True}
        known = as_tracers(type(cls.__name__, (cls, base), names))
        setattr(cls, _GRAPH_CLASS, known)  # held by nothing else, so that both can go
    return cast("type[H]", known)


def _as_written(cls: type[OtelHandler]) -> type[OtelHandler]:
    """Return the class that stands in its module, of one that `_for_graphs` may have made of it."""
    return cls.__bases__[0] if cls.__dict__.get("_hears_of_graphs") else cls


def _made_again(cls: type[H], args: tuple[Any, ...], kwargs: dict[str, Any]) -> H:
    return cls(*args, **kwargs)


def _console_pipeline(
    to: Any, color: bool | None, clock: Callable[[], int] | None
) -> tuple[ConsoleProcessor, Pipeline]:
    """Return one pipeline for each place that is printed to, so that no run is printed twice."""
    key = (_place(to), color, clock)
    pipeline = _consoles.get(key)
    if pipeline is None:
        pipeline = _pipeline.apart([ConsoleProcessor(to, color)], clock=clock, is_whole=True)
        _consoles[key] = pipeline
    return cast("ConsoleProcessor", pipeline.processors[0]), pipeline


def _place(to: Any) -> Any:
    """Return what is the same for the same place, however it is named."""
    if to is None or isinstance(to, (MethodType, BuiltinMethodType)):
        return to  # each look-up of a method makes another one, which is equal
    return os.path.abspath(to) if isinstance(to, (str, os.PathLike)) else id(to)  # noqa: PTH100 - any path, as text
