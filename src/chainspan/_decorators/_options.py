"""What a call may be given beside its input."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from typing_extensions import TypedDict

from chainspan._errors import require, require_type
from chainspan.langchain._managers import Given

__all__ = ["CallOptions", "Config", "are_handlers", "are_several", "given", "require_known", "require_usable"]

_CALLBACK: Final = re.compile("on_(?:agent|chain|chat_model|custom|llm|retriever|tool)_")

Config = Mapping[str, Any]
"""LangChain's RunnableConfig, or a mapping of the same keys."""


class CallOptions(TypedDict, total=False):
    """What a call may be given beside its input.

    Attributes:
        callbacks: Handlers, in a list or one alone, for the call and everything inside, beside those in force.
        tags: For the run and everything inside; so is the metadata.
        run_name: The name of this one run.
    """

    callbacks: Any
    tags: Sequence[str] | None
    metadata: Mapping[str, Any] | None
    run_name: str | None


_KNOWN: Final = frozenset(
    {*CallOptions.__annotations__, "configurable", "max_concurrency", "recursion_limit", "run_id"}
)
"""The keys of LangChain's config, any of which may be given by itself."""


def require_known(name: str, options: CallOptions) -> None:
    """Refuse what is no option of a call, such as ``callback=``, which nobody would ever hear of.

    Args:
        name: What is called.
        options: What it is given by keyword.
    """
    if not _KNOWN.issuperset(options):
        unknown = next(option for option in options if option not in _KNOWN)
        raise TypeError(f"{name} got an unexpected keyword argument {unknown!r}")


def require_usable(name: str, config: Config | None, options: CallOptions) -> None:
    """Refuse a config that is none, and what handlers would not hear of, such as an exporter in a handler's place."""
    if config is not None:
        require_type(f"{name}(config)", config, Mapping, expected="a mapping")
    for chosen in (config, options):
        if chosen:
            _require_values(name, chosen)


def _require_values(name: str, chosen: Config | CallOptions) -> None:
    callbacks, tags, metadata = chosen.get("callbacks"), chosen.get("tags"), chosen.get("metadata")
    if callbacks is not None:
        require(are_handlers(callbacks), f"{name}(callbacks=)", expected="handlers", got=callbacks)
    if tags:
        require(are_several(tags), f"{name}(tags=)", expected="a list of texts", got=tags)
    if metadata:
        require_type(f"{name}(metadata=)", metadata, Mapping, expected="a mapping")


def are_several(tags: object) -> bool:
    """Return whether tags are a collection, and not one text, which is a collection of its letters."""
    return isinstance(tags, Collection) and not isinstance(tags, (str, bytes))


def are_handlers(callbacks: Any) -> bool:
    """Return whether callbacks are handlers, in a list or one alone, a manager of some, or none."""
    several = callbacks if isinstance(callbacks, (list, tuple)) else () if callbacks is None else (callbacks,)
    return not any(isinstance(one, type) or not _is_told(one) for one in several)


def _is_told(one: object) -> bool:
    """Return whether a handler has any callback; one of one's own need have no more."""
    is_usual = hasattr(one, "handlers") or hasattr(one, "on_chain_start")  # which is told without a look at all names
    return is_usual or any(_CALLBACK.match(name) for name in dir(one))


def given(*configs: Config | None, shared_metadata: Config, own_metadata: Config, own_tags: Sequence[str]) -> Given:
    """Return what several configs ask for together, the later ones with the last word."""
    known = [config for config in configs if config]
    return Given(
        config={key: value for config in known for key, value in config.items() if key not in ("tags", "metadata")},
        callbacks=[config["callbacks"] for config in known if config.get("callbacks")],
        tags=list(dict.fromkeys(tag for config in known for tag in config.get("tags") or ())),
        metadata={key: value for config in known for key, value in (config.get("metadata") or {}).items()},
        shared_metadata=shared_metadata,
        own_tags=own_tags,
        own_metadata=own_metadata,
    )
