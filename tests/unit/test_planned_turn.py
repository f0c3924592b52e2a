"""A turn whose reply is begun by the planner, over stages without models."""

from __future__ import annotations

from functools import partial

from support.lesson import Lesson
from support.stages import House

from serve_app.config.user_config import CorrectionStyle
from serve_app.lesson.events import Complete, Corrected, Delta, Response, Spoken
from serve_app.protocols import ReplyForm
from serve_app.teaching.follow_ups import all_questions
from serve_app.teaching.openings import openings
from serve_app.teaching.planner import plan


def house(said: str, goes_on: str = "") -> House:
    house = House()
    house.stt.text = said
    house.llm.reply_text = goes_on
    house.llm.word_s = 0.02
    house.cefr.level = "A2"
    return house


async def test_the_opening_is_spoken_before_the_model_writes() -> None:
    stages = house("Eu perdi minha carteira.", " sua carteira. Onde você estava?")
    events = await Lesson(stages, planner=plan).take()
    opening = stages.tts.asked[0][0]
    assert opening in openings()["sad"]
    assert stages.log.index(f"tts {opening}") < min(i for i, entry in enumerate(stages.log) if entry.startswith("llm"))
    [response] = [event for event in events if isinstance(event, Response)]
    assert response.response == f"{opening} Você perdeu sua carteira. Onde você estava?"
    assert "".join(event.text for event in events if isinstance(event, Delta)) == response.response
    assert " ".join(text for text, _, _ in stages.tts.asked) == response.response


async def test_the_model_is_given_what_is_said_already() -> None:
    stages = house("Eu perdi minha carteira.", " sua carteira. Onde você estava?")
    await Lesson(stages, planner=plan).take()
    [request] = stages.llm.requests
    assert request.begin.endswith(" Você perdeu")
    assert request.form is not None
    assert request.form.sentence


async def test_a_reply_that_is_planned_whole_asks_no_model() -> None:
    stages = house("Tchau, até amanhã!")
    lesson = Lesson(stages, planner=plan)
    events = await lesson.take()
    assert stages.llm.requests == []
    assert isinstance(events[-1], Complete)
    assert events[-1].response in openings()["goodbye"]
    assert [event.text for event in events if isinstance(event, Spoken)]
    assert (await lesson.conversation()).exchanges[-1].tutor == events[-1].response


async def test_two_turns_of_a_conversation_open_differently() -> None:
    stages = house("Eu perdi minha carteira.", " sua carteira. Onde você estava?")
    lesson = Lesson(stages, planner=plan)
    await lesson.take()
    await lesson.take()
    first, second = (exchange.tutor.split(".")[0] for exchange in (await lesson.conversation()).exchanges)
    assert first != second


async def test_a_question_from_the_list_comes_after_what_the_model_wrote() -> None:
    stages = house("Você acha que o futebol é importante?", " é importante para muita gente.")
    [*_, complete] = await Lesson(stages, planner=partial(plan, follow_ups=True)).take()
    [request] = stages.llm.requests
    assert request.begin.endswith(". Eu acho que")
    assert request.form == ReplyForm(sentence=True, asks=False)
    assert isinstance(complete, Complete)
    _, begun, question = complete.response.split(". ")
    assert begun == "Eu acho que é importante para muita gente"
    assert question in set(all_questions())
    assert " ".join(text for text, _, _ in stages.tts.asked) == complete.response


async def test_with_questions_from_the_list_a_statement_asks_no_model() -> None:
    stages = house("Eu perdi minha carteira.")
    [*_, complete] = await Lesson(stages, planner=partial(plan, follow_ups=True)).take()
    assert stages.llm.requests == []
    assert isinstance(complete, Complete)
    assert " Você perdeu sua carteira. " in complete.response
    assert complete.response.endswith(tuple(all_questions()))


async def corrected(style: CorrectionStyle) -> tuple[list[Corrected], str]:
    stages = house("Eu tem um gato preto.", " Onde você mora?")
    lesson = Lesson(stages, planner=plan, correction=style)
    events = await lesson.take()
    [response] = [event.response for event in events if isinstance(event, Response)]
    return [event for event in events if isinstance(event, Corrected)], response


async def test_an_error_is_an_event_and_said_right_in_passing() -> None:
    [event], response = await corrected("recast")
    assert event.data() == {
        "span": (3, 6),
        "said": "tem",
        "better": "tenho",
        "rule": "person",
        "message": "Com “eu”, a gente diz “tenho”.",
        "confidence": 0.9,
        "shown": True,
    }
    assert "Você tem um gato preto." in response


async def test_each_style_treats_an_error_its_own_way() -> None:
    _, explicit = await corrected("explicit")
    assert 'A gente diz "Eu tenho um gato preto".' in explicit
    _, prompt = await corrected("prompt")
    assert prompt.endswith('A gente diz "tem" ou "tenho"?')
    events, _ = await corrected("none")
    assert events == []
