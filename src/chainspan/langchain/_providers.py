"""Providers, and their names in the conventions."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from ._read import text_in

__all__ = [
    "GEMINI",
    "GOOGLES",
    "HOSTED",
    "OPENAI",
    "SPOKEN_BY_OTHERS",
    "google_service",
    "provider_name",
    "provider_said",
    "served_at",
]

GEMINI: Final = "gcp.gemini"
OPENAI: Final = "openai"
_VERTEX: Final = "gcp.vertex_ai"
_VERTEX_VARIABLE: Final = "GOOGLE_GENAI_USE_VERTEXAI"
_OF_VERTEX: Final = ("credentials", "project")
GOOGLES: Final = ("vertexai", *_OF_VERTEX)
"""Arguments of a model by which `google_service` tells."""
_TOLD: Final = {**dict.fromkeys(("true", "1", "yes"), True), **dict.fromkeys(("false", "0", "no"), False)}

# LangChain's ``ls_provider`` → ``gen_ai.provider.name``; what is not in here passes as it is.
_PROVIDERS: Final[Mapping[str, str]] = {
    "NVIDIA": "nvidia",  # as of its text models and embeddings
    "amazon_bedrock": "aws.bedrock",
    "anthropic-bedrock": "aws.bedrock",
    "anthropic-mantle": "aws.bedrock",
    "aws": "aws.bedrock",
    "azure_ai": "azure.ai.inference",
    "azure_openai": "azure.ai.openai",
    "azureopenai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "google_anthropic_vertex": _VERTEX,
    "google_genai": GEMINI,
    "google_generativeai": GEMINI,
    "google_vertexai": _VERTEX,
    "huggingfaceendpoint": "huggingface",  # as of its text models and embeddings
    "huggingfacepipeline": "huggingface",
    "ibm": "ibm.watsonx.ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "moonshot": "moonshot_ai",
    "openai-codex": "openai",
    "openai-mantle": "aws.bedrock",
    "openaichat": "openai",
    "vertexai": _VERTEX,
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}

HOSTED: Final[Mapping[str, str]] = {
    "AzureAIAnthropicChatModel": "azure.ai.inference",
    "AzureAIChatCompletionsModel": "azure.ai.inference",
    "AzureAIOpenAIApiChatModel": "azure.ai.inference",
}
"""Classes that decide whatever ``ls_provider`` says, which is what they have from those that they are made of."""

SPOKEN_BY_OTHERS: Final = frozenset({OPENAI, "anthropic"})
"""Whose clients ask others too, which speak their protocol."""

# Whose hosts are asked by those clients, by how their names end.
_HOSTS: Final[Mapping[str, str]] = {
    ".anthropic.com": "anthropic",
    ".cohere.ai": "cohere",
    ".cohere.com": "cohere",
    ".deepseek.com": "deepseek",
    ".groq.com": "groq",
    ".mistral.ai": "mistral_ai",
    ".moonshot.ai": "moonshot_ai",
    ".moonshot.cn": "moonshot_ai",
    ".perplexity.ai": "perplexity",
    ".x.ai": "x_ai",
    ".generativelanguage.googleapis.com": GEMINI,
    "aiplatform.googleapis.com": _VERTEX,  # behind the name of a region
    ".rep.googleapis.com": _VERTEX,
    ".openai.azure.com": "azure.ai.openai",
    ".cognitiveservices.azure.com": "azure.ai.openai",
    ".services.ai.azure.com": "azure.ai.inference",
    ".ml.cloud.ibm.com": "ibm.watsonx.ai",
    ".fireworks.ai": "fireworks",
    ".openrouter.ai": "openrouter",
    ".together.ai": "together",
    ".together.xyz": "together",
}
_HOST_OF_BEDROCK: Final = re.compile(
    r"(?:.+\.)?bedrock-[a-z-]+\.[a-z0-9-]+\.(?:vpce\.)?(?:amazonaws\.com(?:\.cn)?|api\.aws)"
)

# The class decides where ``ls_provider`` is missing, or says only ``azure``.
_CLASSES: Final[Mapping[str, str]] = {
    **HOSTED,
    "AzureAIEmbeddingsModel": "azure.ai.inference",
    "AzureAIOpenAIApiEmbeddingsModel": "azure.ai.inference",
    "AzureChatOpenAI": "azure.ai.openai",
    "AzureOpenAI": "azure.ai.openai",
    "AzureOpenAIEmbeddings": "azure.ai.openai",
    "BedrockEmbeddings": "aws.bedrock",
    "BedrockLLM": "aws.bedrock",
    "ChatBedrock": "aws.bedrock",
    "ChatBedrockConverse": "aws.bedrock",
    "ChatGoogleGenerativeAI": GEMINI,
    "ChatMistralAI": "mistral_ai",
    "ChatVertexAI": _VERTEX,
    "ChatWatsonx": "ibm.watsonx.ai",
    "ChatXAI": "x_ai",
    "GoogleGenerativeAIEmbeddings": GEMINI,
    "MistralAIEmbeddings": "mistral_ai",
    "VertexAIEmbeddings": _VERTEX,
    "WatsonxLLM": "ibm.watsonx.ai",
}


def provider_said(metadata: Mapping[str, Any]) -> str | None:
    """Return a provider's name in the conventions where LangChain's metadata alone decides it."""
    said = metadata.get("ls_provider")
    return _PROVIDERS.get(said, said) if type(said) is str and said != "azure" else None


def provider_name(metadata: Mapping[str, Any], class_path: Sequence[str]) -> str | None:
    """Return a provider's name in the conventions, from LangChain's metadata or the model's class."""
    said = text_in(metadata, ("ls_provider",))
    name = class_path[-1] if class_path else ""
    if said is None or said == "azure":
        said = _CLASSES.get(name) or said or name.removeprefix("Chat").removesuffix("Embeddings").lower()
    return _PROVIDERS.get(said, said) or None


def google_service(arguments: Mapping[str, Any]) -> str:
    """Return which of Google's services is asked by a model of langchain-google-genai's, which serves both.

    Args:
        arguments: What the model was made with. The integration decides by these and by a variable.
    """
    told = arguments.get("vertexai")
    if told is None:
        told = _TOLD.get(os.environ.get(_VERTEX_VARIABLE, "").lower())
    if told is None:
        told = any(arguments.get(key) is not None for key in _OF_VERTEX)
    return _VERTEX if told is True else GEMINI


@lru_cache(maxsize=256)
def served_at(host: str, provider: str = OPENAI) -> str:
    """Return who answers a provider's client at a host: the provider, unless the host is known as another's."""
    if _HOST_OF_BEDROCK.fullmatch(host):
        return "aws.bedrock"
    return next((provider for ending, provider in _HOSTS.items() if f".{host}".endswith(ending)), provider)
