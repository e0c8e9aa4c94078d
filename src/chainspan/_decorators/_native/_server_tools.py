"""Tools that a provider runs itself, in every provider's form, as LangChain's blocks: what was asked and what came."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from chainspan._encode import parsed, plain

from ._fields import at, plain_mapping, text

__all__ = ["server_blocks"]

Block = Mapping[str, Any]
Reader = Callable[[Any], Sequence[Block]]

_CODE: Final = "code_interpreter"
_MCP: Final = "remote_mcp"
_STATUS: Final = {"completed": "success", "failed": "error", "OUTCOME_OK": "success"}
_RESULT: Final = "_tool_result"  # how the types of Anthropic's results end


def server_blocks(kind: str, block: Any) -> Sequence[Block]:
    """Return the blocks that one of such a tool is in LangChain's form; none for any other."""
    read = _BLOCKS.get(kind) or (_of_anthropic if kind.endswith(_RESULT) else None)
    return () if read is None else read(block)


def _call(call_id: str | None, name: str, arguments: object, **extras: Any) -> Block:
    block = {"type": "server_tool_call", "id": call_id, "name": name, "args": arguments}
    more = {key: held for key, held in extras.items() if held is not None}
    return {**block, "extras": more} if more else block


def _result(call_id: str | None, status: str, output: Any) -> Block:
    block = {"type": "server_tool_result", "tool_call_id": call_id, "status": status}
    return block if output is None else {**block, "output": plain(output)}


def _of_openai(name: str, arguments: str, found: str = "") -> Reader:
    """Return what reads a call of OpenAI's, which holds what was found as well."""

    def read(block: Any) -> Sequence[Block]:
        given = plain_mapping(block).get(arguments)
        asked = given if isinstance(given, dict) else {arguments: given}
        call_id, status = text(block, "id"), _STATUS.get(text(block, "status") or "")
        call = _call(call_id, name, {key: held for key, held in asked.items() if held is not None})
        return [call] if status is None else [call, _result(call_id, status, at(block, found) if found else None)]

    return read


def _of_mcp(block: Any) -> Sequence[Block]:
    call_id, failed = text(block, "id"), at(block, "error")
    extras = {"tool_name": text(block, "name"), "server_label": text(block, "server_label")}
    call = _call(call_id, _MCP, parsed(text(block, "arguments") or "{}"), **extras)
    output = at(block, "output") if failed is None else failed
    return [call] if output is None else [call, _result(call_id, "success" if failed is None else "error", output)]


def _mcp_of_anthropic(block: Any) -> Sequence[Block]:
    extras = {"tool_name": text(block, "name"), "server_name": text(block, "server_name")}
    return [_call(text(block, "id"), _MCP, plain(at(block, "input")), **extras)]


def _of_anthropic(block: Any) -> Sequence[Block]:
    output = at(block, "content")
    failed = at(block, "is_error") or at(output, "error_code")
    return [_result(text(block, "tool_use_id"), "error" if failed else "success", output)]


def _of_mistral(block: Any) -> Sequence[Block]:
    given = at(block, "input")  # of a stream, whose pieces are put together
    arguments = parsed(text(block, "arguments") or "{}") if given is None else given
    return [_call(text(block, "id"), text(block, "name") or "", arguments)]


def _image(block: Any) -> Sequence[Block]:
    data = text(block, "result")
    mime_type = f"image/{text(block, 'output_format') or 'png'}"
    return () if data is None else [{"type": "image", "base64": data, "mime_type": mime_type}]


def _code_of_google(block: Any) -> Sequence[Block]:
    held = plain_mapping(at(block, "executable_code"))
    return [_call(held.pop("id", None), _CODE, held)]


def _result_of_google(block: Any) -> Sequence[Block]:
    held = at(block, "code_execution_result")
    status = _STATUS.get(text(held, "outcome") or "", "error")
    return [_result(text(held, "id"), status, at(held, "output"))]


_BLOCKS: Final[Mapping[str, Reader]] = {
    "web_search_call": _of_openai("web_search", "action"),
    "file_search_call": _of_openai("file_search", "queries", "results"),
    "code_interpreter_call": _of_openai(_CODE, "code", "outputs"),
    "image_generation_call": _image,
    "mcp_call": _of_mcp,
    "tool.execution": _of_mistral,
    "mcp_tool_use": _mcp_of_anthropic,
    ".executable_code": _code_of_google,
    ".code_execution_result": _result_of_google,
}
