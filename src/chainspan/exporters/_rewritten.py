"""A finished span that says something else: the SDK's own cannot be changed any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, Status
from typing_extensions import override

__all__ = ["Rewritten"]


class Rewritten(ReadableSpan):
    """A span with other attributes, and with what else is given; the rest as it was.

    So it still tells how much of it the SDK's limits had dropped before.
    """

    def __init__(  # noqa: PLR0913  each stands for itself
        self,
        span: ReadableSpan,
        attributes: Mapping[str, Any],
        *,
        name: str | None = None,
        resource: Resource | None = None,
        scope: InstrumentationScope | None = None,
        events: Sequence[Event] | None = None,
        links: Sequence[Link] | None = None,
        status: Status | None = None,
    ) -> None:
        super().__init__(
            name=span.name if name is None else name,
            context=span.context,
            parent=span.parent,
            resource=span.resource if resource is None else resource,
            attributes=attributes,
            events=span.events if events is None else events,
            links=span.links if links is None else links,
            kind=span.kind,
            status=span.status if status is None else status,
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope if scope is None else scope,
        )
        self._dropped = (span.dropped_attributes, span.dropped_events, span.dropped_links)

    @property
    @override
    def dropped_attributes(self) -> int:
        return self._dropped[0]

    @property
    @override
    def dropped_events(self) -> int:
        return self._dropped[1]

    @property
    @override
    def dropped_links(self) -> int:
        return self._dropped[2]
