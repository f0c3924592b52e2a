"""A tiny mDeBERTa classifier with random weights, in a folder as transformers saves one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import DebertaV2Config, DebertaV2ForSequenceClassification

SENTENCES = (
    "eu gosto de futebol e de música",
    "ontem eu fui à praia com a minha família",
    "se eu tivesse estudado mais teria passado na prova",
)
SPECIAL = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]")


def make(
    folder: Path, labels: Sequence[str] | None = ("A1", "A2", "B1", "B2", "C1"), seed: int = 0, **larger: int
) -> Path:
    """Write the classifier; `labels` None leaves the names transformers gives, LABEL_0 and LABEL_1.

    `larger` replaces sizes of its config.
    """
    words = sorted({f"\u2581{word}" for sentence in SENTENCES for word in sentence.split()})
    letters = sorted({*"\u2581abcdefghijklmnopqrstuvwxyzáâãàçéêíóôõúABCDEFGHIJKLMNOPQRSTUVWXYZ.,!?"})
    pieces = [(token, 0.0) for token in SPECIAL] + [(word, -2.0) for word in words] + [(char, -6.0) for char in letters]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=SPECIAL.index("[UNK]")))
    tokenizer.normalizer = normalizers.NFC()  # pyright: ignore[reportAttributeAccessIssue] - a binary module
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.decoder = decoders.Metaspace()  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.post_processor = processors.TemplateProcessing(  # pyright: ignore[reportAttributeAccessIssue]
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {f"{token[1:-1].lower()}_token": token for token in SPECIAL}
    config = {"tokenizer_class": "DebertaV2Tokenizer", "bos_token": "[CLS]", "model_max_length": 512, **names}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    torch.manual_seed(seed)
    named: dict[str, Any] = {} if labels is None else {"num_labels": len(labels), "id2label": dict(enumerate(labels))}
    sizes: dict[str, Any] = {
        **{"vocab_size": tokenizer.get_vocab_size(), "hidden_size": 32, "num_hidden_layers": 2},
        **{"num_attention_heads": 2, "intermediate_size": 64, "pooler_hidden_size": 32, "pooler_dropout": 0},
        # As mDeBERTa has it.
        **{"type_vocab_size": 0, "relative_attention": True, "position_buckets": 256, "norm_rel_ebd": "layer_norm"},
        **{"share_att_key": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False},
        "initializer_range": 0.35,  # wide, so that different texts get different levels
        **larger,
    }
    model = DebertaV2ForSequenceClassification(DebertaV2Config(**sizes, **named))
    model.save_pretrained(folder)
    return folder
