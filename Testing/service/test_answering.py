"""The story of a request, where no client can tell it: a text of very many sentences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from med2e3.model import load_model
from med2e3.service import answering
from med2e3.volume import Scan
from med2e3.wire import jsonrpc


@pytest.fixture
def opened(chest):
    scan = Scan(chest, np.diag([-1.0, -1.0, 3.0, 1.0]), "CT")
    return answering.open_scan(load_model(), scan, "axial", "auto")


def test_a_text_of_very_many_sentences_still_fits_into_one_message(opened, monkeypatch):
    written = opened.session.generate("Describe it.", max_new_tokens=1)
    text = "A mass. " * 700
    endless = replace(
        written,
        text=text,
        token_probabilities=[0.5] * 700,
        token_spans=[(8 * number, 8 * number + 8) for number in range(700)],
    )
    monkeypatch.setattr(opened.session, "generate", lambda *args, **options: endless)
    answered = answering.generate(opened, "report")
    sentences = answered.answer.sentences
    assert len(sentences) == len(answered.sentence_attention) == answering.MAX_SENTENCES
    assert (sentences[0].start, sentences[-1].end) == (0, len(text.rstrip()))
    assert {sentence.confidence for sentence in sentences} == {0.5}
    assert len(jsonrpc.result_line(1, answered)) < jsonrpc.MAX_LINE_BYTES
