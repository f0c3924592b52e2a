"""What learners say in `bench.tutor_eval`, and what a teacher's reply to it must hold.

Errors are those that speakers of Spanish, English, Italian, French, German, Japanese and Chinese make.
Not recordings: written by hand, as a transcriber would write them down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["error", "correct", "word", "grammar", "repeat", "short", "hesitation", "off-topic", "feeling"]


@dataclass(frozen=True, slots=True)
class Line:
    """One utterance. `right` and `wrong` are regular expressions that the reply must and must not match.

    `right` holds every form a teacher might use; where a sentence has several errors, one of
    them recast is enough, as teachers correct selectively.
    """

    said: str
    kind: Kind = "correct"
    right: str | None = None
    wrong: str | None = None


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A learner who stays at `level` and speaks each line whatever the tutor answers."""

    name: str
    level: str
    lines: tuple[Line, ...]


GLAD = r"^\W*(tudo ótimo|muito bem|que (legal|bom|ótim[oa]|maravilha|delícia)|parabéns|ótimo|excelente|adoro)"

DIALOGUES = (
    Dialogue(
        "A1, Spanish",
        "A1",
        (
            Line(
                "Oi, eu soy Marta, sou de México e tengo vinte anos.",
                "error",
                r"do México|tem (vinte|20) anos",
                r"tengo|soy",
            ),
            Line(
                "Eu tenho dois hermanos e uma irmã, eles vive em Guadalajara.",
                "error",
                r"dois irmãos|(vivem|moram) em",
                r"hermano|eles vive\b",
            ),
            Line("Não entendi. Pode repetir, por favor?", "repeat", None, r"[Nn]ão entendi|[Pp]ode repetir"),
            Line("Sim.", "short"),
        ),
    ),
    Dialogue(
        "A2, English",
        "A2",
        (
            Line(
                "Ontem eu foi no supermercado e eu comprei muito frutas.",
                "error",
                r"muitas frutas|foi ao super",
                r"muito frutas",
            ),
            Line(
                "Eu gosto cozinhar com minha esposa, ela é muito bom cozinheira.",
                "error",
                r"(gosta|gostam) de cozinhar|boa cozinheira|cozinha (muito )?bem",
                r"gosta cozinhar|bom cozinheira",
            ),
            Line("How do you say 'stove' em português?", "word", r"fogão"),
            Line("Ah sim, a fogão é novo.", "error", r"\b(o|seu|um) fogão|fogão (é )?novo", r"\ba fogão"),
        ),
    ),
    Dialogue(
        "B1, Italian",
        "B1",
        (
            Line(
                "Ieri... desculpa, ontem eu sou ido ao cinema com a minha mulher.",
                "error",
                r"(foi|foram) ao cinema",
                r"ido|[Ii]eri",
            ),
            Line(
                "O filme era muito triste, se eu sabia eu ficava em casa.",
                "error",
                r"soubesse|ficaria|teria ficado",
                r"se você sabia",
            ),
            Line("Qual é a diferença entre ser e estar?", "grammar"),
            Line(
                "Hum... é que... não sei como dizer... quando a gente fica feliz e triste quando lembra do passado?",
                "hesitation",
                r"saudade|nost[aá]lgi",
            ),
        ),
    ),
    Dialogue(
        "B2, English",
        "B2",
        (
            Line(
                "Eu acho que o governo deveria investir mais em transporte público "
                "porque as pessoas perde muito tempo no trânsito.",
                "error",
                r"perdem",
                r"pessoas perde\b",
            ),
            Line(
                "É importante que as cidades tem mais ciclovias.",
                "error",
                r"tenham|dev(em|eriam) ter",
                r"que as cidades t[eê]m\b",
            ),
            Line("Tá, mas e você, o que você acha disso?", "off-topic"),
            Line("Não sei, eu não concordo muito com isso não."),
        ),
    ),
    Dialogue(
        "C1, German",
        "C1",
        (
            Line("Confesso que a burocracia me desanima, mas ainda assim pretendo abrir meu próprio negócio."),
            Line(
                "Se eu teria mais capital, já teria começado no ano passado.",
                "error",
                r"tivesse",
                r"[Ss]e (eu|você) teria",
            ),
            Line("Qual é a diferença entre 'embora' e 'apesar de'?", "grammar"),
        ),
    ),
    Dialogue(
        "A2, off topic",
        "A2",
        (
            Line("Quanto é dois mais dois?", "off-topic", r"quatro|\b4\b"),
            Line("Você é um robô?", "off-topic"),
            Line("Eu não quero falar disso. Vamos falar de comida.", "off-topic", r"comida|comer|prato|cozinh|gost"),
            Line("Eu estou muito triste porque meu cachorro morreu.", "feeling", None, GLAD),
        ),
    ),
    Dialogue(
        "A1, Japanese",
        "A1",
        (
            Line(
                "Eu trabalhar em restaurante. Eu é cozinheiro.",
                "error",
                r"você trabalha|você é cozinheiro|trabalha (em|no|num)",
                r"trabalhar em",
            ),
            Line("Não.", "short"),
            Line("Mim não gosta frio.", "error", r"não gosta (de|do) frio", r"\bmim\b|gosta frio"),
            Line("Ahn... eu... eu...", "hesitation"),
        ),
    ),
)

HELD_OUT = (
    Dialogue(
        "held out: A2, Spanish",
        "A2",
        (
            Line(
                "Meu pai é doente, por isso eu no trabajo esta semana.",
                "error",
                r"está doente|não (trabalha|vai trabalhar)",
                rf"trabajo|{GLAD}",
            ),
            Line("Amanhã eu vou a visitar ele no hospital.", "error", r"(vai|ir) visit", r"(vai|ir) a visit"),
            Line("Desculpa, como se diz 'nurse' em português?", "word", r"enfermeir[ao]"),
        ),
    ),
    Dialogue(
        "held out: B1, Chinese",
        "B1",
        (
            Line(
                "Eu moro em Brasil desde três anos.",
                "error",
                r"no Brasil|(há|faz) três anos",
                r"em Brasil|desde três anos",
            ),
            Line("Talvez.", "short"),
            Line("Qual é o plural de 'pão'?", "grammar", r"pães", r"pãos|pões"),
        ),
    ),
    Dialogue(
        "held out: C1, French",
        "C1",
        (
            Line(
                "Eu pedi para ele ficar, mas ele não quis que eu vou com ele.",
                "error",
                r"fosse",
                r"que você v(ai|ou)\b",
            ),
            Line("O problema é que ninguém se responsabiliza por nada, e a culpa acaba recaindo sobre os mais pobres."),
        ),
    ),
)
