"""POST /v1/chat/completions through OpenAI's SDK, over stages without models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import APIError, BadRequestError, NotFoundError, OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from support.clients import asked
from support.openai_sdk import checked, fault, sdk
from support.site_without_ray import Site, site_of
from support.stages import House
from support.waiting import wait_for

from serve_app.config.user_config import TutorPrompt
from serve_app.errors import StageFailed
from serve_app.lesson.stage_protocols import ChatRequest
from serve_app.lesson.tutor_prompt import chat_messages, default_prompt, prefix
from serve_app.protocols import Message
from serve_app.routes.openai_chat_fields import as_dialogue

REPLY = "Que legal! Você gosta muito de futebol. E qual é o seu time?"
OI: list[Any] = [{"role": "user", "content": "Oi!"}]


@pytest.fixture
def site() -> Iterator[Site]:
    with site_of() as site:
        yield site


@pytest.fixture(scope="module")
def whole() -> Iterator[Site]:
    """A site that no test harms."""
    with site_of() as site:
        yield site


@pytest.fixture
def client(site: Site) -> OpenAI:
    return sdk(site.url)


def test_a_message_is_answered(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="gpt-4o-mini", messages=OI)
    ChatCompletion.model_validate(answer.to_dict(), strict=True)
    [choice] = answer.choices
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", REPLY, "stop")
    assert answer.model == "wheel:qwen2.5-coder-1.5b-instruct"
    assert answer.usage is not None
    words = len(REPLY.split())
    used = (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens)
    assert used == (100, words, 100 + words)


def test_a_stream_brings_the_words_as_they_are_written(client: OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="gpt-4o", messages=OI, stream=True))
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk.to_dict(), strict=True)
    assert len({chunk.id for chunk in chunks}) == 1
    first, *rest, last = [chunk.choices[0] for chunk in chunks]
    assert (first.delta.role, first.delta.content) == ("assistant", "")
    assert [one.delta.content for one in rest][:2] == ["Que", " legal!"]
    assert "".join(one.delta.content or "" for one in rest) == REPLY
    assert (last.delta.content, last.finish_reason) == (None, "stop")


def test_the_usage_is_the_last_chunk_if_it_was_asked_for(client: OpenAI) -> None:
    options: Any = {"include_usage": True}
    chunks = list(client.chat.completions.create(model="gpt-4o", messages=OI, stream=True, stream_options=options))
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == len(REPLY.split())
    assert chunks[-2].choices[0].finish_reason == "stop"


def test_the_stream_is_written_as_openai_writes_it(site: Site) -> None:
    answer = httpx.post(f"{site.url}/v1/chat/completions", json={"messages": OI, "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [line for line in answer.text.splitlines() if line]
    assert all(line.startswith("data: {") for line in lines[:-1])
    assert lines[-1] == "data: [DONE]"


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_short_answer_says_that_it_was_cut(client: OpenAI, name: str) -> None:
    fields: Any = {name: 3}
    answer = client.chat.completions.create(model="gpt-4o", messages=OI, **fields)
    assert answer.choices[0].message.content == "Que legal! Você"
    assert answer.choices[0].finish_reason == "length"


def test_what_is_chosen_reaches_the_model(site: Site, client: OpenAI) -> None:
    client.chat.completions.create(
        model="gpt-4o",
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Oi!"}, {"type": "text", "text": "Tudo bem?"}]},
            {"role": "assistant", "content": "Tudo."},
            {"role": "user", "content": "E agora?"},
        ],
        temperature=0,
        top_p=0.9,
        seed=7,
        stop="\n",
        max_completion_tokens=20,
        user="ana",
        metadata={"a": "b"},
        n=1,
        tools=[],
        response_format={"type": "text"},
        presence_penalty=0,
    )
    client.chat.completions.create(model="gpt-4o", messages=OI)
    messages = (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Oi!\nTudo bem?"},
        {"role": "assistant", "content": "Tudo."},
        {"role": "user", "content": "E agora?"},
    )
    assert site.house.llm.chats == [
        ChatRequest(messages, 20, 0.0, 0.9, 7, ("\n",)),  # type: ignore[arg-type]
        ChatRequest(({"role": "user", "content": "Oi!"},), 512),
    ]


def _parts(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"tools": [{"type": "function", "function": {"name": "x"}}]}, "unsupported_parameter", "tools"),
        ({"n": 2}, "unsupported_parameter", "n"),
        ({"n": True}, "unsupported_parameter", "n"),
        ({"logprobs": True}, "unsupported_parameter", "logprobs"),
        ({"response_format": {"type": "json_object"}}, "unsupported_parameter", "response_format"),
        ({"presence_penalty": 0.5}, "unsupported_parameter", "presence_penalty"),
        ({"modalities": ["text", "audio"]}, "unsupported_parameter", "modalities"),
        ({"reasoning_effort": "high"}, "unsupported_parameter", "reasoning_effort"),
        ({"max_tokens": 513}, "invalid_value", "max_tokens"),
        ({"max_tokens": 0}, "invalid_value", "max_tokens"),
        ({"max_tokens": "many"}, "invalid_value", "max_tokens"),
        ({"temperature": 2.5}, "invalid_value", "temperature"),
        ({"top_p": 0}, "invalid_value", "top_p"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "invalid_value", "stop"),
        ({"stop": [""]}, "invalid_value", "stop.0"),
        ({"stream": "yes"}, "invalid_value", "stream"),
        ({"stream_options": {"usage": True}}, "invalid_value", "stream_options.usage"),
        ({"temprature": 1}, "unknown_parameter", "temprature"),
        ({"messages": []}, "invalid_value", "messages"),
        ({"messages": "Oi"}, "invalid_value", "messages"),
        ({"messages": [7]}, "invalid_value", "messages.0"),
        ({"messages": [{"role": "user"}]}, "invalid_value", "messages[0].content"),
        ({"messages": [{"role": "learner", "content": "Oi"}]}, "invalid_value", "messages[0].role"),
        ({"messages": [{"role": "system", "content": "x"}]}, "invalid_value", "messages"),
        ({"messages": [{"role": "assistant", "content": "x"}, *OI]}, "invalid_value", "messages"),
        ({"messages": [*OI, {"role": "tool", "content": "x", "tool_call_id": "1"}]}, "invalid_value", "messages[1]"),
        (
            {"messages": [*OI, {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}]},
            "invalid_value",
            "messages[1]",
        ),
        (
            {"messages": [_parts({"type": "image_url", "image_url": {"url": "x"}})]},
            "invalid_value",
            "messages[0].content[0]",
        ),
        (
            {"messages": [_parts({"type": "text", "text": "a"}, {"type": "input_audio"})]},
            "invalid_value",
            "messages[0].content[1]",
        ),
        (
            {"messages": [_parts({"type": "text"})]},
            "invalid_value",
            "messages[0].content[0].text",
        ),
        ({"messages": [_parts(None)]}, "invalid_value", "messages[0].content[0]"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(whole: Site, fields: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        sdk(whole.url).chat.completions.create(model="gpt-4o", messages=OI, extra_body=fields)
    assert fault(refused.value) == (400, code, param)


def test_the_refusal_names_what_is_not_understood(client: OpenAI) -> None:
    picture: Any = [_parts({"type": "image_url", "image_url": {"url": "x"}})]
    with pytest.raises(BadRequestError, match="only parts of the type 'text' are understood, not 'image_url'"):
        client.chat.completions.create(model="gpt-4o", messages=picture)
    with pytest.raises(BadRequestError, match="513 is more than the 512 tokens"):
        client.chat.completions.create(model="gpt-4o", messages=OI, max_tokens=513)


def test_an_unknown_model_is_refused_with_the_nearest(client: OpenAI) -> None:
    with pytest.raises(NotFoundError, match="did you mean 'gpt-4o-mini'") as refused:
        client.chat.completions.create(model="gpt-5o-mini", messages=OI)
    assert fault(refused.value) == (404, "model_not_found", "model")


def test_a_conversation_longer_than_the_context(site: Site, client: OpenAI) -> None:
    site.house.llm.most_exchanges = 2
    with pytest.raises(BadRequestError) as refused:
        client.chat.completions.create(model="gpt-4o", messages=[*OI, {"role": "assistant", "content": "Oi."}, *OI])
    assert fault(refused.value) == (400, "context_length_exceeded", "messages")


@pytest.mark.parametrize("stream", [True, False])
def test_a_model_that_fails_at_once_is_an_http_error(site: Site, stream: bool) -> None:
    site.house.llm.work.fails_with = StageFailed("The model is gone.", code="stage_lost", status=503, retry_after_s=5)
    answer = httpx.post(f"{site.url}/v1/chat/completions", json={"messages": OI, "stream": stream})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert checked(answer)["code"] == "stage_lost"


def test_a_model_that_fails_in_the_middle_ends_the_stream_with_an_error(site: Site, client: OpenAI) -> None:
    site.house.llm.work.fails_with = StageFailed("The model is gone.")
    site.house.llm.work.fails_after = 3
    chunks = client.chat.completions.create(model="gpt-4o", messages=OI, stream=True)
    read = [next(chunks).choices[0].delta.content for _ in range(4)]
    assert read == ["", "Que", " legal!", " Você"]
    with pytest.raises(APIError, match="The model is gone"):
        next(chunks)


def test_a_fault_of_ours_in_the_middle_is_logged_whole_and_told_in_general(
    site: Site, client: OpenAI, caplog: pytest.LogCaptureFixture
) -> None:
    site.house.llm.work.fails_with = RuntimeError("no such slot: 7")
    site.house.llm.work.fails_after = 1
    with pytest.raises(APIError, match="The server failed") as told:
        list(client.chat.completions.create(model="gpt-4o", messages=OI, stream=True))
    assert "slot" not in str(told.value)
    [logged] = [record for record in caplog.records if "failed in the middle" in record.getMessage()]
    assert logged.exc_info is not None
    assert logged.exc_info[0] is RuntimeError


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_hangs_up_stops_the_model(site: Site, stream: bool) -> None:
    site.house.llm.word_s = 30.0
    with asked(site.url, "/v1/chat/completions", {"messages": OI, "stream": stream}):
        wait_for(lambda: site.house.llm.work.running == 1, 30, "the model to begin")
    site.wait_until_idle()
    assert site.house.llm.work.stopped == 1


def test_a_client_that_hangs_up_in_the_middle_stops_the_model(site: Site, client: OpenAI) -> None:
    site.house.llm.word_s = 0.2
    with client.chat.completions.create(model="gpt-4o", messages=OI, stream=True) as stream:
        next(iter(stream))
    site.wait_until_idle()
    assert site.house.llm.work.stopped == 1


def test_an_answer_that_takes_too_long_is_stopped() -> None:
    house = House()
    house.llm.word_s = 0.4
    with site_of(house, limits={"turn_s": 1.0}) as site:
        answer = httpx.post(f"{site.url}/v1/chat/completions", json={"messages": OI})
        assert (answer.status_code, checked(answer)["code"]) == (504, "turn_timeout")
        site.wait_until_idle()
    assert house.llm.work.stopped == 1


GARBAGE: list[bytes] = [
    b"",
    b"null",
    b"[]",
    b'"messages"',
    b"{",
    b"\xff\xfe{}",
    b"[" * 200_000,
    b'{"messages":' * 50_000,
    json.dumps({"messages": [{"role": "user", "content": "\ud83d"}]}).encode(),
    b'{"messages": [{"role": "user", "content": "x"}], "temperature": NaN}',
    b'{"messages": [{"role": "user", "content": "x"}], "temperature": 1e999}',
    b'{"messages": [{"role": "user", "content": "x"}], "max_tokens": 1' + b"0" * 5000 + b"}",
    b'{"messages": [{"role": "user", "content": "x"}], "seed": -1}',
    b'{"messages": [{"role": {"a": 1}, "content": "x"}]}',
    b'{"messages": [{"role": "user", "content": {"a": 1}}]}',
    json.dumps({"x" * 5000: 1, "messages": []}).encode(),
    json.dumps({"model": ["gpt-4o"], "messages": OI}).encode(),
    json.dumps({"messages": OI * 1001}).encode(),
]


@pytest.mark.parametrize("body", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_is_refused_in_openais_form(whole: Site, body: bytes) -> None:
    asked = len(whole.house.llm.chats)
    answer = httpx.post(f"{whole.url}/v1/chat/completions", content=body)
    assert answer.status_code == 400
    assert len(checked(answer)["message"]) < 1500
    assert len(whole.house.llm.chats) == asked
    whole.wait_until_idle()


def test_a_body_over_a_megabyte_is_refused(site: Site) -> None:
    answer = httpx.post(f"{site.url}/v1/chat/completions", content=b" " * 1_200_000)
    assert (answer.status_code, checked(answer)["code"]) == (413, "too_large")


# --- the messages ------------------------------------------------------------------------------------------


def test_neighbours_of_a_role_are_joined_and_the_systems_come_first() -> None:
    given = [
        {"role": "user", "content": "a"},
        {"role": "system", "content": "s"},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "c"},
        {"role": "assistant", "content": "d"},
        {"role": "developer", "content": "t"},
    ]
    assert as_dialogue(given) == (
        {"role": "system", "content": "s\n\nt"},
        {"role": "user", "content": "a\n\nb"},
        {"role": "assistant", "content": "c\n\nd"},
    )


def test_without_a_system_message_the_tutors_prompt_comes_first() -> None:
    prompt = default_prompt()
    said: list[Message] = [
        {"role": "user", "content": "Oi!"},
        {"role": "assistant", "content": "Oi, tudo bem?"},
        {"role": "user", "content": "Tudo."},
    ]
    messages = chat_messages(prompt, said)
    assert messages[: len(prefix(prompt))] == prefix(prompt)
    assert [message["content"] for message in messages[-3:]] == ["[A2] Oi!", "Oi, tudo bem?", "[A2] Tudo."]
    own: list[Message] = [{"role": "system", "content": "You are a pirate."}, *said]
    assert chat_messages(TutorPrompt(system="x"), own) == own
