"""A server whose model calls tools by a script, in each of the three dialects; its replies are not streamed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.core.suite import Api
from runner.core.tool_call import ToolCall
from tests.support.scripted_server import ReceivedRequest, ScriptedReply, json_reply

PATHS: Mapping[Api, str] = {
    "chat_completions": "chat/completions",
    "responses": "responses",
    "messages": "messages",
}

WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@dataclass(frozen=True, slots=True)
class ToolReply:
    """A reply: its text and its calls."""

    text: str = ""
    calls: Sequence[ToolCall] = ()


def call(city: str, id_: str | None = "c1", name: str = "get_weather") -> ToolCall:
    """Return a call that asks for a city's weather."""
    return ToolCall(name, f'{{"city": "{city}"}}', id_)


def answered_by(script: Callable[[str, int], ToolReply]) -> Callable[[ReceivedRequest], ScriptedReply]:
    """Return the answer function of a server; the script gets the last user message and the number of results since."""

    def answer(asked: ReceivedRequest) -> ScriptedReply:
        api = next(api for api, path in PATHS.items() if asked.target.endswith(path))
        prompt, results = _state(api, asked.json)
        return json_reply("200 OK", _WRITERS[api](script(prompt, results)))

    return answer


def results_in(api: Api, body: Mapping[str, Any]) -> list[str]:
    """Return the results of tools in a request's body."""
    if api == "responses":
        return [item["output"] for item in body["input"] if item.get("type") == "function_call_output"]
    if api == "chat_completions":
        return [message["content"] for message in body["messages"] if message["role"] == "tool"]
    contents = [message["content"] for message in body["messages"] if isinstance(message["content"], list)]
    return [block["content"] for blocks in contents for block in blocks if block["type"] == "tool_result"]


def _state(api: Api, body: Mapping[str, Any]) -> tuple[str, int]:
    """Return the last user message, and the number of messages with results after it."""
    prompt, results = "", 0
    for message in body["input" if api == "responses" else "messages"]:
        content = message.get("content")
        if message.get("type") == "function_call_output" or message.get("role") == "tool":
            results += 1
        elif message.get("role") == "user" and isinstance(content, list):
            results += sum(block["type"] == "tool_result" for block in content)
            texts = [block["text"] for block in content if block["type"] == "text"]
            prompt, results = (texts[-1], 0) if texts else (prompt, results)
        elif message.get("role") == "user":
            prompt, results = content, 0
    return prompt, results


def chat_reply(said: ToolReply, **members: str) -> dict[str, Any]:
    """Return a reply of the chat completions dialect, with further members of its message."""
    calls = [
        {"id": each.id, "type": "function", "function": {"name": each.name, "arguments": each.arguments}}
        for each in said.calls
    ]
    message = {"role": "assistant", "content": said.text or None, **members, **({"tool_calls": calls} if calls else {})}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    return {"id": "x", "object": "chat.completion", "model": "m-1", "choices": [choice], "usage": usage}


def _responses(said: ToolReply) -> dict[str, Any]:
    part = {"type": "output_text", "text": said.text, "annotations": []}
    text = [{"type": "message", "role": "assistant", "status": "completed", "content": [part]}] if said.text else []
    calls = [
        {"type": "function_call", "id": f"f{n}", "call_id": each.id, "name": each.name, "arguments": each.arguments}
        for n, each in enumerate(said.calls)
    ]
    usage = {"input_tokens": 9, "output_tokens": 4, "total_tokens": 13}
    output = [*text, *calls]
    return {
        "id": "r",
        "object": "response",
        "status": "completed",
        "model": "m-1",
        "output": output,
        "usage": usage,
    }


def _messages(said: ToolReply) -> dict[str, Any]:
    text = [{"type": "text", "text": said.text}] if said.text else []
    calls = [
        {"type": "tool_use", "id": each.id, "name": each.name, "input": each.canonical.values or {}}
        for each in said.calls
    ]
    return {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "m-1",
        "content": [*text, *calls],
        "stop_reason": "tool_use" if calls else "end_turn",
        "usage": {"input_tokens": 9, "output_tokens": 4},
    }


_WRITERS: Mapping[Api, Callable[[ToolReply], dict[str, Any]]] = {
    "chat_completions": chat_reply,
    "responses": _responses,
    "messages": _messages,
}
