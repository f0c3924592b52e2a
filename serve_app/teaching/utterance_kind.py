"""What kind of utterance a tutor has to answer, decided by words: a question, good or bad news, a goodbye ...

It decides how the reply opens, before a model has written anything; so where words do not show a mood, it is neutral.
"""

from __future__ import annotations

import re
from typing import Literal

from wordfreq import zipf_frequency

Kind = Literal[
    "grave",
    "sad",
    "glad",
    "neutral",
    "question",
    "greeting",
    "goodbye",
    "thanks",
    "repeat",
    "thinking",
    "foreign",
    "off_task",
]
"""grave: death, illness, violence. sad: other bad news. neutral: any other statement. repeat: the learner did not
understand. thinking: they want time. foreign: not Portuguese. off_task: asks the tutor to be or do something else."""


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(patterns)})\b", re.IGNORECASE)


_GRAVE = _words(
    r"morr(?:eu|eram|endo|er)",
    r"mort[oae]s?",
    r"falec\w+",
    r"enterro|velório|funeral|luto",
    r"câncer|cancro|tumor|infarto|derrame|avc",
    r"(?:está|estão|estava|foi|fui|internad[oa]s?|ficou) (?:internad[oa] )?(?:no|ao|para o|pro|em um) hospital",
    r"internad[oa]s?|alzheimer|demência|parkinson|quimioterapia|doença grave|em coma|derrubaram|demoli\w+",
    r"(?:dias?|semanas?|mês|meses|fiquei|ficou|mãe|pai|filh[oa]|avó|avô|irmão|irmã) (?:\w+ ){0,2}no hospital",
    r"demissão|demissões|mandad[oa] embora|sem (?:emprego|trabalho|chão)|não tenho (?:trabalho|emprego)",
    r"cort(?:ou|aram) (?:\w+ ){1,2}equipe",
    r"acidente",
    r"assalt(?:ad\w+|aram|ou|o)",
    r"demitid[oa]s?|demitiram|desempregad[oa]s?|perd\w+ (?:o|meu|o meu) (?:emprego|trabalho)",
    r"divórcio|divorci\w+|se separ\w+|me separei|separação|terminou comigo|traiu",
    r"guerra|aborto|suicídio|depressão|deprimid[oa]",
    r"nos deixou|não sobreviv\w+|assassinad\w+|falência|licença médica|já não me reconhece|tiro(?:s|teio)?|sequestr\w+",
    r"abandon(?:ou|aram)|incêndio|enchente|terremoto",
)
_SAD = _words(
    r"doentes?|gripad[oa]|febre|dor(?:es)? de \w+|dói|doem|doendo|machuc\w+|cirurgia|operação não",
    r"trist\w+|sozinh[oa]s?|solidão|chor(?:o|ei|ou|ando|ar)|infelizmente|saudades?|medo|preocupad[oa]s?|nervos[oa]s?",
    r"(?:muito|tão|estou|está|fiquei|super|bem) (?:muito )?(?:cansad|estressad|chatead|ansios|frustrad)[oa]",
    r"(?:tão|estou|me sinto|senti) mal",
    r"perd(?:i|eu|emos|eram) (?:o|a|os|as|um|uma|meu|minha|meus|minhas|todo|muito|dinheiro|tudo|no)",
    r"roub(?:ou|aram|ad[oa]s?)|furt(?:aram|ou|ad[oa])",
    r"quebr(?:ei|ou|ada|ado)|brig(?:uei|ou|amos|aram|a)|discuti(?:mos)? com|ca(?:í|iu) (?:da|do|na|no|e)",
    r"reprov(?:ei|ou|ad[oa])|não (?:passei|consegui|deu certo|d[ou]rm\w+|ajud\w+|consigo|gostei)|fracass\w+",
    r"problemas? (?:com|no|na|de)|péssim[oa]|horrível|terrível|pior (?:dia|semana)|ninguém|atras(?:ei|ad[oa])",
    r"deu errado|cancel(?:aram|ou|ad[oa])|estrag(?:ou|ada|ado|uei)|exigente|barulh\w+|difíc(?:il|eis) (?:para|pra) mim",
    r"não (?:vai|vão) ser renovad\w+|não (?:posso|pude) (?:ir|voltar|ver|vê)|piorou|faliu|multa|dívidas?|licença",
    r"desaparec\w+|não (?:me|nos) aceit\w+|sumiu|fugiu|lev(?:ou|aram) (?:o |a )?(?:meu|minha|tudo)|desisti\w*"
    r"|desanimad[oa]|sem cabeça|com cabeça para",
    r"sinto falta|senti falta|com raiva|irritad[oa]|esqueci (?:a|o|as|os|minha|meu)",
)
_GLAD = _words(
    r"ador(?:o|ei|amos|ou)|am(?:o|ei)|feliz(?:es)?|content\w+|(?<!porto )alegr\w+|animad[oa]s?|orgulhos[oa]",
    r"(?:gost(?:o|a|ei|amos)|gostando) (?:muito|demais|bastante|tanto)",
    r"ganh(?:ei|ou|amos)|pass(?:ei|ou|amos) (?:na|no|em|de ano|nas)|consegui(?:u|mos)? (?:um|o|a|uma|emprego)",
    r"férias|festa|casamento|aniversário|nasc(?:eu|imento)|bebê|namor\w+|noiv\w+|cas(?:ei|ar|amos)|grávida"
    r"|promovid[oa]",
    r"delíci\w+|delicios[oa]s?|divertid[oa]s?|maravilh\w+|sensacional|ótim[oa]s?|incrível|incríveis"
    r"|lind[oa]s?|perfeit[oa]",
    r"(?:fui|vou|fomos|vamos|viaj\w+) (?:\w+ )?(?:viajar|à praia|na praia|para a praia|ao cinema|ao show)",
    r"melhor(?:es)? (?:dia|viagem|amig[oa]|noite|coisa|festa|presente|notícia|férias|fim)|me convid(?:ou"
    r"|aram) para|(?<!não )me aceitaram|fui aceit[oa]"
    r"|já (?:posso|consigo) \w+ (?:[\w ]+ )?de novo|sonho|primeira vez|comemor\w+|apaixonad[oa]",
)
_NEGATION = _words("não", "nunca", "nem", "ninguém", "nada", "se eu", "sem", "infelizmente", "mas", "queria")
_GOODBYE = re.compile(
    r"^\W*(?:(?:então|bom|ok|obrigad[oa]|tá|certo|bem)[\s,.!]+)*"
    r"(?:tchau|adeus|até (?:logo|amanhã|mais|breve|a próxima|segunda|depois)|preciso ir|tenho que ir|boa noite e|bye)"
    r"|\b(?:goodbye|bye|see you|i have to go|adiós|até a próxima|tchau|(?:um )?abraço|a gente se (?:vê|fala))\W*$"
    r"|\bvou indo\b|\baté a próxima\b|^\W*falou\W",
    re.IGNORECASE,
)
_THANKS = re.compile(r"^\W*(?:muito )?(?:obrigad[oa]|valeu)\b[^?]{0,25}$", re.IGNORECASE)
_REPEAT = _words(
    r"(?:pode|podia|poderia)(?: você)? (?:repetir|falar (?:mais )?devagar|dizer de novo)",
    r"não (?:te )?(?:entendi|compreendi)",
    r"repet(?:e|ir),? por favor|fal(?:a|e) mais devagar|como assim",
)
_GREETING = re.compile(
    r"^\W*(?:oi|olá|ei|hola|bom dia|boa tarde|boa noite|tudo bem)\b[\s,.!?]*"
    r"(?:(?:lia|professora|tudo bem|tudo bom|como vai(?: você)?|como está|bom dia|boa tarde|boa noite)\b[\s,.!?]*)*$",
    re.IGNORECASE,
)
_THINKING = re.compile(
    r"^\W*(?:h+u?m+|ah|é|bom)?\W*(?:deix[ae] (?:eu|me) (?:pensar|ver)|um momento|espera?)\b", re.IGNORECASE
)
_OFF_TASK = _words(
    r"(?:ignor[ea]|esqueç[ao]|esquece) (?:\w+ ){0,3}(?:instruç\w+|regras?|ordens|comandos?)",
    r"(?:system|sistema) prompt|suas instruções|instruções anteriores",
    r"(?:respond[ae]|fal[ae]|escrev[ae]) (?:\w+ ){0,3}(?:em )?(?:inglês|espanhol|francês|alemão|código)",
    r"você (?:não é mais|agora é|é agora|vai ser)|finj[ae] (?:que|ser)|fal[ae] como (?:um|uma)",
    r"código python|em python|escrev[ae] (?:um|uma|o) (?:código|programa|lista|poema|redação|e-?mail)",
    r"(?:mud[ae]|aument[ae]|coloqu[ae]|ponh[ae]|defin[ae]) (?:o )?(?:meu|seu) nível",
    r"ignore (?:all|previous|your)|you are now|pretend",
)
_QUESTION_WORD = re.compile(
    r"^\W*(?:(?:e|mas|então|lia|professora|oi|ah)[\s,]+)*"
    r"(?:o que|que|qual|quais|quem|quando|onde|aonde|de onde|como|por que|quant\w+|em que|de que|de qual|para onde"
    r"|você (?:acha|gosta|conhece|tem|sabe|pode|lembra|já|prefere))\b",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"[\"'“‘«].*?[\"'”’»]")
_WORD = re.compile(r"[^\W\d_]+")
_SMALL = frozenset(
    "|a|o|e|de|me|no|do|se|as|os|da|na|em|um|te|la|en|el|es|por|para|como|come|are|is|so|tu|vai".split("|")  # noqa: SIM905
)
"""Words that are as frequent in another language."""

_FOREIGN = frozenset(("en", "el", "la", "los", "las", "y", "con", "mi", "mis", "the", "my", "and", "of", "in"))


def kind_of(utterance: str) -> Kind:
    """The kind of an utterance, by its words."""
    if _OFF_TASK.search(utterance):
        return "off_task"
    if _GOODBYE.search(utterance):
        return "goodbye"
    if _THANKS.search(utterance):
        return "thanks"
    if _REPEAT.search(utterance):
        return "repeat"
    if _THINKING.search(utterance):
        return "thinking"
    if is_foreign(utterance):
        return "foreign"
    if _GREETING.search(utterance):
        return "greeting"
    if asks(utterance):
        return "question"
    if re.match(r"\W*se\b", utterance, re.IGNORECASE):  # what is only imagined is no news
        return "neutral"
    if _GRAVE.search(utterance):
        return "grave"
    if _SAD.search(utterance):
        return "sad"
    return "glad" if _GLAD.search(utterance) and not _NEGATION.search(utterance) else "neutral"


def asks(utterance: str) -> bool:
    """Whether the utterance ends with a question; speech is often written without its mark."""
    last = re.split(r"(?<=[.!?…])\s+", utterance.strip())[-1]
    if re.search(r",? (?:né|certo|viu|sabe|não é)\?$", last, re.IGNORECASE):
        return False
    return last.endswith("?") or (last[-1:].isalnum() and _QUESTION_WORD.match(last) is not None)


def is_foreign(utterance: str) -> bool:
    """Most words are more at home in English or Spanish than in Portuguese; what is quoted does not count."""
    words = [word.lower() for word in _WORD.findall(_QUOTED.sub(" ", utterance))]
    words = [word for word in words if word not in _SMALL]
    if len(words) < 2:
        return False
    foreign = sum(_elsewhere(word) > zipf_frequency(word, "pt") + 0.8 for word in words)
    return foreign / len(words) > 0.5


def has_foreign_words(text: str) -> bool:
    """Whether a word is at home in English or Spanish and hardly in Portuguese; names and quoted words do not count."""
    for match in _WORD.finditer(_QUOTED.sub(" ", text)):
        word = match[0].lower()
        if match[0][0].isupper() and match.start():
            continue
        if word in _FOREIGN or (len(word) > 2 and _elsewhere(word) > max(3.0, zipf_frequency(word, "pt") + 1)):
            return True
    return False


def _elsewhere(word: str) -> float:
    return max(zipf_frequency(word, language, "small") for language in ("en", "es"))
