"""What helps a learner to learn from a turn: the correction, the answer again and slowly, and both over a reload."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator
from support.site_without_ray import Site
from support.stages import Voice

from browser.learner import Learner
from browser.lesson import FIRST, MISTAKE

HEARD = "Ouvir o que eu disse"
ANSWER = "Ouvir a resposta"
GONE = "Este som já não existe: só fica o das últimas falas, por um dia no máximo."
NOT_KEPT = "Este navegador não guarda som quando a página recarrega."

KEEP = """async () => {
  const { Sounds } = await import('/web/sounds.js');
  const recording = new Blob(['x'], { type: 'audio/webm' });
  const keep = (sounds, session, sound, bytes) =>
    sounds.keep(session, { sound, recording, pieces: [new ArrayBuffer(bytes)] });
  const kept = async (sounds) => [...(await sounds.load(['a', 'b', 'c', 'd'])).keys()].join('');
  const found = {};

  const few = new Sounds({ turns: 2, bytes: 100, ms: 60_000 });
  for (const key of ['a', 'b', 'c']) await keep(few, 'one', key, 10);
  found.turns = await kept(few);
  await keep(few, 'one', 'd', 90);
  found.bytes = await kept(few);
  const again = (await new Sounds().load(['d'])).get('d');
  found.again = [again.recording.type, await again.recording.text(), again.pieces.map(({ byteLength }) => byteLength)];
  await keep(few, 'two', 'a', 5);
  await few.forget('one');
  found.session = await kept(few);
  await new Promise((done) => setTimeout(done, 5));
  found.age = await kept(new Sounds({ turns: 2, bytes: 100, ms: 1 }));
  return found;
}"""


def test_a_mistake_is_corrected_under_what_was_said_and_doubt_looks_unlike_it(learner: Learner) -> None:
    learner.ask(MISTAKE)
    [correction] = learner.events("correction")
    line = learner.page.locator(".learner")
    assert line.locator(".said").inner_text().strip() == MISTAKE
    assert line.locator(".correction del").inner_text() == correction["said"] == "está"
    assert line.locator(".correction ins").inner_text() == correction["better"] == "estou"
    assert line.locator(".correction p").first.inner_text() == "Eu está estou muito triste hoje."
    assert line.locator(".correction .message").inner_text() == correction["message"]
    [doubtful] = line.locator(".doubtful").all()
    assert doubtful.inner_text() == "triste"
    assert "não são erros seus" in learner.sees.lower()
    assert decoration(doubtful) == "underline dotted"
    assert decoration(line.locator(".correction del")) == "line-through solid"
    assert decoration(line.locator(".correction ins")) == "underline solid"


def test_slowly_says_the_last_answer_again_without_a_new_one(learner: Learner, site: Site) -> None:
    learner.ask(FIRST)
    asked = len(voice_of(site).asked)
    spoken_s = sum(piece["ends"] - piece["at"] for piece in learner.scheduled)
    slow = learner.page.get_by_role("button", name=re.compile("^Falar devagar"))
    slow.click()
    learner.until("speaking", seconds=10)
    learner.until("ready", seconds=20)
    files = learner.files_played
    assert [(file["rate"], file["pitch"]) for file in files] == [(0.75, True)] * learner.pieces
    assert sum(file["lasted"] for file in files) == pytest.approx(spoken_s / 0.75, rel=0.15)
    slow.click()  # off: the next answers are as quick as before, and nothing is said again
    learner.wait(0.3)
    assert learner.state == "ready"
    assert len(voice_of(site).asked) == asked


def test_either_line_can_be_heard_again_also_after_a_reload_or_says_why_not(learner: Learner) -> None:
    learner.ask(FIRST)
    listen(learner)
    learner.page.reload()
    learner.until("ready")
    listen(learner)

    learner.page.evaluate("() => { indexedDB.deleteDatabase('parle'); }")
    learner.page.reload()
    says_why(learner, GONE)
    learner.page.add_init_script("Object.defineProperty(window, 'indexedDB', { value: undefined });")
    learner.page.reload()
    says_why(learner, NOT_KEPT)


def test_of_the_sounds_the_newest_are_kept_until_their_conversation_is_left(learner: Learner) -> None:
    assert learner.page.evaluate(KEEP) == {
        "turns": "bc",
        "bytes": "d",
        "again": ["audio/webm", "x", [90]],
        "session": "a",
        "age": "",
    }


def listen(learner: Learner) -> None:
    """Hear the two lines of the turn, and stop each."""
    for name in (ANSWER, HEARD):
        before = learner.samples_played
        learner.button(name).click()
        learner.wait_for(
            lambda before=before: learner.hears_something and learner.samples_played > before,
            f"the sound of {name!r}",
            10,
        )
        learner.button("Parar de ouvir").click()
        learner.until("ready")


def says_why(learner: Learner, why: str) -> None:
    """In the place of each line's button, and on the page when one is pressed all the same."""
    learner.until("ready")
    learner.wait_for(lambda: learner.button(why).count() == 2, f"the two buttons {why!r}", 10)
    assert learner.button(HEARD).or_(learner.button(ANSWER)).count() == 0
    button = learner.button(why).first
    assert button.get_attribute("title") == why
    assert why not in learner.sees
    button.click(force=True)  # it looks disabled; a tap is how a phone learns why
    assert why in learner.sees


def decoration(words: Locator) -> str:
    return words.evaluate("""(node) => {
      const { textDecorationLine, textDecorationStyle } = getComputedStyle(node);
      return `${textDecorationLine} ${textDecorationStyle}`;
    }""")


def voice_of(site: Site) -> Voice:
    assert isinstance(site.house.tts, Voice)
    return site.house.tts


def test_the_tutors_sentence_is_repeated_and_each_word_gets_a_verdict_in_words(learner: Learner, site: Site) -> None:
    learner.ask(FIRST)
    asked = learner.page.locator(".tutor .reply").inner_text()
    learner.button("Repetir: dizer esta frase").click()
    sentence = learner.page.locator(".repeat p[lang]").inner_text()
    assert asked.endswith(sentence)
    learner.say(FIRST)
    words = learner.page.locator(".scores li")
    words.last.wait_for(timeout=20_000)
    assert words.locator("span").all_inner_texts() == sentence.split()
    assert words.locator("small").all_inner_texts()[:2] == [
        "clara",
        f"pouco clara: pareceu “{sentence.split()[1][:-1]}”",
    ]
    assert len(learner.events("transcript")) == 1  # no turn of the conversation
    assert f"stt scores {sentence}" in site.house.log
