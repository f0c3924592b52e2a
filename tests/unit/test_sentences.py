"""Cutting a growing reply into pieces to speak: `serve_app.lesson.speech_cutter`."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from serve_app.lesson.speech_cutter import FIRST_CHARACTERS, PIECE_CHARACTERS, Pace, PieceCutter
from serve_app.sentences import cuts, speakable, split_long, whole_sentences

NO_SLACK, MUCH_SLACK = 0.0, 1e9

REPLIES = (
    "Oi, Ana! Que legal, você gosta muito de futebol! Qual é o seu time?",
    "Sim.",
    "Ah!",
    "É.",
    "Que bom! O café custa R$ 3,50 e o bolo R$ 1.500. Você quer às 10:30 ou às 11:00?",
    "Bem... eu não sei. O Sr. Silva mora na Av. Brasil, nº 10, não é?!",
    'Entendo: você trabalha — e estuda; "que vida!" (cansa, né?) Mas vale a pena…',
    "**Muito** bem! 😀 Você foi à praia_ontem_ com seus amigos. E como estava o mar? 🌊",
    "eu acho que a gente podia ir todo mundo junto para a casa dela amanhã de manhã quando o sol nascer " * 4,
    "Palavra" * 60,
    "Primeira linha\n\nSegunda linha. Terceira",
    "?!",
    "   ",
)


def letters(text: str) -> str:
    """The characters that must be neither lost nor doubled. Punctuation that comes too late for its piece may go."""
    return "".join(filter(str.isalnum, text))


def pieces_of(deltas: Iterable[str], slack: Iterable[float], pace: Pace | None = None) -> list[str]:
    """The pieces from asking the cutter after each delta, and at the end until nothing is left."""
    cutter, slacks, pieces = PieceCutter(pace or Pace()), iter(slack), []
    for delta in deltas:
        cutter.feed(delta)
        while (piece := cutter.next_piece(next(slacks))) is not None:
            pieces.append(piece)
    cutter.finish()
    while not cutter.exhausted:
        piece = cutter.next_piece(next(slacks))
        assert piece is not None, "no more text will come, so waiting is for ever"
        pieces.append(piece)
    return pieces


def always(slack: float) -> Iterable[float]:
    while True:
        yield slack


def at_random(rng: random.Random) -> Iterable[float]:
    while True:
        yield rng.choice((0.0, rng.random(), 3 * rng.random(), 20 * rng.random(), MUCH_SLACK))


def in_random_deltas(text: str, rng: random.Random) -> list[str]:
    places = sorted(rng.randrange(len(text) + 1) for _ in range(rng.randrange(len(text) + 1)))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


# --- the pieces --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reply", REPLIES)
def test_nothing_is_lost_or_doubled_however_the_deltas_fall(reply: str) -> None:
    rng = random.Random(reply)
    for _ in range(150):
        pieces = pieces_of(in_random_deltas(reply, rng), at_random(rng))
        assert letters(" ".join(pieces)) == letters(reply)
        assert all(piece == speakable(piece) != "" for piece in pieces)


@pytest.mark.parametrize("reply", REPLIES)
def test_no_piece_is_longer_than_a_synthesiser_takes_at_once(reply: str) -> None:
    rng = random.Random(reply)
    for _ in range(50):
        for piece in pieces_of(in_random_deltas(reply, rng), at_random(rng)):
            assert len(piece) <= PIECE_CHARACTERS


@pytest.mark.parametrize("reply", [reply for reply in REPLIES if "Palavra" not in reply])
def test_no_word_is_cut_in_two(reply: str) -> None:
    rng = random.Random(reply)
    whole = {letters(word) for word in speakable(reply).split()}
    for _ in range(50):
        for piece in pieces_of(in_random_deltas(reply, rng), at_random(rng)):
            assert {letters(word) for word in piece.split()} <= whole | {""}


@pytest.mark.parametrize(
    ("reply", "first"),
    [
        ("Oi! Tudo bem com você?", "Oi! Tudo bem com você?"),  # "Oi!" alone is too short
        ("Que legal! Você gosta de futebol?", "Que legal!"),
        ("Que bom, Ana! Você foi à praia.", "Que bom,"),
        ("Oi, Ana! Tudo bem?", "Oi, Ana!"),
        ("Entendi. Você foi ao médico, certo?", "Entendi. Você foi ao médico,"),  # one word alone is not understood
    ],
)
def test_the_first_piece_ends_at_the_first_mark_that_makes_it_worth_speaking(reply: str, first: str) -> None:
    assert pieces_of(reply, always(NO_SLACK))[0] == first
    assert len(first) >= FIRST_CHARACTERS


@pytest.mark.parametrize("reply", ["Sim.", "Ah!", "É.", "Oi"])
def test_a_reply_shorter_than_a_first_piece_is_spoken_all_the_same(reply: str) -> None:
    assert pieces_of(reply, always(NO_SLACK)) == [reply]


def test_the_first_piece_does_not_wait_for_the_rest_of_the_reply() -> None:
    cutter = PieceCutter(Pace())
    cutter.feed("Que legal!")
    assert cutter.next_piece(NO_SLACK) == "Que legal!"


def test_a_first_sentence_without_any_mark_is_cut_between_words_rather_than_waited_for() -> None:
    cutter = PieceCutter(Pace())
    text = "eu acho que a gente podia ir todo mundo junto para a casa dela amanhã de manhã bem cedo"
    cutter.feed(text)
    piece = cutter.next_piece(NO_SLACK)
    assert piece is not None
    assert text.startswith(piece + " ")


@pytest.mark.parametrize(
    "whole",
    [
        "Custa 3,5 reais",
        "Custa R$ 1.500 por mês",
        "Chego às 10:30 em casa",
        "O Sr. Silva chegou",
        "A Dra. Ana e o Prof. João",
        "Frutas, etc. e tal"[8:],
        "www.parle.com.br",
    ],
)
def test_a_mark_inside_a_number_an_abbreviation_or_a_name_is_no_cut(whole: str) -> None:
    assert cuts(whole + " ", final=False) == []
    assert pieces_of(list(whole), always(NO_SLACK)) == [whole]


def test_marks_that_belong_together_stay_together() -> None:
    text = 'É mesmo?! Bem... vamos. "Sim!" disse ela'
    ends = [text[:position] for position, ends_sentence in cuts(text, final=False) if ends_sentence]
    assert [end.split()[-1] for end in ends] == ["mesmo?!", "Bem...", "vamos.", '"Sim!"']


@pytest.mark.parametrize("open_end", ["Custa 3", "Custa 3.", "Bem.", "Bem..", "São 10:"])
def test_a_mark_that_more_text_may_change_is_no_cut_yet(open_end: str) -> None:
    assert cuts(open_end, final=False) == []
    assert [position for position, _ in cuts(open_end, final=True)][-1] == len(open_end)


def test_later_pieces_are_as_large_as_the_slack_allows() -> None:
    reply = "Que bom! Você foi à praia. Estava sol, e o mar estava calmo. E depois, o que vocês fizeram lá?"

    def later_pieces(slack: float) -> list[str]:
        cutter = PieceCutter(Pace(fixed_s=0, synthesis_s_per_character=0.03))
        cutter.feed(reply)
        cutter.finish()
        assert cutter.next_piece(NO_SLACK) == "Que bom!"
        pieces = []
        while not cutter.exhausted:
            piece = cutter.next_piece(slack)
            assert piece is not None
            pieces.append(piece)
        return pieces

    assert later_pieces(MUCH_SLACK) == [
        "Você foi à praia. Estava sol, e o mar estava calmo. E depois, o que vocês fizeram lá?"
    ]
    lengths = [len(later_pieces(slack)[0]) for slack in (0.0, 1.0, 2.0, 3.0, MUCH_SLACK)]
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[3] < lengths[-1]


def test_with_slack_a_piece_waits_for_more_text_and_without_it_does_not() -> None:
    cutter = PieceCutter(Pace())
    cutter.feed("Que bom! Você foi, ")
    assert cutter.next_piece(NO_SLACK) == "Que bom!"
    assert cutter.next_piece(MUCH_SLACK) is None
    wait_s = cutter.wait_s(10.0)
    assert wait_s is not None
    assert 0 < wait_s < 10
    assert cutter.next_piece(NO_SLACK) == "Você foi,"


def test_with_nothing_to_cut_only_text_can_help() -> None:
    cutter = PieceCutter(Pace())
    cutter.feed("Que")
    assert cutter.next_piece(NO_SLACK) is None
    assert cutter.wait_s(NO_SLACK) is None


# --- the pace ----------------------------------------------------------------------------------------------


def test_the_pace_follows_a_faster_and_a_slower_voice() -> None:
    for per_character in (0.001, 0.2):
        pace = Pace()
        for _ in range(30):
            pace.learn(50, pace.fixed_s + 50 * per_character, 3.0)
        assert pace.synthesis_s_per_character == pytest.approx(per_character, rel=0.2)


def test_one_odd_piece_does_not_turn_the_pace_over() -> None:
    pace = Pace()
    before = pace.synthesis_s(50)
    pace.learn(50, 3 * before, 3.0)
    assert before < pace.synthesis_s(50) < 2 * before


def test_a_slower_voice_gets_smaller_pieces() -> None:
    reply = "Que bom! Você foi à praia, estava sol, e o mar estava calmo. E depois, o que vocês fizeram?"
    longest = [
        max(len(piece) for piece in pieces_of([reply], always(2.0), Pace(synthesis_s_per_character=slowness))[1:])
        for slowness in (0.002, 0.1)
    ]
    assert longest[0] > longest[1]


# --- what is read aloud ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("**Muito** bem! 😀", "Muito bem!"),
        ("`ser` e _estar_ # 1", "ser e estar 1"),
        ("  a \n\n b\t c ", "a b c"),
        ("1 < 2", "1 2"),
        ("... !? —", ""),
        ("👍🏽", ""),
        ("", ""),
        ("São Paulo, às 10:30 (R$ 3,50)", "São Paulo, às 10:30 (R$ 3,50)"),
    ],
)
def test_speakable_keeps_words_and_drops_what_has_no_sound(text: str, spoken: str) -> None:
    assert speakable(text) == spoken


def test_split_long_loses_nothing_and_keeps_every_part_within_the_limit() -> None:
    rng = random.Random(3)
    for reply in REPLIES:
        for _ in range(30):
            limit = rng.randrange(20, 320)
            parts = split_long(reply, limit)
            assert letters(" ".join(parts)) == letters(reply)
            assert all(0 < len(part) <= limit for part in parts)


def test_split_long_prefers_the_end_of_a_sentence_then_of_a_clause_then_of_a_word() -> None:
    assert split_long("Vou agora. Amanhã, se der, eu volto", 24)[0] == "Vou agora."
    assert split_long("Amanhã, se der tempo, eu volto", 24)[0] == "Amanhã, se der tempo,"
    assert split_long("amanhã se der tempo eu volto", 24)[0] == "amanhã se der tempo eu"
    assert split_long("a" * 30, 24) == ["a" * 24, "a" * 6]


def test_the_sentences_of_a_text_make_up_the_text() -> None:
    text = 'Oi, Sr. Omar! A gente diz "um pão" e "dois pães". E você?'
    assert whole_sentences(text) == ["Oi, Sr. Omar!", ' A gente diz "um pão" e "dois pães".', " E você?"]
    assert whole_sentences("Eu acho que") == ["Eu acho que"]
