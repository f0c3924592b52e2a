"""A replica's share of a card, as PyTorch is told of it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from serve_app.engines.torch_device import claim
from serve_app.errors import StackError
from serve_app.gpu.cards import CONTEXT_BYTES

CARD = 24 * 2**30


@pytest.fixture
def fractions(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What PyTorch is limited to, on a card of 24 GiB that it takes to be there."""
    told: list[float] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=CARD))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (CARD, CARD))
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", told.append)
    return told


def test_a_share_is_the_limit_less_the_context_that_pytorch_does_not_count(fractions: list[float]) -> None:
    assert claim("cuda", 0.25) == torch.device("cuda")
    assert fractions[0] * CARD + CONTEXT_BYTES == pytest.approx(0.25 * CARD)


def test_a_process_that_sees_its_share_as_the_card_is_not_limited_twice(
    fractions: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (CARD // 4, CARD // 4))
    claim("cuda", 0.25)
    assert fractions[0] * CARD / 4 + CONTEXT_BYTES == pytest.approx(0.25 * CARD)


@pytest.mark.parametrize("share", [None, 1, 2])
def test_whole_cards_have_no_limit(fractions: list[float], share: float | None) -> None:
    claim("cuda", share)
    assert fractions == []


def test_the_cpu_has_no_share(fractions: list[float]) -> None:
    assert claim("cpu", 0.25) == torch.device("cpu")
    assert fractions == []


def test_a_card_that_pytorch_does_not_see_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(StackError, match="check `nvidia-smi` and the driver"):
        claim("cuda", 0.25)


def test_attention_is_not_set_up_anew_for_every_length_of_text(fractions: list[float]) -> None:
    torch.backends.cuda.enable_cudnn_sdp(True)
    claim("cuda", 0.25)
    assert not torch.backends.cuda.cudnn_sdp_enabled()
