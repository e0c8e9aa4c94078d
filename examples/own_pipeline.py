"""Give one call a pipeline of its own: any OpenTelemetry processor or exporter will do.

The global TracerProvider is neither needed nor touched.
"""

from __future__ import annotations

from langchain_core.language_models import FakeListChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chainspan import OtelHandler

prompt = ChatPromptTemplate.from_template("Tell a joke about {topic}.")
chain = prompt | FakeListChatModel(responses=["A bear walks into a bar."]) | StrOutputParser()

spans = InMemorySpanExporter()
with OtelHandler(spans) as handler:  # leaving the block flushes
    chain.invoke({"topic": "bears"}, config={"callbacks": [handler]})

for span in spans.get_finished_spans():
    print(f"{span.name} ran {'in a run' if span.parent else 'by itself'}")
