"""LangChain's callbacks, turned into chainspan's own words and handed on.

LangChain swallows what a callback raises and logs it; nothing is raised here all the
same, since other dispatchers do not swallow.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from chainspan._encode import attempt, label
from chainspan._guard import Guard
from chainspan._model import Outcome, RunEnd, RunEvent, RunKind

from . import _decisions, _kinds, _payloads, _responses
from ._as_chains import AS_CHAINS
from ._base import HandlerBase
from ._ends import failure, outcome_of, tool_end, uuid_of
from ._inline import ASKERS, drops_others
from ._retrieving import entered_retriever
from ._sink import RunSink
from ._starts import begun, told
from ._state import state_messages

__all__ = ["CallbackAdapter"]

_CHAIN, _CHAT = RunKind.CHAIN, RunKind.CHAT  # a member is found far more slowly by its class
_WITH_STATE = frozenset({RunKind.AGENT, RunKind.WORKFLOW})
_START, _END, _EVENT = Guard("langchain.start"), Guard("langchain.end"), Guard("langchain.event")


class CallbackAdapter(HandlerBase):
    """A LangChain callback handler that reports to a sink.

    LangChain calls it in the caller's own context, in synchronous and asynchronous code
    alike (`run_inline`): what it makes current must be seen by the code that runs next.

    Args:
        sink: Where the runs are reported to.
    """

    raise_error = False
    # All events are wanted. LangChain's base answers so too, but by a call for each event.
    ignore_agent = ignore_chain = ignore_chat_model = ignore_custom_event = False
    ignore_llm = ignore_retriever = ignore_retry = False

    def __init__(self, sink: RunSink) -> None:
        self._sink = sink
        self._noted: object = None  # the id of a run, of whose further tokens there is nothing to note

    @property
    def run_inline(self) -> bool:  # type: ignore[override]
        """Whether LangChain calls this handler itself rather than in a worker thread.

        Always, but for one question: see `drops_others`.
        """
        asker = sys._getframe(1)  # noqa: SLF001 - who asks?
        if asker.f_code.co_name not in ASKERS:
            return True
        try:
            return not drops_others(asker, CallbackAdapter)
        except Exception as fault:
            _START.caught(fault)
        return True

    # ------------------------------------------------------------------ chains
    def on_chain_start(  # noqa: PLR0913 - by name, which spares a dict of them for each run
        self,
        serialized: Any,
        inputs: Any,
        *,
        run_id: Any,
        parent_run_id: Any = None,
        tags: Any = None,
        metadata: Any = None,
        name: Any = None,
        run_type: Any = None,
        **_: Any,
    ) -> None:
        """Open the run of a chain, a prompt, a parser, a graph or a node."""
        try:
            start = begun(self._sink, _CHAIN, serialized, inputs, run_id, parent_run_id, tags, metadata, name)
            start.kind = _kinds.chain_kind(run_type, start, self._sink.peek)
            if start.kind in _WITH_STATE:
                start.messages = lambda: state_messages(inputs)
            elif run_type in AS_CHAINS:
                AS_CHAINS[run_type](start)
            if isinstance(run_type, str) and run_type:
                start.run_type = run_type
            self._sink.start(start)
            if start.kind in _WITH_STATE:
                self._meet_graph()
        except Exception as fault:
            _START.caught(fault)

    def on_chain_end(self, outputs: Any, *, run_id: Any, **kwargs: Any) -> None:
        """Close the run of a chain."""
        try:
            inputs = kwargs.get("inputs")
            known = run_id if type(run_id) is UUID else uuid_of(run_id)
            if type(outputs).__module__ == _decisions.ANSWERS and self._is_model(known):
                self._sink.end(known, lambda: RunEnd(outputs=outputs, response=_decisions.decided(outputs)))
            else:
                self._sink.end(known, lambda: RunEnd(outputs=outputs, inputs=inputs))
        except Exception as fault:
            _END.caught(fault)

    def on_chain_error(self, error: Any, *, run_id: Any, **kwargs: Any) -> None:
        """Close the run of a chain that raised."""
        self._fail(error, run_id, kwargs)

    # ------------------------------------------------------------------ models
    def on_chat_model_start(
        self, serialized: Any, messages: Any, *, run_id: Any, parent_run_id: Any = None, **kwargs: Any
    ) -> None:
        """Open the run of a model that answers messages."""
        try:
            self._noted = None  # what starts may have the id of one before
            inputs = {"messages": messages}
            start = begun(self._sink, _CHAT, serialized, inputs, run_id, parent_run_id, *told(kwargs))
            start.request = lambda: _payloads.model_request(serialized, kwargs)
            start.tools = lambda: _payloads.offered_tools(kwargs)
            start.messages = lambda: _payloads.input_messages(messages)
            self._sink.start(start)
        except Exception as fault:
            _START.caught(fault)

    def on_llm_start(
        self, serialized: Any, prompts: Any, *, run_id: Any, parent_run_id: Any = None, **kwargs: Any
    ) -> None:
        """Open the run of a model that completes text."""
        try:
            self._noted = None
            inputs = {"prompts": prompts}
            start = begun(self._sink, RunKind.LLM, serialized, inputs, run_id, parent_run_id, *told(kwargs))
            start.request = lambda: _payloads.model_request(serialized, kwargs)
            start.tools = lambda: _payloads.offered_tools(kwargs)
            start.messages = lambda: _payloads.input_messages(prompts)
            self._sink.start(start)
        except Exception as fault:
            _START.caught(fault)

    def on_llm_new_token(self, token: Any, *, run_id: Any, chunk: Any = None, **_: Any) -> None:
        """Note a piece of a streamed answer."""
        try:
            if run_id is not self._noted and self._sink.chunk(run_id, token or _responses.holds_more(token, chunk)):
                self._noted = run_id
        except Exception as fault:
            _EVENT.caught(fault)

    def on_stream_event(self, event: Any, *, run_id: Any, **_: Any) -> None:
        """Note a piece of an answer that is streamed as protocol events."""
        try:
            kind = event.get("event") if isinstance(event, Mapping) else None
            is_whole = kind == "content-block-start" and _responses.starts_whole(event)
            self._sink.chunk(uuid_of(run_id), is_whole or kind == "content-block-delta")
        except Exception as fault:
            _EVENT.caught(fault)

    def on_llm_end(self, response: Any, *, run_id: Any, **_: Any) -> None:
        """Close the run of a model."""
        try:
            self._sink.end(
                run_id if type(run_id) is UUID else uuid_of(run_id),
                lambda: RunEnd(outputs=response, response=_responses.model_response(response)),
            )
        except Exception as fault:
            _END.caught(fault)

    def on_llm_error(self, error: Any, *, run_id: Any, **kwargs: Any) -> None:
        """Close the run of a model that raised or was cut off."""
        self._fail(error, run_id, kwargs)

    # ------------------------------------------------------------------ tools
    def on_tool_start(
        self, serialized: Any, input_str: Any, *, run_id: Any, parent_run_id: Any = None, **kwargs: Any
    ) -> None:
        """Open the run of a tool."""
        try:
            given = kwargs.get("inputs")
            if type(given) is dict and _payloads.RUNTIME in given:
                given = kwargs["inputs"] = _payloads.without_runtime(given)
            inputs = input_str if given is None else given
            start = begun(self._sink, RunKind.TOOL, serialized, inputs, run_id, parent_run_id, *told(kwargs))
            start.tool = _payloads.tool_request(serialized, input_str, kwargs)
            self._sink.start(start)
        except Exception as fault:
            _START.caught(fault)

    def on_tool_end(self, output: Any, *, run_id: Any, **_: Any) -> None:
        """Close the run of a tool."""
        try:
            self._sink.end(uuid_of(run_id), lambda: tool_end(output))
        except Exception as fault:
            _END.caught(fault)

    def on_tool_error(self, error: Any, *, run_id: Any, **kwargs: Any) -> None:
        """Close the run of a tool that raised."""
        self._fail(error, run_id, kwargs)

    # ------------------------------------------------------------------ retrievers
    def on_retriever_start(
        self, serialized: Any, query: Any, *, run_id: Any, parent_run_id: Any = None, **kwargs: Any
    ) -> None:
        """Open the run of a retriever."""
        try:
            inputs = {"query": query}
            kind = RunKind.RETRIEVER
            start = begun(self._sink, kind, serialized, inputs, run_id, parent_run_id, *told(kwargs))
            start.query = query if isinstance(query, str) else attempt(lambda: str(query), "[unprintable]")
            start.named = start.named and not _kinds.is_own_name(start)
            self._sink.start(start)
            entered_retriever(self._sink, start.run_id)
        except Exception as fault:
            _START.caught(fault)

    def on_retriever_end(self, documents: Any, *, run_id: Any, **_: Any) -> None:
        """Close the run of a retriever."""
        try:
            self._sink.end(
                uuid_of(run_id),
                lambda: RunEnd(
                    outputs={"documents": documents},
                    documents=lambda: _payloads.documents(documents),
                ),
            )
        except Exception as fault:
            _END.caught(fault)

    def on_retriever_error(self, error: Any, *, run_id: Any, **kwargs: Any) -> None:
        """Close the run of a retriever that raised."""
        self._fail(error, run_id, kwargs)

    # ------------------------------------------------------------------ events inside a run
    def on_text(self, text: Any, *, run_id: Any, **_: Any) -> None:
        """Record a text that a chain reports."""
        self._event("text", text, run_id)

    def on_retry(self, retry_state: Any, *, run_id: Any, **_: Any) -> None:
        """Record that a call is tried again."""
        with _EVENT:
            attempt = getattr(retry_state, "attempt_number", None)
            self._event("retry", {"attempt_number": attempt}, run_id)

    def on_agent_action(self, action: Any, *, run_id: Any, **_: Any) -> None:
        """Record what an agent chose to do."""
        self._event("agent_action", action, run_id)

    def on_agent_finish(self, finish: Any, *, run_id: Any, **_: Any) -> None:
        """Record an agent's last word."""
        self._event("agent_finish", finish, run_id)

    def on_custom_event(self, name: Any, data: Any, *, run_id: Any, **_: Any) -> None:
        """Record an event of the application's own, from ``dispatch_custom_event``."""
        self._event(label(name) if isinstance(name, str) else "custom", data, run_id)

    def on_interrupt(self, event: Any) -> None:
        """Record that a graph pauses for a human, which ends its run as if it were done; from LangGraph 1.1.7 on."""
        data = {
            "checkpoint_id": getattr(event, "checkpoint_id", None),
            "interrupts": getattr(event, "interrupts", None),
        }
        self._event("interrupt", data, getattr(event, "run_id", None), once=True, outcome=Outcome.INTERRUPTED)

    def on_resume(self, event: Any) -> None:
        """Record that a graph goes on from a checkpoint; reported by LangGraph >= 1.1.7."""
        data = {"checkpoint_id": getattr(event, "checkpoint_id", None)}
        self._event("resume", data, getattr(event, "run_id", None), once=True)

    # ------------------------------------------------------------------ what they share
    def _meet_graph(self) -> None:
        """Be told that a graph runs, before it looks for those that hear of its interrupts."""

    def _is_model(self, run_id: UUID) -> bool:
        start = self._sink.peek(run_id)
        return start is not None and start.kind is _CHAT

    def _fail(self, error: Any, run_id: Any, kwargs: Mapping[str, Any]) -> None:
        with _END:
            raised = (
                error if isinstance(error, BaseException) else Exception(attempt(lambda: str(error), "[unprintable]"))
            )
            outcome = outcome_of(raised)
            self._sink.fail(uuid_of(run_id), outcome, failure(raised, outcome, kwargs))

    def _event(self, name: str, data: Any, run_id: Any, **more: Any) -> None:
        with _EVENT:
            if run_id is not None:
                self._sink.event(uuid_of(run_id), RunEvent(name=name, data=data, **more))
