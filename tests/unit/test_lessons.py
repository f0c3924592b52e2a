"""Lessons over the wire: the tutor speaks first, a scene goes on over turns and restarts, and a lesson is summed up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.clients import Answer, ask, parse, refusal, talking
from support.containers import speech_like
from support.kept_turns import said
from support.lesson import Lesson
from support.site_without_ray import Site, site_of
from support.stages import House
from support.waiting import wait_for

from serve_app.audio import wav
from serve_app.config.user_config import IngressSettings, TeachingSettings
from serve_app.lesson.conversation import Exchange
from serve_app.lesson.tutor_prompt import TutorRequest, default_prompt, messages
from serve_app.scenarios.library import shipped
from serve_app.scenarios.progress import Progress

RECORDING = wav(speech_like(1.0), 16_000)


@pytest.fixture(scope="module")
def shared() -> Iterator[Site]:
    with site_of() as running:
        yield running


@pytest.fixture
def site(shared: Site) -> Iterator[Site]:
    """One site for all; what a test left in it is gone."""
    follow_the_lists(shared)
    shared.house.llm.requests.clear()
    shared.house.cefr.earlier.clear()
    yield shared
    shared.wait_until_idle()
    httpx.delete(f"{shared.url}/api/sessions/aula")


def follow_the_lists(site: Site) -> None:
    """As the CPU stack is set: most replies are planned whole."""

    async def configure() -> None:
        site.lessons.configure(IngressSettings(teaching=TeachingSettings(follow_ups=True)))

    site.run(configure())


def post(site: Site, path: str, **body: Any) -> Answer:
    with httpx.stream("POST", f"{site.url}{path}", timeout=10, **body) as response:
        response.raise_for_status()
        return Answer(list(parse(response.iter_lines())))


def start(site: Site, **fields: str) -> Answer:
    return post(site, "/api/start", json=fields)


def finish(site: Site, session_id: str) -> Answer:
    return post(site, f"/api/sessions/{session_id}/finish")


def say(site: Site, text: str, **fields: str) -> Answer:
    site.house.stt.text = text
    return ask(site.url, RECORDING, **fields)


def kept(site: Site, session_id: str) -> list[dict[str, Any]]:
    return site.get(f"/api/sessions/{session_id}").raise_for_status().json()["turns"]


def test_the_scenarios_are_listed_free_talk_first(site: Site) -> None:
    listed = site.get("/api/scenarios").json()["scenarios"]
    assert [one["id"] for one in listed] == [one.id for one in shipped()]
    assert (listed[0]["kind"], listed[0]["steps"], listed[0]["turns"]) == ("talk", [], None)
    [padaria] = [one for one in listed if one["id"] == "padaria"]
    assert padaria["steps"][0] == {"id": "pao", "title": "Pedir o pão"}
    assert padaria["levels"] == ["A1", "B1"]
    [placement] = [one for one in listed if one["kind"] == "placement"]
    assert placement["turns"] == 5


def test_the_tutor_speaks_first(site: Site) -> None:
    turn = start(site, scenario="padaria", level="A1")
    assert turn.names == ["opening", "scenario", "delta", "response", "status tts", "audio", "complete"]
    opening = turn.one("opening")
    assert (opening["scenario"], opening["level"]) == ("padaria", "A1")
    assert turn.one("scenario") == {"id": "padaria", "step": "pao", "done": [], "goal": False}
    text = turn.one("response")["response"]
    padaria = shipped().find("padaria")
    assert padaria is not None
    assert text in padaria.opener["A"]
    assert turn.one("complete")["transcript"] == ""
    assert turn.one("complete")["timing"]["first_audio_ms"] >= 0
    [turn_kept] = kept(site, opening["session_id"])
    assert (turn_kept["kind"], turn_kept["state"], turn_kept["transcript"]) == ("start", "complete", "")
    assert turn_kept["reply"] == text
    exported = site.get(f"/api/sessions/{opening['session_id']}/export?format=markdown").text
    assert "Você" not in exported.partition("\n")[2].partition("**Parle**")[0]


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"scenario": "padaria"}},
        {"files": {"scenario": (None, "padaria")}},
        {"json": {"scenario": "padaria", "session_id": None, "order": "eager"}},
    ],
)
def test_a_start_takes_a_form_or_json(site: Site, body: dict[str, Any]) -> None:
    assert post(site, "/api/start", **body).one("opening")["scenario"] == "padaria"


def test_a_start_without_anything_is_free_talk(site: Site) -> None:
    turn = post(site, "/api/start")
    assert turn.names == ["opening", "delta", "response", "status tts", "audio", "complete"]
    assert turn.one("opening")["scenario"] == "conversa"


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"json": {"scenario": "padara"}}, 422, "did you mean 'padaria'?"),
        ({"json": {"cenario": "padaria"}}, 422, "did you mean 'scenario'?"),
        ({"json": {"scenario": ["padaria"]}}, 422, "must be a plain value"),
        ({"content": b"[1]"}, 422, "Send a form, or a JSON object"),
        ({"content": b"{"}, 422, "Send a form, or a JSON object"),
        ({"content": b"x" * 100_000}, 413, "larger than 20 kB"),
        ({"json": {"voice": "nobody"}}, 422, "There is no voice 'nobody'"),
    ],
)
def test_a_start_that_cannot_be_is_refused_with_what_would_be_right(
    site: Site, body: dict[str, Any], status: int, says: str
) -> None:
    answer = httpx.post(f"{site.url}/api/start", **body)
    assert refusal(answer)[0] == status
    assert says in answer.json()["message"]
    assert site.activity()["turns"] == 0


def test_a_turn_with_an_unknown_scenario_is_refused(site: Site) -> None:
    answer = httpx.post(f"{site.url}/api/stream-audio", files={"audio": RECORDING}, data={"scenario": "padara"})
    assert refusal(answer) == (422, "invalid_field")
    with talking(site.url) as talk:
        talk.tell({"type": "settings", "scenario": "padara"})
        assert "did you mean 'padaria'?" in talk.next().data["message"]
        talk.tell({"type": "start", "scenario": "padaria"})
        assert "send 'settings' before it" in talk.next().data["message"]


def test_a_scene_is_played_to_its_goal_which_is_said_once(site: Site) -> None:
    session_id = start(site, scenario="padaria", level="A1").one("opening")["session_id"]
    heard = ["Bom dia, eu quero três pão.", "Um café.", "Quanto é?", "Eu pago com cartão.", "Tudo bem?"]
    turns = [say(site, text, session_id=session_id, level="A1") for text in heard]
    news = [turn.one("scenario") for turn in turns[:4]]
    assert [one["step"] for one in news] == ["bebida", "preco", "pagar", None]
    assert [one["goal"] for one in news] == [False, False, False, True]
    assert news[-1]["done"] == ["pao", "bebida", "preco", "pagar"]
    assert "Você quer três pães." in turns[0].one("response")["response"]
    assert turns[0].one("correction")["better"] == "pães"
    assert turns[4].all("scenario") == []
    assert site.house.llm.requests == []


def test_the_opening_is_no_utterance(site: Site) -> None:
    session_id = start(site).one("opening")["session_id"]
    assert say(site, "Eu moro em Recife.", session_id=session_id).one("level")["utterances"] == 1
    assert site.house.cefr.earlier == [()]


def test_a_scene_goes_on_after_a_restart_without_being_named(tmp_path: Path) -> None:
    where = f"sqlite:///{tmp_path}/aulas.sqlite3"
    with site_of(kept=where) as site:
        follow_the_lists(site)
        start(site, scenario="padaria", level="A1", session_id="aula")
        say(site, "Eu quero três pães.", session_id="aula", level="A1")
    with site_of(kept=where) as site:
        follow_the_lists(site)
        turn = say(site, "Um café, por favor.", session_id="aula", level="A1")
        assert turn.one("scenario") == {"id": "padaria", "step": "preco", "done": ["pao", "bebida"], "goal": False}
        again = start(site, session_id="aula", level="A1")
        assert again.one("response")["response"].startswith("Vamos continuar!")
        assert finish(site, "aula").one("summary")["scenario"]["done"] == ["pao", "bebida"]
        assert [one["kind"] for one in kept(site, "aula")] == ["start", "turn", "turn", "start", "finish"]


def test_another_scenario_begins_at_its_beginning(site: Site) -> None:
    start(site, scenario="padaria", session_id="aula")
    say(site, "Eu quero três pães.", session_id="aula")
    assert say(site, "Somos dois.", session_id="aula", scenario="restaurante").one("scenario")["done"] == ["mesa"]
    assert say(site, "Eu gosto daqui.", session_id="aula", scenario="conversa").all("scenario") == []


def test_a_model_that_writes_knows_role_and_goal_and_the_roles_alternate() -> None:
    with site_of() as site:
        start(site, scenario="padaria", session_id="aula")
        for text in ("Você tem cachorro?", "Você gosta daqui?"):
            say(site, text, session_id="aula")
        first, second = site.house.llm.requests
    for request in (first, second):
        dialogue = messages(default_prompt(), request)
        roles = [one["role"] for one in dialogue[1:]]
        assert roles == (["user", "assistant"] * len(roles))[: len(roles)]
        scene = dialogue[1 + 2 * len(default_prompt().examples)]["content"]
        assert "You are Seu Jorge" in scene
        assert "The learner's goal: Comprar pão" in scene
    assert first.history[0].learner == second.history[0].learner  # the prompt's beginning stays as it was


def test_an_opening_alone_is_a_dialogue_that_chat_templates_take() -> None:
    history = (Exchange("", "Oi, tudo bem?", "A2"), Exchange("", "Até a próxima!", "A2"))
    dialogue = messages(default_prompt(), TutorRequest("Oi!", "A2", history))
    roles = [one["role"] for one in dialogue[1 + 2 * len(default_prompt().examples) :]]
    assert roles == ["user", "assistant", "user", "assistant", "user"]
    assert all(one["content"] for one in dialogue)


def test_a_lesson_is_summed_up_as_data_and_aloud(site: Site) -> None:
    start(site, scenario="padaria", level="A1", session_id="aula")
    for text in ("Eu quero três pão.", "Eu quer manteiga e café.", "Eu quer saber quanto custa."):
        say(site, text, session_id="aula", level="A1")
    turn = finish(site, "aula")
    assert turn.names == ["summary", "delta", "response", "status tts", "audio", "complete"]
    summary = turn.one("summary")
    assert (summary["turns"], summary["level"]) == (3, "A1")
    assert summary["scenario"] == {"id": "padaria", "done": ["pao", "bebida", "preco"], "goal": False}
    assert summary["went_well"][0] == {
        "kind": "steps",
        "text": 'Na cena "Na padaria" você fez 3 de 4 passos.',
        "done": 3,
        "steps": 4,
    }
    first, second = summary["practise"]
    assert (first["said"], first["better"], first["rule"], first["times"]) == ("quer", "quero", "person", 2)
    assert (second["better"], second["times"]) == ("pães", 1)
    assert first["message"]
    assert "manteiga" in summary["new_words"]
    assert turn.one("response")["response"] == summary["message"]
    assert 'A gente diz "quero"' in summary["message"] or 'a gente diz "quero"' in summary["message"]
    assert kept(site, "aula")[-1]["kind"] == "finish"


def test_the_conversation_goes_on_after_its_summary_and_the_next_one_begins_there(site: Site) -> None:
    start(site, scenario="padaria", level="A1", session_id="aula")
    say(site, "Eu quero três pão.", session_id="aula", level="A1")
    finish(site, "aula")
    assert say(site, "Um café.", session_id="aula", level="A1").one("scenario")["done"] == ["pao", "bebida"]
    summary = finish(site, "aula").one("summary")
    assert (summary["turns"], summary["practise"]) == (1, [])


def test_an_empty_lesson_is_told_to_be_one(site: Site) -> None:
    start(site, session_id="aula")
    for session_id in ("aula", "nunca-vista"):
        turn = finish(site, session_id)
        assert turn.one("summary") == {
            "went_well": [],
            "practise": [],
            "new_words": [],
            "minutes": 0.0,
            "turns": 0,
            "level": "A2",
            "scenario": None,
            "message": "Ainda não conversamos nesta aula. Quando quiser, é só falar comigo!",
        }
        assert turn.all("audio")
    assert httpx.post(f"{site.url}/api/sessions/a%20b/finish").status_code == 404


def test_over_a_websocket_the_tutor_opens_and_sums_up(site: Site) -> None:
    with talking(site.url) as talk:
        talk.tell({"type": "settings", "scenario": "padaria", "session_id": "aula"})
        assert talk.next().data["scenario"] == "padaria"
        talk.tell({"type": "start"})
        assert talk.until("complete").one("opening")["session_id"] == "aula"
        site.house.stt.text = "Eu quero três pães."
        assert talk.ask(RECORDING).one("scenario")["done"] == ["pao"]
        talk.tell({"type": "finish"})
        assert talk.until("complete").one("summary")["turns"] == 1


def test_an_opening_can_be_interrupted_and_what_was_heard_of_it_stays() -> None:
    house = House()
    house.tts.part_s = 0.05
    house.tts.parts = 5
    with site_of(house) as site:
        follow_the_lists(site)
        with talking(site.url) as talk:
            talk.tell({"type": "settings", "scenario": "padaria", "session_id": "aula", "level": "A1"})
            talk.next()
            talk.tell({"type": "start"})
            talk.until("audio")
            house.stt.text = "Eu quero três pães."
            talk.say(RECORDING)
            talk.until("cancelled")
            assert talk.until("complete").one("scenario")["done"] == ["pao"]
        first, second = kept(site, "aula")
    assert (first["kind"], first["state"]) == ("start", "interrupted")
    assert (second["kind"], second["state"]) == ("turn", "complete")


def test_a_placement_talk_ends_with_its_result(site: Site) -> None:
    session_id = start(site, scenario="nivelamento").one("opening")["session_id"]
    turns = [say(site, "Eu moro numa cidade pequena.", session_id=session_id) for _ in range(5)]
    assert [turn.one("scenario")["step"] for turn in turns] == ["2", "3", "4", "5", None]
    assert [len(turn.all("placement")) for turn in turns] == [0, 0, 0, 0, 1]
    placement = turns[-1].one("placement")
    assert (placement["level"], placement["low"], placement["high"], placement["turns"]) == ("B1", "B1", "B1", 5)
    assert turns[-1].one("response")["response"].startswith(placement["message"])
    assert turns[-1].one("scenario")["goal"]


async def test_a_scenario_that_is_gone_leaves_free_talk() -> None:
    lesson = Lesson(House())
    async with lesson.store.turn("aula") as turn:
        after = replace(turn.conversation.with_exchange(Exchange("Oi.", "Olá!")), scenario=Progress("demolida"))
        turn.write(said(1), after)
    events = await lesson.take()
    assert events[-1].name == "complete"
    assert not [event for event in events if event.name == "scenario"]


def test_an_operators_folder_is_read_when_the_settings_change(site: Site, tmp_path: Path) -> None:
    wait_for(lambda: site.get("/readyz").status_code == 200, 5, "the site")
    text = Path("docs/lessons.md").read_text("utf-8").partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "taxi.yaml").write_text(text, "utf-8")

    async def configure() -> None:
        teaching = TeachingSettings(follow_ups=True, scenarios_folder=tmp_path)
        site.lessons.configure(IngressSettings(teaching=teaching))

    site.run(configure())
    assert start(site, scenario="taxi").one("response")["response"] == "Boa tarde! Para onde vamos?"
