"""A lesson in a browser: talked with, interrupted, reloaded, cut off; by pointer and by keyboard, on a phone."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Route, ViewportSize, expect
from support.clients import talking
from support.site_without_ray import Site, site_of

from browser.chromium import Microphone
from browser.learner import CUT_OFF, Learner, visiting
from browser.lesson import BROTHER, FIRST, GIRLFRIEND, MARKET, MISTAKE, REPLIES, SECOND, THIRD, answered_aloud

PHONE: dict[str, Any] = {
    "viewport": {"width": 360, "height": 740},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
SMALLEST: tuple[ViewportSize, ...] = ({"width": 360, "height": 640}, {"width": 320, "height": 640})
"""Screens of small phones."""
TOO_WIDE = """() => [...document.querySelectorAll('body *')].filter((node) => {
  const { left, right, width } = node.getBoundingClientRect();
  return width > 0 && (left < 0 || right > innerWidth) && !node.closest('.unseen');
}).map((node) => node.outerHTML.slice(0, 100))"""
TOO_LONG_TO_READ = """() => {
  const inside = [...document.querySelectorAll('dialog *')];
  const cut = inside.filter((node) => node.clientWidth && node.scrollWidth > node.clientWidth);
  const pen = document.createElement('canvas').getContext('2d');
  const options = [...document.querySelectorAll('dialog option')].filter(({ parentNode: select, text }) => {
    const style = getComputedStyle(select);
    pen.font = style.font;
    const arrow = 24;
    return pen.measureText(text).width > select.clientWidth - 2 * parseFloat(style.paddingLeft) - arrow;
  });
  return [...cut, ...options].map((node) => node.outerHTML.slice(0, 100));
}"""
"""Texts of the settings that their place has no room for."""

# --- talk --------------------------------------------------------------------------------------------------


def test_a_turn_over_quick_stages_is_heard_and_answered_word_for_word(learner: Learner) -> None:
    complete = answered_aloud(learner, FIRST)
    assert (complete["transcript"], complete["response"]) == (FIRST, REPLIES[FIRST])


def test_three_turns_are_one_conversation(learner: Learner) -> None:
    turns = [learner.ask(text) for text in (FIRST, SECOND, THIRD)]
    assert [level["utterances"] for level in learner.events("level")] == [1, 2, 3]
    assert len({transcript["session_id"] for transcript in learner.events("transcript")}) == 1
    for turn in turns:
        assert learner.sees_line(turn["transcript"])
        assert learner.sees_line(turn["response"])
    chart = learner.page.get_by_role("img", name=re.compile("Nível estimado ao longo de 3 falas"))
    assert chart.is_visible()


@pytest.mark.usefixtures("slow_voice")
def test_speaking_again_interrupts_the_answer(learner: Learner) -> None:
    learner.say(FIRST)
    learner.until("speaking")
    learner.wait_for(lambda: learner.hears_something, "the voice")
    played = learner.samples_played
    complete = learner.ask(SECOND)
    assert learner.events("cancelled") or learner.events("complete")[:-1], "the first turn was neither ended nor over"
    assert complete["transcript"] == SECOND
    assert [level["utterances"] for level in learner.events("level")] == [1, 2]
    assert learner.samples_played > played


@pytest.mark.usefixtures("slow_voice")
def test_the_voice_is_silent_as_soon_as_the_learner_speaks(learner: Learner) -> None:
    learner.say(FIRST)
    learner.until("speaking")
    learner.wait_for(lambda: learner.hears_something, "the voice")
    learner.press_down()
    learner.until("listening", seconds=10)
    learner.wait(0.2)
    for _ in range(10):
        assert not learner.hears_something
        learner.wait(0.1)
    learner.page.keyboard.press("Escape")  # what was said is discarded
    learner.page.mouse.up()
    learner.until("ready")


@pytest.mark.usefixtures("slow_voice")
def test_the_stop_button_stops_the_answer_and_the_next_turn_works(learner: Learner) -> None:
    learner.say(FIRST)
    learner.until("speaking")
    learner.wait_for(lambda: learner.hears_something, "the voice")
    assert learner.page.locator(".learner .who span").first.inner_text() == "Você"
    assert "false" not in learner.page.locator(".learner .who").first.inner_text()
    learner.button("Parar").click()
    learner.until("ready", seconds=10)
    learner.wait(0.3)
    assert not learner.hears_something
    assert learner.ask(SECOND)["transcript"] == SECOND


def test_a_tap_begins_and_another_one_sends(learner: Learner, microphone: Microphone) -> None:
    seconds = microphone.says(FIRST)
    learner.button("Falar").click()
    learner.until("listening")
    learner.wait(seconds)
    learner.button("Enviar o que falei").click()
    learner.wait_for(lambda: bool(learner.events("complete")), "the answer")
    assert learner.events("complete")[0]["transcript"] == FIRST
    learner.until("ready")


def test_the_level_of_the_microphone_is_shown_while_one_speaks(learner: Learner, microphone: Microphone) -> None:
    seconds = microphone.says(FIRST)
    silent = learner.talk_button.screenshot()
    learner.press_down()
    learner.until("listening")
    shots = set()
    for _ in range(int(seconds / 0.2)):
        learner.wait(0.2)
        shots.add(learner.talk_button.screenshot(animations="disabled"))
    learner.page.mouse.up()
    assert len(shots - {silent}) >= 3  # it moves
    learner.wait_for(lambda: bool(learner.events("complete")), "the answer")


def test_nobody_spoke_is_said_and_the_next_turn_works(learner: Learner, microphone: Microphone) -> None:
    microphone.is_silent(2)
    learner.press_down()
    learner.until("listening")
    learner.wait(1.5)
    learner.page.mouse.up()
    learner.wait_for(lambda: bool(learner.events("error")), "an error")
    assert learner.events("error")[0]["code"] == "no_speech"
    assert "Não ouvi ninguém falar" in learner.sees
    learner.ask(FIRST)


# --- choose ------------------------------------------------------------------------------------------------


def test_choices_hold_for_the_next_turn_and_over_a_reload(learner: Learner) -> None:
    settings(learner)
    learner.page.get_by_role("combobox", name="Voz").select_option("pm_alex")
    learner.page.get_by_role("combobox", name="Nível do tutor").select_option("B1")
    learner.page.get_by_role("radio", name=re.compile("Devagar")).check(force=True)
    learner.button("Fechar").click()
    learner.wait_for(lambda: choice_of(learner) == ("pm_alex", "B1", 0.7), "the settings")
    learner.ask(FIRST)
    level = learner.events("level")[-1]
    assert (level["level"], level["fixed"]) == ("B1", True)
    learner.wire.clear()
    learner.page.reload()
    learner.until("ready")
    assert choice_of(learner) == ("pm_alex", "B1", 0.7)
    settings(learner)
    assert learner.page.get_by_role("combobox", name="Voz").input_value() == "pm_alex"


def test_the_page_speaks_english_where_the_browser_does(browser: Browser, site: Site, microphone: Microphone) -> None:
    with visiting(browser, site.url, microphone, locale="en-GB") as learner:
        learner.open().until("ready")
        assert learner.button("Talk").is_visible()
        assert learner.page.locator("html").get_attribute("lang") == "en"
        settings(learner)
        learner.page.get_by_role("combobox", name="Language of the page").select_option("Português")
        assert learner.page.locator("html").get_attribute("lang") == "pt-BR"
        learner.page.reload()
        learner.until("ready")
        assert learner.button("Falar").is_visible()


# --- by keyboard, by screen reader, on a phone -------------------------------------------------------------


@pytest.mark.usefixtures("slow_voice")
def test_the_keyboard_alone_is_enough(learner: Learner, microphone: Microphone) -> None:
    keyboard = learner.page.keyboard
    seconds = microphone.says(FIRST)
    keyboard.down("Space")  # held
    learner.until("listening")
    learner.wait(seconds)
    keyboard.up("Space")
    learner.wait_for(lambda: bool(learner.events("complete")), "the answer")
    learner.until("ready")

    seconds = microphone.says(SECOND)
    keyboard.press("Space")  # tapped
    learner.until("listening")
    learner.wait(seconds)
    keyboard.press("Space")
    learner.until("speaking")
    keyboard.press("Escape")
    learner.until("ready", seconds=10)

    tab_to(learner, "Ouvir a resposta")
    played = learner.samples_played
    keyboard.press("Enter")
    learner.wait_for(lambda: learner.samples_played > played, "the answer again", 10)
    keyboard.press("Escape")
    learner.until("ready", seconds=10)

    tab_to(learner, "Ajustes")
    keyboard.press("Enter")
    assert learner.page.get_by_role("dialog").is_visible()
    keyboard.press("Escape")
    assert not learner.page.get_by_role("dialog").is_visible()
    assert focused(learner) == "Ajustes"


def test_a_phone_has_room_for_all_of_it(browser: Browser, site: Site, microphone: Microphone) -> None:
    with visiting(browser, site.url, microphone, **PHONE) as learner:
        learner.open().until("ready")
        assert fits(learner)
        learner.ask(MISTAKE)
        assert learner.page.locator(".correction").is_visible()
        for size in SMALLEST:
            learner.page.set_viewport_size(size)
            assert fits(learner)
            level = learner.page.locator("#level").bounding_box()
            turns = learner.page.locator("#turns").bounding_box()
            assert level is not None
            assert turns is not None
            assert level["height"] < turns["height"]
            assert level["height"] < size["height"] / 4


def test_nothing_of_the_settings_is_cut_off(browser: Browser, site: Site, microphone: Microphone) -> None:
    with visiting(browser, site.url, microphone, **PHONE) as learner:
        learner.open().until("ready")
        settings(learner)
        for language, size in product(("pt", "en", "es", "fr", "de"), SMALLEST):
            learner.page.set_viewport_size(size)
            learner.page.locator("#language").select_option(language)
            assert fits(learner)
            assert learner.page.evaluate(TOO_LONG_TO_READ) == []
            restart = learner.page.locator("#restart")
            restart.scroll_into_view_if_needed()
            for control in (restart, learner.page.locator("#close-settings")):  # one does not scroll the other away
                box = control.bounding_box()
                assert box is not None
                assert box["y"] >= 0
                assert box["y"] + box["height"] <= size["height"]


def test_a_finger_holds_the_button(browser: Browser, site: Site, microphone: Microphone) -> None:
    with visiting(browser, site.url, microphone, **PHONE) as learner:
        learner.open().until("ready")
        seconds = microphone.says(FIRST)
        box = learner.talk_button.bounding_box()
        assert box is not None
        finger = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        touch = learner.page.context.new_cdp_session(learner.page)
        touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [finger]})
        learner.until("listening")
        levels = []
        for _ in range(int(seconds / 0.2)):
            learner.wait(0.2)
            levels.append(float(learner.page.locator("#talk").evaluate("it => it.style.getPropertyValue('--level')")))
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        learner.wait_for(lambda: bool(learner.events("complete")), "the answer")
        assert learner.events("complete")[0]["transcript"] == FIRST
        learner.wait_for(lambda: learner.loudest > 0.05, "the voice", 10)
        assert max(levels) > 0.3  # the ring moves, also where a touch has not yet allowed the page any sound


# --- what goes wrong ---------------------------------------------------------------------------------------


def test_a_reload_in_mid_conversation_keeps_it(learner: Learner) -> None:
    first = learner.ask(FIRST)
    learner.page.reload()
    learner.until("ready")
    assert learner.sees_line(first["transcript"])
    assert learner.sees_line(first["response"])
    second = learner.ask(SECOND)
    assert learner.sees_line(second["response"])
    assert [level["utterances"] for level in learner.events("level")] == [1, 2]
    assert len({transcript["session_id"] for transcript in learner.events("transcript")}) == 1


def test_a_reload_in_mid_turn_keeps_what_was_said(learner: Learner) -> None:
    learner.say(FIRST)
    learner.wait_for(lambda: bool(learner.events("delta")), "the answer to begin")
    said = learner.events("transcript")[0]["transcript"]
    learner.page.reload()
    learner.until("ready")
    assert learner.sees_line(said)
    assert learner.ask(SECOND)["transcript"] == SECOND


def test_what_the_tab_has_lost_comes_back_from_the_server(learner: Learner) -> None:
    first = learner.ask(FIRST)
    [session] = {event["session_id"] for event in learner.events("transcript")}
    tab = json.dumps({"session": session, "turns": [{"id": 1, "state": "stopped"}]})
    other = learner.page.context.new_page()
    other.add_init_script(f"sessionStorage.setItem('parle.lesson', {json.dumps(tab)})")
    other.goto(learner.page.url)
    expect(other.locator(".turn")).to_have_count(1)
    expect(other.locator(".said")).to_have_text(first["transcript"])
    expect(other.locator(".reply")).to_have_text(first["response"])


def test_a_deleted_conversation_is_gone_from_the_page_and_from_the_server(learner: Learner, site: Site) -> None:
    first = learner.ask(FIRST)
    [session] = {event["session_id"] for event in learner.events("transcript")}
    assert site.get(f"/api/sessions/{session}").status_code == 200
    learner.button("Ajustes").click()
    learner.button("Apagar esta conversa").click()
    learner.wait_for(lambda: not learner.sees_line(first["transcript"]), "the conversation to be gone")
    assert site.get(f"/api/sessions/{session}").status_code == 404
    assert learner.ask(SECOND)["transcript"] == SECOND
    assert [level["utterances"] for level in learner.events("level")] == [1, 1]


def test_two_tabs_are_two_conversations(learner: Learner) -> None:
    learner.ask(FIRST)
    [first] = {event["session_id"] for event in learner.events("transcript")}
    other = learner.page.context.new_page()
    other.goto(learner.page.url)
    other.wait_for_timeout(1000)
    assert first not in json.dumps(other.evaluate("() => ({ ...sessionStorage })"))


def test_a_server_that_dies_in_mid_turn_comes_back_to_the_same_conversation(
    browser: Browser, site: Site, microphone: Microphone
) -> None:
    site.house.llm.word_s = 0.5
    with visiting(browser, site.url, microphone) as learner:
        learner.expected.extend(CUT_OFF)
        learner.open().until("ready")
        learner.say(FIRST)
        learner.wait_for(lambda: bool(learner.events("transcript")), "the transcript")
        site.die()
        learner.until("offline")
        said = learner.events("transcript")[0]["transcript"]
        assert learner.sees_line(said)
        assert "A conexão com o servidor caiu" in learner.sees
        assert "A conexão caiu no meio desta fala" in learner.sees
        learner.wire.clear()
        site.house.llm.word_s = 0.02
        with site_of(site.house, port=site.port):
            learner.until("ready", seconds=30)  # by itself
            assert "A conexão com o servidor caiu" not in learner.sees
            assert learner.sees_line(said)
            learner.button("Enviar de novo").click()
            learner.wait_for(lambda: bool(learner.events("complete")), "the answer")
            learner.until("ready")
            learner.ask(SECOND)
            assert learner.sees_line(said)


def test_a_full_server_is_told_and_entered_when_there_is_room(
    browser: Browser, site: Site, microphone: Microphone
) -> None:
    with site_of(site.house, limits={"max_sessions": 1}) as small, ExitStack() as visit:
        with talking(small.url) as other:
            other.tell({"type": "settings"})
            other.until("settings")
            learner = visit.enter_context(visiting(browser, small.url, microphone))
            learner.open().until("full")
            assert "O servidor está cheio" in learner.sees
        learner.until("ready", seconds=20)
        assert "O servidor está cheio" not in learner.sees
        learner.ask(FIRST)


def test_what_is_said_without_a_connection_goes_out_with_the_next_one(learner: Learner) -> None:
    learner.expected.extend((*CUT_OFF, "ERR_INTERNET_DISCONNECTED"))
    learner.page.context.set_offline(True)
    learner.until("offline", seconds=10)
    learner.say(FIRST)
    learner.wait_for(lambda: "Envio assim que a conexão voltar" in learner.sees, "the note", 10)
    assert not learner.events("transcript")
    learner.page.context.set_offline(False)
    learner.wait_for(lambda: bool(learner.events("complete")), "the answer")
    assert learner.events("complete")[0]["transcript"] == FIRST
    assert learner.page.locator("#turns .note").count() == 0
    learner.until("ready")
    learner.ask(SECOND)


def test_a_stack_without_the_websocket_route_says_what_to_do(
    browser: Browser, site: Site, microphone: Microphone
) -> None:
    with visiting(browser, site.url, microphone) as learner:
        learner.page.route("**/api/info", without_websocket)
        learner.open().until("noRoute")
        assert "routes: [sse, websocket, web]" in learner.sees


def test_a_refused_microphone_says_what_to_do(
    refusing_browser: Browser, site: Site, microphone: Microphone, screenshots: Path
) -> None:
    with visiting(refusing_browser, site.url, microphone) as learner:
        learner.open().until("ready")
        learner.press_down()
        learner.wait_for(lambda: "O navegador não deixa usar o microfone" in learner.sees, "the notice", 10)
        learner.page.mouse.up()
        assert "permita o microfone" in learner.sees
        assert learner.state == "ready"
        assert not serious(learner)
        learner.page.set_viewport_size(PHONE["viewport"])
        shoot(learner, screenshots / "error.png")
        assert fits(learner)
        learner.button("Entendi").click()
        assert "O navegador não deixa usar o microfone" not in learner.sees


def test_no_microphone_says_what_to_do(deaf_browser: Browser, site: Site, microphone: Microphone) -> None:
    with visiting(deaf_browser, site.url, microphone) as learner:
        learner.open().until("ready")
        learner.press_down()
        learner.wait_for(lambda: "Não encontrei um microfone" in learner.sees, "the notice", 10)
        learner.page.mouse.up()
        assert "Ligue um microfone" in learner.sees


# --- what it looks like ------------------------------------------------------------------------------------


def test_axe_finds_nothing_serious_and_the_screenshots_are_taken(
    browser: Browser, site: Site, microphone: Microphone, screenshots: Path
) -> None:
    with visiting(browser, site.url, microphone, device_scale_factor=2) as learner:
        learner.open().until("ready")
        assert not serious(learner)
        for text in (BROTHER, MARKET, GIRLFRIEND):
            learner.ask(text)
        learner.page.mouse.move(0, 0)
        assert not serious(learner)
        shoot(learner, screenshots / "desktop.png")
        settings(learner)
        assert not serious(learner)
        learner.button("Fechar").click()
        learner.page.emulate_media(color_scheme="dark")
        assert not serious(learner)
        shoot(learner, screenshots / "dark.png")
        learner.page.emulate_media(color_scheme="light")
        learner.page.set_viewport_size(PHONE["viewport"])
        learner.wait(0.3)
        assert not serious(learner)
        assert fits(learner)
        shoot(learner, screenshots / "phone.png")


# --- helpers -----------------------------------------------------------------------------------------------


def settings(learner: Learner) -> None:
    """Open the dialog of choices."""
    learner.page.get_by_role("button", name=re.compile("^(Ajustes|Settings|Réglages|Einstellungen)$")).click()
    learner.page.get_by_role("dialog").wait_for()


def choice_of(learner: Learner) -> tuple[Any, ...]:
    """Voice, level and speed that are in force on the server."""
    answers = learner.events("settings")
    return tuple(answers[-1][name] for name in ("voice", "level", "speed")) if answers else ()


def focused(learner: Learner) -> str:
    """The accessible name of what has the focus, as its label or text tells it."""
    return learner.page.evaluate(
        "() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.innerText.trim() ?? ''"
    )


def tab_to(learner: Learner, name: str) -> None:
    for _ in range(40):
        learner.page.keyboard.press("Tab")
        if focused(learner) == name:
            return
    raise AssertionError(f"forty tabs do not lead to {name!r}; the last one to {focused(learner)!r}")


def fits(learner: Learner) -> bool:
    """Nothing sticks out sideways, and the button to talk is to be seen whole."""
    assert learner.page.evaluate(TOO_WIDE) == []
    width = learner.page.evaluate("() => document.documentElement.scrollWidth")
    size = learner.page.viewport_size
    box = learner.talk_button.bounding_box() if learner.talk_button.count() else None
    assert size is not None
    inside = box is None or (box["x"] >= 0 and box["y"] + box["height"] <= size["height"])
    return width <= size["width"] and inside


def without_websocket(route: Route) -> None:
    """The server's own answer, but for that route."""
    answer = route.fetch()
    info = answer.json()
    route.fulfill(response=answer, json={**info, "routes": ["sse", "web"]})


def shoot(learner: Learner, path: Path) -> None:
    learner.wait(0.4)  # what moves comes to rest
    learner.page.screenshot(path=path)


def serious(learner: Learner) -> list[str]:
    """What axe calls serious or critical, once every colour has stopped changing."""
    learner.wait(0.4)
    found = Axe().run(learner.page).response["violations"]
    return [
        f"{rule['id']}: {rule['help']}: {[node['html'][:160] for node in rule['nodes']]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]
