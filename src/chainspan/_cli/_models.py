"""The model that the demo asks: real to LangChain, and needing no key and no network."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, cast

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    ToolMessage,
)
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from typing_extensions import override

__all__ = ["DemoChatModel"]

Tool = dict[str, Any] | type | Callable[..., Any] | BaseTool


class DemoChatModel(BaseChatModel):
    """A chat model that does sums and, with tools, looks up a price before it multiplies.

    The same messages always get the same answer. A token is a word, so that the usage
    is plausible and the same in every run.
    """

    model: str = "demo-1"

    @property
    @override
    def _llm_type(self) -> str:
        return "demo"

    @property
    @override
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model}

    @override
    def bind_tools(
        self, tools: Sequence[Tool], *, tool_choice: str | None = None, **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Offer tools to the model."""
        offered = [convert_to_openai_tool(tool) for tool in tools]
        return self.bind(tools=offered, **kwargs)

    @override
    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        answer = _answer(messages, may_call=bool(kwargs.get("tools")))
        answer.usage_metadata = _usage(messages, answer)
        answer.response_metadata = {"model_name": self.model, "finish_reason": _reason(answer)}
        return ChatResult(generations=[ChatGeneration(message=answer)])


def _answer(messages: Sequence[BaseMessage], *, may_call: bool) -> AIMessage:
    """Choose the next move from what has been said so far."""
    question = next(str(m.content) for m in reversed(messages) if isinstance(m, HumanMessage))
    results = [str(m.content) for m in messages if isinstance(m, ToolMessage)]
    if not may_call:
        return AIMessage(_sum(question))
    if not results:
        return _call("find_price", {"query": question})
    if len(results) == 1:
        return _call("multiply", {"a": _number(question), "b": _number(results[0])})
    return AIMessage(f"That makes {results[-1]} euros.")


def _call(name: str, args: dict[str, object]) -> AIMessage:
    return AIMessage("", tool_calls=[tool_call(name=name, args=args, id=f"call_{name}")])


def _sum(question: str) -> str:
    numbers = [int(number) for number in re.findall(r"\d+", question)]
    return f"{' + '.join(map(str, numbers))} = {sum(numbers)}"


def _number(text: str) -> int:
    found = re.search(r"\d+", text)
    return int(found[0]) if found else 0


def _reason(answer: AIMessage) -> str:
    return "tool_calls" if answer.tool_calls else "stop"


def _usage(messages: Sequence[BaseMessage], answer: AIMessage) -> UsageMetadata:
    """Count a token a word, and one more for each argument of a call."""
    sent = sum(len(str(message.content).split()) for message in messages)
    made = len(str(answer.content).split()) + sum(1 + len(call["args"]) for call in answer.tool_calls)
    usage = {"input_tokens": sent, "output_tokens": made, "total_tokens": sent + made}
    return cast("UsageMetadata", usage)  # langchain-core 1.8 is typed for Python 3.11; for 3.10, no key is optional
