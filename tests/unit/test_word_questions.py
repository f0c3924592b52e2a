"""Questions about words are answered from data: translation, meaning, difference, plural, gender, tense, spelling."""

from __future__ import annotations

import json

import pytest

from serve_app.package_data import data_file
from serve_app.teaching.spoken_signs import in_words, spelt
from serve_app.teaching.verb_tenses import Tense, conjugate
from serve_app.teaching.word_forms import plural
from serve_app.teaching.word_questions import answer

SAUDADE = '"Saudade" é o que você sente quando está longe de uma pessoa ou de um lugar de que gosta.'
SER_ESTAR = '"Ser" é para o que é sempre assim, "eu sou alegre"; "estar" é para agora, "eu estou cansado".'
HA_A = 'A gente diz "cheguei há dois dias", no passado, mas "chego daqui a dois dias".'
MAU_MAL = '"Mau" é o contrário de bom, "um homem mau"; "mal" é o contrário de bem, "dormi mal".'
POR_PARA = (
    '"Por" é para o caminho ou o motivo, "passo por Minas"; "para" é para o destino ou o objetivo, "vou para o Rio".'
)
SABER_CONHECER = (
    '"Saber" é para uma informação ou habilidade, "eu sei nadar"; '
    '"conhecer" é para uma pessoa ou um lugar, "eu conheço a Maria".'
)
TRAZER_LEVAR = '"Trazer" é para cá, "traga o livro para cá"; "levar" é para lá, "leve o livro para lá".'
TUDO_TODO = '"Tudo" é sozinho, todas as coisas: "comi tudo"; "todo" vem com um nome: "todo dia".'
ONDE_AONDE = '"Onde" é para o lugar em que alguém está, "onde você mora?"; "aonde" é com movimento, "aonde você vai?".'
MAS_MAIS = '"Mas" é para o contrário, como "porém": "é caro, mas é bom"; "mais" é quantidade: "quero mais café".'
VER_OLHAR = '"Olhar" é dirigir os olhos, "ver" é perceber: "eu olhei, mas não vi nada".'
PEDIR_PERGUNTAR = (
    '"Pedir" é querer uma coisa, "eu peço um café"; "perguntar" é querer uma resposta, "eu pergunto a hora".'
)
ANSWERS = {
    "Qual é a diferença entre comer e almoçar?": 'Em inglês, "comer" é "eat" e "almoçar" é "have lunch".',
    "Como se diz 'bias' nesse contexto?": 'Em português, "bias" é "o viés".',
    "Que palavra eu uso para 'idraulico'? É encanador?": 'Em português, "idraulico" é "o encanador".',
    "O que quer dizer 'com a faca e o queijo na mão'?": (
        '"Estar com a faca e o queijo na mão" quer dizer ter tudo para conseguir uma coisa.'
    ),
    "O que significa 'estar com a pulga atrás da orelha'?": (
        '"Com a pulga atrás da orelha" quer dizer com uma dúvida, sem confiar.'
    ),
    "O que quer dizer 'para inglês ver'?": '"Pra inglês ver" quer dizer só para mostrar, sem ser de verdade.',
    "Qual a diferença entre 'cozinha' e 'cozinhar'?": (
        '"Cozinha", "kitchen", é um substantivo, e "cozinhar", "cook", é o verbo.'
    ),
    "Qual é a diferença entre chuva e neve?": 'Em inglês, "chuva" é "rain" e "neve" é "snow".',
    "Qual é o subjuntivo do verbo 'poder'?": "Que eu possa, você possa, nós possamos e eles possam.",
    "Quando eu devo usar o subjuntivo?": (
        'O subjuntivo vem depois de desejo, dúvida ou emoção: "quero que você venha", "talvez chova".'
    ),
    "Quando se usa a crase antes de nomes de cidades?": (
        'A crase é "a" mais o artigo "a": "vou à praia". Com cidade, só quando a cidade tem artigo: "vou à Bahia", '
        'mas "vou a Curitiba".'
    ),
    "How do you say 'tired' in Portuguese?": 'Em português, "tired" é "cansado".',
    "How do you say tired?": 'Em português, "tired" é "cansado".',
    "Como se diz tired?": 'Em português, "tired" é "cansado".',
    'Como se diz "tired" em português?': 'Em português, "tired" é "cansado".',
    "¿Cómo se dice perro en portugués?": 'Em português, "perro" é "o cachorro".',
    "Como se dice perro?": 'Em português, "perro" é "o cachorro".',
    "Como é que fala 'window' em português?": 'Em português, "window" é "a janela".',
    "Como que fala window em português?": 'Em português, "window" é "a janela".',
    "Como fala window?": 'Em português, "window" é "a janela".',
    "how do you say I'm hungry in portuguese?": 'Em português, "I\'m hungry" é "estou com fome".',
    "How do you say 'never mind'?": 'Em português, "never mind" é "deixa pra lá".',
    "How do you say 'don't worry' in Portuguese?": 'Em português, "don\'t worry" é "não se preocupe".',
    "Como se diz stapler em português?": 'Em português, "stapler" é "o grampeador".',
    "Como eu digo good luck?": 'Em português, "good luck" é "boa sorte".',
    "Eu não sei como se diz fork.": 'Em português, "fork" é "o garfo".',
    "I don't know how to say umbrella.": 'Em português, "umbrella" é "o guarda-chuva".',
    "What's the word for homework?": 'Em português, "homework" é "a lição de casa".',
    "What is 'dog' in Portuguese?": 'Em português, "dog" é "o cachorro".',
    "O que é 'pineapple' em português?": 'Em português, "pineapple" é "o abacaxi".',
    "How do you say dogs in Portuguese?": 'Em português, "dogs" é "os cachorros".',
    "How do you say went in Portuguese?": 'Em português, "to go" é "ir".',
    "How do you say to work?": 'Em português, "to work" é "trabalhar".',
    "How do you say work in Portuguese?": 'Em português, "work" é "o trabalho", e "to work" é "trabalhar".',
    "Como se diz window e door em português?": 'Em português, "window" é "a janela" e "door" é "a porta".',
    "Como se diz 21?": 'Em português, a gente diz "vinte e um".',
    "Como se diz 1984 em português?": 'Em português, a gente diz "mil novecentos e oitenta e quatro".',
    "How do you say twenty-one in Portuguese?": 'Em português, "twenty-one" é "vinte e um".',
    "¿Cómo se dice mañana?": 'Em português, "mañana" é "a manhã" ou "amanhã".',
    '¿Cómo se dice "tengo hambre" en portugués?': 'Em português, "tengo hambre" é "estou com fome".',
    "¿Cómo se dice brincar?": 'Em português, "brincar" é "pular".',
    "¿Cómo se dice rato en portugués?": 'Em português, "rato" é "um momento".',
    "¿Cómo se dice casa en portugués?": 'Em português, "casa" também é "a casa".',
    "Como se diz obrigado em inglês?": 'Em inglês, "obrigado" é "thank you".',
    "Como se diz saudade em inglês?": SAUDADE,
    'Como se diz em português "good luck"?': 'Em português, "good luck" é "boa sorte".',
    '"Window", como se diz em português?': 'Em português, "window" é "a janela".',
    "Eu quero um... how do you say... spoon?": 'Em português, "spoon" é "a colher".',
    "O que significa 'saudade'?": SAUDADE,
    "O que quer dizer 'aliás'?": '"Aliás" serve para lembrar mais uma coisa: "Aliás, você já comeu?"',
    "O que quer dizer aliás?": '"Aliás" serve para lembrar mais uma coisa: "Aliás, você já comeu?"',
    "O que significa janela?": '"Janela" é "window" em inglês e "ventana" em espanhol.',
    "What does saudade mean?": SAUDADE,
    "What does 'jeitinho' mean?": '"Jeitinho" é um modo criativo de resolver um problema, às vezes fora das regras.',
    "¿Qué significa cafuné?": '"Cafuné" é passar a mão no cabelo de alguém com carinho.',
    "O que é feijoada?": '"Feijoada" é um prato de feijão-preto com carne de porco.',
    "Saudade quer dizer o quê?": SAUDADE,
    "O que significa a palavra bagunça?": '"Bagunça" é quando as coisas estão fora do lugar.',
    "Qual é o significado de gambiarra?": '"Gambiarra" é um conserto improvisado, com o que a gente tem em casa.',
    "What is the meaning of embora?": '"Embora" quer dizer mesmo que: "Embora chova, eu vou." E "ir embora" é sair.',
    "O que significa awkward?": 'Em português, "awkward" é "estranho".',
    "Qual é a diferença entre ser e estar?": SER_ESTAR,
    "Qual a diferença entre 'por' e 'para'?": POR_PARA,
    "What's the difference between saber and conhecer?": SABER_CONHECER,
    "What is the difference between ser and estar in Portuguese?": SER_ESTAR,
    "¿Cuál es la diferencia entre mucho y muy?": 'A gente diz "muito café" e "muito bonito", com a mesma palavra.',
    "Qual é a diferença entre há e a?": HA_A,
    "Qual a diferença entre por que e porque?": 'A gente diz "por que você veio?", e a resposta é "porque eu quis".',
    "Quando eu uso por e quando uso para?": POR_PARA,
    "Quando se usa ser ou estar?": SER_ESTAR,
    "When do I use por or para?": POR_PARA,
    "Qual a diferença de este e esse?": 'A gente diz "este livro" aqui comigo, e "esse livro" aí com você.',
    "Qual é a diferença entre avó e avô?": '"Minha avó" é a mãe da minha mãe, e "meu avô" é o pai dela.',
    "Qual é o plural de pão?": 'A gente diz "um pão" e "dois pães".',
    "Qual é o plural de 'mão'?": 'A gente diz "uma mão" e "duas mãos".',
    "What is the plural of coração?": 'A gente diz "um coração" e "dois corações".',
    "Como é animal no plural?": 'A gente diz "um animal" e "dois animais".',
    "Como fica fácil no plural?": 'Para um, a gente diz "fácil", e para muitos, "fáceis".',
    "Qual o plural de lápis?": 'É igual: "lápis", um ou muitos.',
    "O plural de homem é o quê?": 'A gente diz "um homem" e "dois homens".',
    "What's the plural of inglês?": 'Para um, a gente diz "inglês", e para muitos, "ingleses".',
    "Qual é o plural de português?": 'Para um, a gente diz "português", e para muitos, "portugueses".',
    "Qual é o feminino de ator?": 'O feminino de "ator" é "atriz".',
    'Qual é o feminino de "rei"?': 'O feminino de "rei" é "rainha".',
    "What's the feminine of bom?": 'O feminino de "bom" é "boa".',
    "Qual o masculino de vaca?": 'O masculino de "vaca" é "boi".',
    "Qual é o contrário de bonito?": 'O contrário de "bonito" é "feio".',
    "Qual é o contrário de abrir?": 'O contrário de "abrir" é "fechar".',
    "É o problema ou a problema?": 'A gente diz "o problema".',
    "É 'o problema' ou 'a problema'?": 'A gente diz "o problema".',
    "Problema é masculino ou feminino?": 'A gente diz "o problema".',
    "É um viagem ou uma viagem?": 'A gente diz "a viagem".',
    "É o ou a leite?": 'A gente diz "o leite".',
    "Qual é o gênero de mapa?": 'A gente diz "o mapa".',
    "Is viagem masculine or feminine?": 'A gente diz "a viagem".',
    "Como é o passado de 'fazer'?": "Ontem eu fiz, você fez, nós fizemos e eles fizeram.",
    "Qual é o passado de ir?": "Ontem eu fui, você foi, nós fomos e eles foram.",
    "What's the past tense of ter?": "Ontem eu tive, você teve, nós tivemos e eles tiveram.",
    "Como se conjuga 'ter'?": "Eu tenho, você tem, nós temos e eles têm.",
    "Como se conjuga o verbo ficar?": "Eu fico, você fica, nós ficamos e eles ficam.",
    "How do you conjugate ser?": "Eu sou, você é, nós somos e eles são.",
    "Como é fazer no passado?": "Ontem eu fiz, você fez, nós fizemos e eles fizeram.",
    "Qual é o futuro de viajar?": "Amanhã eu vou viajar, você vai viajar, nós vamos viajar e eles vão viajar.",
    "Qual é o passado de chegar?": "Ontem eu cheguei, você chegou, nós chegamos e eles chegaram.",
    "Como se escreve exceção?": 'A gente escreve "exceção" assim: é, xis, cê, é, cê-cedilha, á com til, ó.',
    "Como se escreve 'pão'?": 'A gente escreve "pão" assim: pê, á com til, ó.',
    "How do you spell obrigado?": 'A gente escreve "obrigado" assim: ó, bê, erre, i, gê, á, dê, ó.',
    "Como é que se diz 'toothbrush'?": 'Em português, "toothbrush" é "a escova de dentes".',
    "How do I say 'embarrassed'?": 'Em português, "embarrassed" é "envergonhado".',
    "Como se chama 'butterfly' em português?": 'Em português, "butterfly" é "a borboleta".',
    "Cómo se llama butterfly en portugués?": 'Em português, "butterfly" é "a borboleta".',
    'How do you say "How are you?" in Portuguese?': 'Em português, "how are you" é "tudo bem?".',
    "Professora, como se diz knife?": 'Em português, "knife" é "a faca".',
    "How do you say please in Portuguese, please?": 'Em português, "please" é "por favor".',
    "Could you tell me how to say bathroom in Portuguese?": 'Em português, "bathroom" é "o banheiro".',
    "Can you tell me what saudade means?": SAUDADE,
    "Você sabe o que significa 'carona'?": '"Carona" é ir com alguém no carro dessa pessoa, sem pagar.',
    "Como se diz perro?": 'Em português, "perro" é "o cachorro".',
    "Como é que se diz en portugués lluvia?": 'Em português, "lluvia" é "a chuva".',
    "Desculpa, como se diz 'I forgot'?": 'Em português, "I forgot" é "esqueci".',
    "How would you say raining?": 'Em português, "to rain" é "chover".',
    "Qual é a diferença entre ver e olhar?": VER_OLHAR,
    "Não sei se é o sal ou a sal.": 'A gente diz "o sal".',
    "Qual é a palavra para window?": 'Em português, "window" é "a janela".',
    "How do you say thirty two?": 'Em português, "thirty two" é "trinta e dois".',
    "¿Cómo se dice treinta y dos?": 'Em português, "treinta y dos" é "trinta e dois".',
    'Qual é a diferença entre "mas" e "mais"?': MAS_MAIS,
    "Como se escreve dog em português?": 'A gente escreve "cachorro" assim: cê, á, cê, agá, ó, erre, erre, ó.',
    "Qual é a diferença entre o por e o para?": POR_PARA,
    "Devo dizer 'por' ou 'para'?": POR_PARA,
    "How do you say swimming in portuguese?": 'Em português, "to swim" é "nadar".',
    "How do you say children?": 'Em português, "children" é "as crianças".',
    "How do you say wives?": 'Em português, "wives" é "as esposas".',
    "Como é que eu digo 'I miss you'?": 'Em português, "I miss you" é "estou com saudade de você".',
    'Como posso dizer "get along"?': 'Em português, "get along" é "se dar bem".',
    "Como se diz 1.500?": 'Em português, a gente diz "mil e quinhentos".',
    "Qual é o plural de mulher?": 'A gente diz "uma mulher" e "duas mulheres".',
    "Is it o problema or a problema?": 'A gente diz "o problema".',
    "Qual é a diferença entre mau e mal?": MAU_MAL,
    "Qual é a diferença entre trazer e levar?": TRAZER_LEVAR,
    "Qual a diferença entre tudo e todo?": TUDO_TODO,
    "Qual a diferença entre onde e aonde?": ONDE_AONDE,
    "Qual é a diferença entre pedir e perguntar?": PEDIR_PERGUNTAR,
    "Qual é a diferença entre meio e meia?": 'A gente diz "meio copo" e "meia hora", mas "ela está meio cansada".',
    "Qual é o plural de cidadão?": 'A gente diz "um cidadão" e "dois cidadãos".',
    "Qual é o feminino de herói?": 'O feminino de "herói" é "heroína".',
    "Qual é o feminino de estudante?": 'É igual: "estudante", para homem e para mulher.',
    "Como é o imperfeito de morar?": "Antes eu morava, você morava, nós morávamos e eles moravam.",
    "É o mão ou a mão?": 'A gente diz "a mão".',
    "É um foto ou uma foto?": 'A gente diz "a foto".',
    "Como digo sim?": 'Em português, a gente diz "sim".',
    "O que é love?": 'Em português, "love" é "o amor", e "to love" é "amar".',
    "Como se diz eh happy?": 'Em português, "happy" é "feliz".',
    "Como se diz hmm... umbrella?": 'Em português, "umbrella" é "o guarda-chuva".',
    "Como se diz bread and butter?": 'Em português, "bread" é "o pão" e "butter" é "a manteiga".',
    "How do you say I like it?": 'Em português, "I like it" é "eu gosto".',
    "Como diz umbrella?": 'Em português, "umbrella" é "o guarda-chuva".',
    "Como você diz umbrella em português?": 'Em português, "umbrella" é "o guarda-chuva".',
    "Como é dog?": 'Em português, "dog" é "o cachorro".',
    "How to say cat": 'Em português, "cat" é "o gato".',
    "How you say cat in Portuguese?": 'Em português, "cat" é "o gato".',
    "what means saudade?": SAUDADE,
    "What does it mean saudade?": SAUDADE,
    "O que significa, saudade?": SAUDADE,
    "o que quer dizer a palavra 'puxa'": '"Puxa" é o que a gente diz com surpresa ou pena: "Puxa, que azar!"',
    "Que significa carona?": '"Carona" é ir com alguém no carro dessa pessoa, sem pagar.',
    "Que quer dizer né?": '"Né" é "não é?" bem rápido: "Está frio, né?"',
    "Como se soletra 'você'?": 'A gente escreve "você" assim: vê, ó, cê, é com circunflexo.',
    "Cuál es la diferencia entre por y para?": POR_PARA,
    "¿Cuándo se usa por y para?": POR_PARA,
    "¿Cuál es el plural de pão?": 'A gente diz "um pão" e "dois pães".',
    "¿Cómo se escribe obrigado?": 'A gente escreve "obrigado" assim: ó, bê, erre, i, gê, á, dê, ó.',
    "¿Qué quiere decir 'gambiarra'?": '"Gambiarra" é um conserto improvisado, com o que a gente tem em casa.',
    "Como falo 'I am tired' em português?": 'Em português, "I am tired" é "estou cansado".',
    "Como se diz abacaxi em espanhol?": 'Em espanhol, "abacaxi" é "piña".',
    "Diz como se diz cheese.": 'Em português, "cheese" é "o queijo".',
    "How do you say cheese, please?": 'Em português, "cheese" é "o queijo".',
    "How do you say the dog?": 'Em português, "dog" é "o cachorro".',
    "Como se diz the car?": 'Em português, "car" é "o carro".',
    "E umbrella, como se diz?": 'Em português, "umbrella" é "o guarda-chuva".',
    "How do you say 'ran out of' in Portuguese?": 'Em português, "to run out of" é "ficar sem".',
    "How do you say looking forward to?": 'Em português, "to look forward to" é "esperar ansiosamente".',
    "How do you say wool in Portuguese?": 'Em português, "wool" é "a lã".',
    "O que significa 'lã'?": '"Lã" é "wool" em inglês e "lana" em espanhol.',
    "Qual é o plural de lã?": 'A gente diz "uma lã" e "duas lãs".',
    "Como se diz forchetta em português?": 'Em português, "forchetta" é "o garfo".',
    "Como se diz 'Regenschirm'?": 'Em português, "Regenschirm" é "o guarda-chuva".',
    "Comment dit-on 'coudre' en portugais ?": 'Em português, "coudre" é "costurar".',
    "Come si dice 'burro' in portoghese?": 'Em português, "burro" é "a manteiga".',
    "Wie sagt man 'die Gabel' auf Portugiesisch?": 'Em português, "Gabel" é "o garfo".',
    "Comment dit-on 'les cuillères' en portugais ?": 'Em português, "cuillères" é "as colheres".',
    "Como se diz janela em francês?": 'Em francês, "janela" é "fenêtre".',
    "O que significa 'ombrello'?": 'Em português, "ombrello" é "o guarda-chuva".',
    "O que quer dizer 'pagou mico'?": '"Pagar mico" quer dizer passar vergonha na frente dos outros.',
    "O que significa bagunçada?": '"Bagunçado" quer dizer fora do lugar, sem ordem.',
    "How do you say toothbrushes?": 'Em português, "toothbrushes" é "as escovas de dentes".',
    "How do you say high heels in Portuguese?": 'Em português, "high heels" é "os saltos altos".',
    "How do you say notes in Portuguese?": 'Em português, "notes" é "os bilhetes".',
    "O que significa janelas?": '"Janela" é "window" em inglês e "ventana" em espanhol.',
    "O que quer dizer fiquei?": '"Ficar" é "stay" em inglês e "quedarse" em espanhol.',
    "O que significa 'pela'?": '"Pela" é "por" com "a": "Andei pela praia."',
    "O que significa faxina?": '"Faxina" é uma limpeza grande e completa da casa.',
}
BEGINNINGS = {
    "¿Cómo se dice berro en portugués?": 'Em português, "berro" é "',
    "Como se diz zorbing em português?": 'Em português, "zorbing" é "',
    'How do you say "zorbing" em português?': 'Em português, "zorbing" é "',
    "How do you say I would like to go to the beach with my friends in Portuguese?": 'Em português, a gente diz "',
    "O que significa xodozinho?": '"Xodozinho" quer dizer',
    "Qual é a diferença entre 'xodó' e 'carinho'?": 'A gente diz "xodó"',
    "Qual é o contrário de macarrão?": 'O contrário de "macarrão" é "',
    "Como traduzo 'goosebumps'?": 'Em português, "goosebumps" é "',
    "How do you say the dog is running": 'Em português, a gente diz "',
    "Qual é a diferença entre 'entupir' e 'obstruir'?": 'A gente diz "entupir"',
    "How do you say she is my sister?": 'Em português, a gente diz "',
    "Como se diz I am 20 years old?": 'Em português, a gente diz "',
}
NO_QUESTIONS_ABOUT_WORDS = (
    "Eu não sei como dizer isso.",
    "Qual é a diferença entre o Rio e São Paulo?",
    "Como se escreve seu nome?",
    "Eu disse para ela que eu estava cansado.",
    "Qual é a sua cidade?",
    "Eu não sei dizer não.",
    "Eu não sei como dizer não.",
    "Como você fala português tão bem?",
    "Como você fala com a sua mãe?",
    "Como se diz?",
    "Como você se chama?",
    "Como é o Natal em Portugal?",
    "Como é o seu trabalho?",
    "O que você quer dizer?",
    "O que isso quer dizer?",
    "O que quer dizer isso?",
    "O que é difícil em português?",
    "O que você fez ontem?",
    "Quando eu uso o computador, fico cansado.",
    "Como diz meu avô, a vida é bela.",
    "Gosto de viajar no futuro.",
    "O passado do Brasil é interessante.",
    "Você quer o café ou a água?",
    "A minha diferença é que eu sou alto.",
    "Eu queria um carro ou uma moto.",
    "Qual é o seu plural favorito?",
    "Como eu digo sempre, o importante é viver.",
    "What does your mother do?",
    "O que é isso?",
    "O que é importante para você?",
    "Eu não entendi a palavra.",
    "Quanto custa?",
    "Meu trabalho é diferente de antes e depois.",
    "Eu conjugo trabalho e família.",
    "Não sei o que significa ser feliz.",
    "What does your name mean?",
    "Quando eu digo isso e aquilo, ele ri.",
    "Como se diz lá, tudo bem?",
    "Como se escreve o seu nome?",
    "Eu digo tudo para ela.",
    "Como foi o seu dia?",
    "Como está o tempo?",
    "O que você acha da palavra saudade?",
    "Como é o nome da sua mãe?",
    "Como fica a sua casa?",
    "Como é que você aprendeu inglês?",
    "Como fala o seu pai?",
    "Como se fala português no Brasil?",
    "What does he mean?",
    "Eu tenho um presente de aniversário e o plural da vida",
    "Qual é a palavra de hoje?",
    "O que é mais difícil para você?",
    "Qual é o seu artigo de jornal favorito?",
    "Como fica o tempo no futuro?",
    "Você é o professor ou a professora?",
    "Ela é a médica ou o médico?",
    "Eu quero dizer 'obrigado' para você.",
    "Não sei como chama.",
    "Como eu falo com o médico?",
    "Como é bom viver!",
    "Como é que é?",
    "O que significa isso em português?",
    "How do you say it?",
    "How do you say that in Portuguese?",
    "What is your name?",
    "What are you doing?",
    "What is love?",
    "O contrário de mim é o meu irmão.",
    "Ao contrário do meu pai, eu gosto de café.",
    "Pelo contrário, eu adoro.",
    "Ao contrário de você, eu acordo cedo.",
    "Qual é o contrário?",
    "A gente fala no plural",
    "Como é o futuro da empresa no Brasil?",
    "No passado de verdade eu era feliz.",
    "Como se diz no Brasil, quem não tem cão caça com gato?",
    "Qual é a diferença entre esses dois?",
    "Qual é a diferença?",
    "¿Qué significa eso?",
    "O plural de mim.",
    "Eu te disse: o contrário de amor é ódio.",
)


@pytest.mark.parametrize(("utterance", "text"), ANSWERS.items())
def test_a_question_about_words_is_answered_from_data(utterance: str, text: str) -> None:
    found = answer(utterance)
    assert found is not None
    assert (found.text, found.whole) == (text, True)


@pytest.mark.parametrize(("utterance", "text"), BEGINNINGS.items())
def test_a_model_goes_on_where_the_data_lacks_the_word(utterance: str, text: str) -> None:
    found = answer(utterance)
    assert found is not None
    assert (found.text, found.whole) == (text, False)


@pytest.mark.parametrize("utterance", NO_QUESTIONS_ABOUT_WORDS)
def test_other_utterances_are_left_to_the_planner(utterance: str) -> None:
    assert answer(utterance) is None


def test_a_beginner_hears_two_persons_only() -> None:
    found = answer("Como é o passado de fazer?", "A1")
    assert found is not None
    assert found.text == "Ontem eu fiz e você fez."


@pytest.mark.parametrize(
    ("one", "many"),
    {
        "pão": "pães", "mão": "mãos", "coração": "corações", "animal": "animais", "fácil": "fáceis", "lápis": "lápis",
        "homem": "homens", "mulher": "mulheres", "hotel": "hotéis", "móvel": "móveis", "espanhol": "espanhóis",
        "azul": "azuis", "barril": "barris", "país": "países", "mês": "meses", "inglês": "ingleses", "luz": "luzes",
        "ônibus": "ônibus", "gás": "gases", "papel": "papéis", "nível": "níveis", "irmão": "irmãos", "casa": "casas",
    }.items(),
)  # fmt: skip
def test_plural(one: str, many: str) -> None:
    assert plural(one) == many


@pytest.mark.parametrize(
    ("infinitive", "tense", "forms"),
    [
        ("ficar", "past", "fiquei ficou ficamos ficaram"),
        ("começar", "past", "comecei começou começamos começaram"),
        ("escrever", "present", "escrevo escreve escrevemos escrevem"),
        ("dirigir", "present", "dirijo dirige dirigimos dirigem"),
        ("agradecer", "present", "agradeço agradece agradecemos agradecem"),
        ("ter", "imperfect", "tinha tinha tínhamos tinham"),
        ("morar", "imperfect", "morava morava morávamos moravam"),
        ("ser", "imperfect", "era era éramos eram"),
        ("sair", "imperfect", "saía saía saíamos saíam"),
    ],
)
def test_tenses(infinitive: str, tense: Tense, forms: str) -> None:
    assert " ".join(conjugate(infinitive, tense) or ()) == forms


@pytest.mark.parametrize(
    ("number", "words"),
    {
        0: "zero", 16: "dezesseis", 100: "cem", 101: "cento e um", 999: "novecentos e noventa e nove", 1000: "mil",
        2024: "dois mil e vinte e quatro", 1_200_000: "um milhão e duzentos mil", 3_500: "três mil e quinhentos",
    }.items(),
)  # fmt: skip
def test_numbers_in_words(number: int, words: str) -> None:
    assert in_words(number) == words


def test_letters_and_accents_have_names() -> None:
    assert spelt("você-à") == "vê, ó, cê, é com circunflexo, hífen, á com crase"


@pytest.mark.parametrize("file", ["glossary", "glossary_more_languages", "meanings", "word_forms"])
def test_no_word_stands_twice(file: str) -> None:
    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        assert len({key for key, _ in pairs}) == len(pairs)
        return dict(pairs)

    json.loads(data_file(f"teaching/{file}.json").read_text("utf-8"), object_pairs_hook=once)


def test_no_difference_is_explained_twice() -> None:
    rows = json.loads(data_file("teaching/differences.json").read_text("utf-8"))
    assert len({tuple(sorted(row["words"])) for row in rows}) == len(rows)


def test_the_data_is_as_large_as_everyday_talk_needs() -> None:
    glossary = json.loads(data_file("teaching/glossary.json").read_text("utf-8"))
    pairs = [pair for words in glossary.values() for pair in words.values()]
    english, spanish = ({word for pair in pairs for word in pair[side].split("|") if word} for side in (0, 1))
    assert len(english) >= 2500
    assert len(spanish) >= 2500
    answers = [answer(f'How do you say "{word}" in Portuguese?') for word in english]
    answers += [answer(f'¿Cómo se dice "{word}" en portugués?') for word in spanish]
    assert all(found is not None and found.whole for found in answers)
    more = json.loads(data_file("teaching/glossary_more_languages.json").read_text("utf-8"))
    for place, question in enumerate(("Come si dice", "Comment dit-on", "Wie sagt man")):
        said = {word for words in more.values() for entry in words.values() for word in entry[place].split("|") if word}
        assert len(said) >= 400
        answers = [answer(f'{question} "{word}"?') for word in said]
        assert all(found is not None and found.whole for found in answers)
    assert len(json.loads(data_file("teaching/meanings.json").read_text("utf-8"))) >= 450
    assert len(json.loads(data_file("teaching/differences.json").read_text("utf-8"))) >= 220


def test_a_word_that_is_not_known_may_be_named_again_in_another_language() -> None:
    named = answer("Como dizer khleb em português? Bread.", "A2")
    assert named is not None
    assert named.text == 'Em português, "bread" é "o pão".'
    unknown = answer("Como se diz khleb? Eu não sei.", "A2")
    assert unknown is not None
    assert not unknown.whole
