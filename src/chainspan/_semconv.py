"""The attribute names that chainspan writes, each group with the version it comes from.

Our own constants, and not those of ``opentelemetry-semantic-conventions``: that package
marks every ``gen_ai.*`` name as moved, has none of the newer ones, and keeps them in a
private module. The comment behind a name is the release that introduced it; ``next`` is
the conventions' own repository, which has no release yet.
"""

from __future__ import annotations

SEMCONV_VERSION = "1.41.1"
"""The last release of the semantic conventions with GenAI text: what ``compat`` writes."""

SCHEMA_URL = "https://opentelemetry.io/schemas/1.41.0"
"""The schema of that release. The newer conventions have none that resolves."""

# ------------------------------------------------------------------ core registry (stable)
ERROR_TYPE = "error.type"
ERROR_TYPE_OTHER = "_OTHER"
EXCEPTION_TYPE = "exception.type"
EXCEPTION_MESSAGE = "exception.message"
EXCEPTION_STACKTRACE = "exception.stacktrace"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
SESSION_ID = "session.id"
USER_ID = "user.id"

# ------------------------------------------------------------------ GenAI: the operation
GEN_AI_OPERATION_NAME = "gen_ai.operation.name"  # 1.36
GEN_AI_PROVIDER_NAME = "gen_ai.provider.name"  # 1.37
GEN_AI_CONVERSATION_ID = "gen_ai.conversation.id"  # 1.36
GEN_AI_OUTPUT_TYPE = "gen_ai.output.type"  # 1.36

OPERATION_CHAT = "chat"  # 1.36
OPERATION_TEXT_COMPLETION = "text_completion"  # 1.36
OPERATION_EMBEDDINGS = "embeddings"  # 1.36
OPERATION_EXECUTE_TOOL = "execute_tool"  # 1.36
OPERATION_INVOKE_AGENT = "invoke_agent"  # 1.36
OPERATION_RETRIEVAL = "retrieval"  # 1.40
OPERATION_INVOKE_WORKFLOW = "invoke_workflow"  # 1.41

# ------------------------------------------------------------------ GenAI: the request
GEN_AI_REQUEST_MODEL = "gen_ai.request.model"  # 1.36
GEN_AI_REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"  # 1.36
GEN_AI_REQUEST_TEMPERATURE = "gen_ai.request.temperature"  # 1.36
GEN_AI_REQUEST_TOP_P = "gen_ai.request.top_p"  # 1.36
GEN_AI_REQUEST_TOP_K = "gen_ai.request.top_k"  # 1.36
GEN_AI_REQUEST_FREQUENCY_PENALTY = "gen_ai.request.frequency_penalty"  # 1.36
GEN_AI_REQUEST_PRESENCE_PENALTY = "gen_ai.request.presence_penalty"  # 1.36
GEN_AI_REQUEST_STOP_SEQUENCES = "gen_ai.request.stop_sequences"  # 1.36
GEN_AI_REQUEST_SEED = "gen_ai.request.seed"  # 1.36
GEN_AI_REQUEST_CHOICE_COUNT = "gen_ai.request.choice.count"  # 1.36
GEN_AI_REQUEST_ENCODING_FORMATS = "gen_ai.request.encoding_formats"  # 1.36
GEN_AI_REQUEST_STREAM = "gen_ai.request.stream"  # 1.41
GEN_AI_REQUEST_REASONING_LEVEL = "gen_ai.request.reasoning.level"  # next
GEN_AI_REQUEST_PREVIOUS_RESPONSE_ID = "gen_ai.request.previous_response.id"  # next
GEN_AI_EMBEDDINGS_DIMENSION_COUNT = "gen_ai.embeddings.dimension.count"  # 1.38

# ------------------------------------------------------------------ GenAI: the response
GEN_AI_RESPONSE_ID = "gen_ai.response.id"  # 1.36
GEN_AI_RESPONSE_MODEL = "gen_ai.response.model"  # 1.36
GEN_AI_RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons"  # 1.36
GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"  # 1.41

# ------------------------------------------------------------------ GenAI: usage
GEN_AI_USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens"  # 1.36
GEN_AI_USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"  # 1.36
GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS = "gen_ai.usage.cache_read.input_tokens"  # 1.40
GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS = "gen_ai.usage.cache_creation.input_tokens"  # 1.40
GEN_AI_USAGE_CACHE_WRITE_INPUT_TOKENS = "gen_ai.usage.cache_write.input_tokens"  # next
GEN_AI_USAGE_REASONING_OUTPUT_TOKENS = "gen_ai.usage.reasoning.output_tokens"  # 1.41
GEN_AI_USAGE_AUDIO_INPUT_TOKENS = "gen_ai.usage.audio.input_tokens"  # next
GEN_AI_USAGE_AUDIO_OUTPUT_TOKENS = "gen_ai.usage.audio.output_tokens"  # next
GEN_AI_USAGE_COST = "gen_ai.usage.cost"  # of no release; what Langfuse, Laminar and OpenLIT read

# ------------------------------------------------------------------ GenAI: content
GEN_AI_SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"  # 1.37
GEN_AI_INPUT_MESSAGES = "gen_ai.input.messages"  # 1.37
GEN_AI_OUTPUT_MESSAGES = "gen_ai.output.messages"  # 1.37
GEN_AI_TOOL_DEFINITIONS = "gen_ai.tool.definitions"  # 1.38

# ------------------------------------------------------------------ GenAI: agents, tools, retrieval, prompts
GEN_AI_AGENT_NAME = "gen_ai.agent.name"  # 1.36
GEN_AI_WORKFLOW_NAME = "gen_ai.workflow.name"  # 1.41
GEN_AI_TOOL_NAME = "gen_ai.tool.name"  # 1.36
GEN_AI_TOOL_TYPE = "gen_ai.tool.type"  # 1.36
GEN_AI_TOOL_DESCRIPTION = "gen_ai.tool.description"  # 1.36
GEN_AI_TOOL_CALL_ID = "gen_ai.tool.call.id"  # 1.36
GEN_AI_TOOL_CALL_ARGUMENTS = "gen_ai.tool.call.arguments"  # 1.38
GEN_AI_TOOL_CALL_RESULT = "gen_ai.tool.call.result"  # 1.38
GEN_AI_RETRIEVAL_QUERY_TEXT = "gen_ai.retrieval.query.text"  # 1.40
GEN_AI_RETRIEVAL_DOCUMENTS = "gen_ai.retrieval.documents"  # 1.40
GEN_AI_RETRIEVAL_TOP_K = "gen_ai.retrieval.top_k"  # next; adds to 1.41 without a clash
GEN_AI_PROMPT_NAME = "gen_ai.prompt.name"  # 1.39 for MCP; next for model calls
GEN_AI_PROMPT_VERSION = "gen_ai.prompt.version"  # next

# ------------------------------------------------------------------ GenAI: metrics
METRIC_OPERATION_DURATION = "gen_ai.client.operation.duration"  # 1.36
METRIC_TOKEN_USAGE = "gen_ai.client.token.usage"  # noqa: S105  # 1.36
METRIC_TIME_TO_FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk"  # 1.41
METRIC_INFERENCE_DURATION = "gen_ai.client.inference.duration"  # next
METRIC_INFERENCE_TIME_TO_FIRST_CHUNK = "gen_ai.client.inference.time_to_first_chunk"  # next
METRIC_INFERENCE_INPUT_TOKENS = "gen_ai.client.inference.operation.input_tokens"  # next
METRIC_INFERENCE_OUTPUT_TOKENS = "gen_ai.client.inference.operation.output_tokens"  # next
METRIC_EXECUTE_TOOL_DURATION = "gen_ai.execute_tool.duration"  # next
METRIC_INVOKE_AGENT_DURATION = "gen_ai.invoke_agent.duration"  # next
METRIC_INVOKE_WORKFLOW_DURATION = "gen_ai.invoke_workflow.duration"  # next
METRIC_USAGE_INPUT_TOKENS = "gen_ai.client.inference.usage.input_tokens"  # next
METRIC_USAGE_OUTPUT_TOKENS = "gen_ai.client.inference.usage.output_tokens"  # next
METRIC_USAGE_CACHE_READ = "gen_ai.client.inference.usage.cache_read.input_tokens"  # next
METRIC_USAGE_CACHE_WRITE = "gen_ai.client.inference.usage.cache_write.input_tokens"  # next
METRIC_USAGE_REASONING = "gen_ai.client.inference.usage.reasoning.output_tokens"  # next
GEN_AI_TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105  # 1.36
GEN_AI_TOKEN_MODALITY = "gen_ai.token.modality"  # noqa: S105  # next
OTEL_METRIC_OVERFLOW = "otel.metric.overflow"

# ------------------------------------------------------------------ GenAI: events, by the Logs API
EVENT_OPERATION_DETAILS = "gen_ai.client.inference.operation.details"  # 1.37
EVENT_EVALUATION_RESULT = "gen_ai.evaluation.result"  # 1.38
EVENT_CLIENT_EXCEPTION = "gen_ai.client.operation.exception"  # 1.41
EVENT_TOOL_EXCEPTION = "gen_ai.execute_tool.exception"  # next
GEN_AI_EVALUATION_NAME = "gen_ai.evaluation.name"  # 1.38
GEN_AI_EVALUATION_SCORE_VALUE = "gen_ai.evaluation.score.value"  # 1.38
GEN_AI_EVALUATION_SCORE_LABEL = "gen_ai.evaluation.score.label"  # 1.38
GEN_AI_EVALUATION_EXPLANATION = "gen_ai.evaluation.explanation"  # 1.38

# ------------------------------------------------------------------ OpenAI's own refinements
OF_OPENAI = "openai."
OPENAI_API_TYPE = "openai.api.type"  # 1.40
OPENAI_REQUEST_SERVICE_TIER = "openai.request.service_tier"  # 1.37
OPENAI_RESPONSE_SERVICE_TIER = "openai.response.service_tier"  # 1.37
OPENAI_RESPONSE_SYSTEM_FINGERPRINT = "openai.response.system_fingerprint"  # 1.37

# ------------------------------------------------------------------ OpenInference
OPENINFERENCE_SPAN_KIND = "openinference.span.kind"
INPUT_VALUE = "input.value"
INPUT_MIME_TYPE = "input.mime_type"
OUTPUT_VALUE = "output.value"
OUTPUT_MIME_TYPE = "output.mime_type"
MIME_JSON = "application/json"
MIME_TEXT = "text/plain"
OI_AGENT_NAME = "agent.name"
OI_COST_TOTAL = "llm.cost.total"
OI_DOCUMENTS = "retrieval.documents"
OI_EMBEDDING_INVOCATION_PARAMETERS = "embedding.invocation_parameters"
OI_EMBEDDING_MODEL_NAME = "embedding.model_name"
OI_FINISH_REASON = "llm.finish_reason"
OI_INPUT_MESSAGES = "llm.input_messages"
OI_INVOCATION_PARAMETERS = "llm.invocation_parameters"
OI_METADATA = "metadata"
OI_MODEL_NAME = "llm.model_name"
OI_NODE_ID = "graph.node.id"
OI_NODE_NAME = "graph.node.name"
OI_OUTPUT_MESSAGES = "llm.output_messages"
OI_PROMPT_VERSION = "llm.prompt_template.version"
OI_PROVIDER = "llm.provider"
OI_SYSTEM = "llm.system"
OI_TAGS = "tag.tags"
OI_TOKENS_PROMPT = "llm.token_count.prompt"
OI_TOKENS_COMPLETION = "llm.token_count.completion"
OI_TOKENS_TOTAL = "llm.token_count.total"
OI_TOKENS_CACHE_READ = "llm.token_count.prompt_details.cache_read"
OI_TOKENS_CACHE_WRITE = "llm.token_count.prompt_details.cache_write"
OI_TOKENS_PROMPT_AUDIO = "llm.token_count.prompt_details.audio"
OI_TOKENS_REASONING = "llm.token_count.completion_details.reasoning"
OI_TOKENS_COMPLETION_AUDIO = "llm.token_count.completion_details.audio"
OI_TOOL_DESCRIPTION = "tool.description"
OI_TOOL_ID = "tool.id"
OI_TOOL_NAME = "tool.name"
OI_TOOL_PARAMETERS = "tool.parameters"
OI_TOOLS = "llm.tools"

# ------------------------------------------------------------------ chainspan's own
CHAINSPAN_HOLDS = "chainspan.holds"  # beside a text of OpenInference's that is JSON of what has no field there
HOLDS_PARTS = "parts"
CHAINSPAN_RUN_ID = "chainspan.run.id"
CHAINSPAN_RUN_TYPE = "chainspan.run.type"
CHAINSPAN_RUN_NAME = "chainspan.run.name"
CHAINSPAN_RUN_OUTCOME = "chainspan.run.outcome"
CHAINSPAN_RUN_ATTEMPT = "chainspan.run.attempt"
CHAINSPAN_FAULT = "chainspan.fault"
CHAINSPAN_TAGS = "chainspan.tags"
CHAINSPAN_METADATA = "chainspan.metadata"
CHAINSPAN_CACHE_HIT = "chainspan.cache.hit"
CHAINSPAN_SAVED_INPUT_TOKENS = "chainspan.saved.input_tokens"
CHAINSPAN_SAVED_OUTPUT_TOKENS = "chainspan.saved.output_tokens"
CHAINSPAN_COUNTED = "chainspan.counted."  # with what follows gen_ai.usage. or llm.token_count.
CHAINSPAN_COUNTED_BY = "chainspan.counted.by"
CHAINSPAN_USAGE_INPUT_TOKENS = "chainspan.usage.input_tokens"
CHAINSPAN_USAGE_OUTPUT_TOKENS = "chainspan.usage.output_tokens"
CHAINSPAN_USAGE_TOTAL_TOKENS = "chainspan.usage.total_tokens"
CHAINSPAN_USAGE_MODEL_CALLS = "chainspan.usage.model_calls"
CHAINSPAN_USAGE_COST = "chainspan.usage.cost"
CHAINSPAN_COST = "chainspan.cost"
CHAINSPAN_OUTPUT_SCHEMA = "chainspan.output.schema"
CHAINSPAN_NODE = "chainspan.langgraph.node"
CHAINSPAN_STEP = "chainspan.langgraph.step"
CHAINSPAN_CHECKPOINT = "chainspan.langgraph.checkpoint_ns"
CHAINSPAN_EMBEDDINGS_COUNT = "chainspan.embeddings.count"
CHAINSPAN_RETRIEVER_STORE = "chainspan.retriever.store"
CHAINSPAN_FINISH_REASONS_RAW = "chainspan.response.finish_reasons_raw"
