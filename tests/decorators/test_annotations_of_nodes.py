"""A graph learns of a decorated node from its annotations what it learns of the function that it was."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import Command
from pydantic import BaseModel
from typing_extensions import TypedDict

from chainspan import OtelHandler, chain


class State(TypedDict, total=False):
    """What the nodes of a graph share."""

    n: int
    told: str


class Secret(TypedDict, total=False):
    """What one node tells another, and no one else."""

    word: str


class Checked(BaseModel):
    """A state that pydantic looks at."""

    n: int


def think(state: State) -> Secret:
    """Tell a secret."""
    return {"word": f"secret {state['n']}"}


def tell(state: Secret) -> State:
    """Say what the secret is."""
    return {"told": repr(state)}


def check(state: Checked) -> State:
    """Say what the state is."""
    return {"told": repr(state)}


def choose(state: State) -> Command[Literal["tell"]]:
    """Say where to go next."""
    return Command(goto="tell", update={"word": f"secret {state['n']}"})


class Nodes:
    """Nodes that are methods."""

    @chain
    def think(self, state: State) -> Secret:
        """Tell a secret."""
        return think(state)

    @chain
    def tell(self, state: Secret) -> State:
        """Say what the secret is."""
        return tell(state)


def _graph(*steps: Any) -> Any:
    graph: Any = StateGraph(State)
    names = [step.__name__ for step in steps]
    for name, step in zip(names, steps, strict=True):
        graph.add_node(name, step)
    for before, after in zip([START, *names], names, strict=False):
        graph.add_edge(before, after)
    return graph.compile()


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([chain(think), chain(tell)], "{'word': 'secret 1'}"),
        ([Nodes().think, Nodes().tell], "{'word': 'secret 1'}"),
        ([chain(check)], "Checked(n=1)"),
    ],
    ids=["its own state", "methods", "pydantic's"],
)
def test_a_node_gets_the_state_that_it_asks_for(steps: list[Any], told: str, handler: OtelHandler) -> None:
    """A state of its own keys, which the graph's has not, or one of pydantic's."""
    assert _graph(*steps).invoke({"n": 1}, {"callbacks": [handler]}) == {"n": 1, "told": told}


def test_a_graph_shows_where_a_node_may_go() -> None:
    """The edges of a decorated graph are those of the graph that it was."""

    def edges(decorate: Any) -> set[tuple[str, str]]:
        graph: Any = StateGraph(State)
        graph.add_node("choose", decorate(choose))
        graph.add_node("tell", decorate(tell))
        graph.add_edge(START, "choose")
        return {(edge.source, edge.target) for edge in graph.compile().get_graph().edges}

    assert edges(chain) == edges(lambda function: function)
