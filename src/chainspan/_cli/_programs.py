"""The two programs that the demo runs, written as a user of LangChain would write them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from langchain_core.callbacks import BaseCallbackHandler, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.messages import HumanMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import BaseTool, create_retriever_tool, tool
from typing_extensions import override

from ._models import DemoChatModel

__all__ = ["agent_is_installed", "run_agent", "run_chain"]

_PRICES = (
    "A box of green tea costs 4 euros.",
    "A bag of coffee costs 9 euros.",
)


def run_chain(handlers: Sequence[BaseCallbackHandler]) -> None:
    """Ask for a sum: a prompt, then a model."""
    prompt = ChatPromptTemplate.from_template("What is 1 + {number}?")
    chain = prompt | DemoChatModel()
    chain.invoke({"number": "2"}, config={"callbacks": list(handlers)})


def agent_is_installed() -> bool:
    """Tell whether the package that makes agents is there."""
    return find_spec("langchain") is not None


def run_agent(handlers: Sequence[BaseCallbackHandler]) -> None:
    """Let an agent find a price with a retriever and multiply it with a tool."""
    from langchain.agents import create_agent  # noqa: PLC0415 - of the extra ``demo``

    agent = create_agent(DemoChatModel(), [_price_finder(), multiply], name="shop_assistant")
    question = HumanMessage("How much are 3 boxes of green tea?")
    agent.invoke({"messages": [question]}, config={"callbacks": list(handlers)})


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


def _price_finder() -> BaseTool:
    return create_retriever_tool(PriceList(), "find_price", "Find what a product costs.")


class PriceList(BaseRetriever):
    """Finds the price that shares the most words with the query."""

    @override
    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        words = set(query.lower().strip("?").split())
        best = max(_PRICES, key=lambda price: len(words & set(price.lower().split())))
        return [Document(best, metadata={"source": "price list"})]
