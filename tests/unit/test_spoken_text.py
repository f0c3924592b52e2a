"""Text as it is said aloud: `serve_app.spoken_text`."""

from __future__ import annotations

import pytest

from serve_app.spoken_text.normalise import spoken

CASES = {
    # quotes and signs
    'Em português, "nurse" é "enfermeira".': "Em português, nurse é enfermeira.",
    "O plural de 'pão' é 'pães'.": "O plural de pão é pães.",
    "“Saudade” é uma palavra.": "Saudade é uma palavra.",
    "Muito bem! ⭐ Vamos lá → praia.": "Muito bem! Vamos lá praia.",
    "**Claro**! Vamos.": "Claro! Vamos.",
    "Um copo d'água.": "Um copo d'água.",
    "O guarda-chuva e o pé de moleque.": "O guarda-chuva e o pé de moleque.",
    "Eu fá-lo-ei amanhã; vê-la-ei depois.": "Eu fá-lo-ei amanhã; vê-la-ei depois.",
    "Pão & café": "Pão e café",
    "2 + 2 = 4": "dois mais dois igual a quatro",
    "Feliz 🎉🎉": "Feliz",
    "🙂": "",
    "...": "",
    "": "",
    # numbers and gender
    "2 irmãs": "duas irmãs",
    "2 irmãos": "dois irmãos",
    "1 casa": "uma casa",
    "1 livro": "um livro",
    "21 alunas": "vinte e uma alunas",
    "22 dias": "vinte e dois dias",
    "2 problemas": "dois problemas",
    "200 páginas": "duzentas páginas",
    "1.500 alunos": "mil e quinhentos alunos",
    "São 1.001 noites": "São mil e uma noites",
    "2 mil pessoas": "duas mil pessoas",
    "1 mil": "mil",
    "Tenho 2 gatos e 3 gatas.": "Tenho dois gatos e três gatas.",
    "Ele tem 18 anos.": "Ele tem dezoito anos.",
    "123.456": "cento e vinte e três mil quatrocentos e cinquenta e seis",
    "1.100": "mil e cem",
    "1.250": "mil duzentos e cinquenta",
    "O ano de 1998": "O ano de mil novecentos e noventa e oito",
    "em 2024": "em dois mil e vinte e quatro",
    "3,5": "três vírgula cinco",
    "0,05": "zero vírgula zero cinco",
    "1.000.000 de pessoas": "um milhão de pessoas",
    "007": "zero zero sete",
    "Ligue 190.": "Ligue cento e noventa.",
    "2 vezes": "duas vezes",
    "2 cidades": "duas cidades",
    "2 viagens": "duas viagens",
    "2 mulheres e 2 homens": "duas mulheres e dois homens",
    # money
    "Custa R$ 1.250,00 por mês.": "Custa mil duzentos e cinquenta reais por mês.",
    "R$ 3,50": "três reais e cinquenta centavos",
    "R$3,50": "três reais e cinquenta centavos",
    "R$ 1,00": "um real",
    "R$ 0,50": "cinquenta centavos",
    "R$ 0,01": "um centavo",
    "R$ 2.000.000": "dois milhões de reais",
    "US$ 20": "vinte dólares",
    "€ 5": "cinco euros",
    "£ 2": "duas libras",
    "Custa 5 reais.": "Custa cinco reais.",
    # dates and times
    "Hoje é dia 07/09/2024.": "Hoje é dia sete de setembro de dois mil e vinte e quatro.",
    "dia 1/5/2024": "dia primeiro de maio de dois mil e vinte e quatro",
    "em 25/12": "em vinte e cinco de dezembro",
    "25 de dezembro": "vinte e cinco de dezembro",
    "A aula começa às 15h30.": "A aula começa às quinze e trinta.",
    "Almoço às 12h e janto às 19h.": "Almoço às doze horas e janto às dezenove horas.",
    "às 8h em ponto": "às oito horas em ponto",
    "à 1h": "à uma hora",
    "às 2h15": "às duas e quinze",
    "às 14:05": "às quatorze e cinco",
    "às 15h30min": "às quinze e trinta",
    "às 22:00": "às vinte e duas horas",
    # ordinals, per cent, units
    "1º lugar": "primeiro lugar",
    "2ª feira": "segunda feira",
    "21º andar": "vigésimo primeiro andar",
    "10% dos alunos": "dez por cento dos alunos",
    "É 100% grátis": "É cem por cento grátis",
    "3,5 km": "três vírgula cinco quilômetros",
    "1 km": "um quilômetro",
    "A casa tem 70 m e fica a 5 km.": "A casa tem setenta metros e fica a cinco quilômetros.",
    "80 km/h": "oitenta quilômetros por hora",
    "2 kg de arroz": "dois quilos de arroz",
    "500 g": "quinhentos gramas",
    "30°C": "trinta graus",
    "1 °C": "um grau",
    "50 m²": "cinquenta metros quadrados",
    "2 min": "dois minutos",
    "250 ml": "duzentos e cinquenta mililitros",
    # abbreviations and acronyms
    "O Sr. Costa e a Sra. Lima moram aqui.": "O senhor Costa e a senhora Lima moram aqui.",
    "O Dr. Paulo e a Dra. Ana.": "O doutor Paulo e a doutora Ana.",
    "Por exemplo, p. ex. Sto. Antônio.": "Por exemplo, por exemplo Santo Antônio.",
    "Av. Paulista": "avenida Paulista",
    "Sta. Catarina": "Santa Catarina",
    "pão, leite, etc.": "pão, leite, etcétera",
    "pág. 12": "página doze",
    "nº 5": "número cinco",
    "O IBGE e a ONU ficam longe.": "O i-bê-gê-é e a ônu ficam longe.",
    "CPF 123": "cê-pê-éfe cento e vinte e três",
    "A NASA": "A nasa",
    "O SUS": "O sus",
    "MUITO BEM": "muito bem",
    "A e B": "A e B",
    "E aí?": "E aí?",
    # addresses
    "www.exemplo.com.br": "exemplo ponto com ponto br",
    "https://exemplo.org/a/b?c=1": "exemplo ponto org",
    "ana@exemplo.com": "ana arroba exemplo ponto com",
    "ana.lima@exemplo.com.br": "ana ponto lima arroba exemplo ponto com ponto br",
    "tel. 11 91234-5678": "telefone um um, nove um dois três quatro, cinco seis sete oito",
    "(21) 3456-7890": "dois um, três quatro cinco seis, sete oito nove zero",
    # what holds
    "Que pena. Você perdeu sua carteira.": "Que pena. Você perdeu sua carteira.",
    "Olá, tudo bem? Ótimo!": "Olá, tudo bem? Ótimo!",
    "Ah... não sei.": "Ah... não sei.",
    "Então, vamos? Sim; agora: já!": "Então, vamos? Sim; agora: já!",
    "O carro (novo) é meu.": "O carro (novo) é meu.",
    "ele e/ou ela": "ele e ou ela",
}


@pytest.mark.parametrize(("written", "said"), CASES.items())
def test_it_is_said_as_a_brazilian_would_say_it(written: str, said: str) -> None:
    assert spoken(written).replace("catorze", "quatorze") == said


@pytest.mark.parametrize(
    ("written", "said"),
    {
        "Tenho 16 anos.": "Tenho dezasseis anos.",
        "às 17h": "às dezassete horas",
        "19 euros": "dezanove euros",
        "14 dias": "catorze dias",
        "€ 2,50": "dois euros e cinquenta cêntimos",
    }.items(),
)
def test_european_portuguese_has_its_own_words(written: str, said: str) -> None:
    assert spoken(written, "pt-pt") == said


@pytest.mark.parametrize("text", CASES)
def test_nothing_is_left_that_a_voice_spells_or_names(text: str) -> None:
    assert not set(spoken(text)) & set('"“”%$€@&+=*_#→⭐°ºª0123456789')
    assert spoken(spoken(text)) == spoken(text)
