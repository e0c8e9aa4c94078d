"""The proof that the current span is right in every execution mode of LangChain and LangGraph."""
