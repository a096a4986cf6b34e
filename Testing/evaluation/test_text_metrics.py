"""Text measures against figures worked out by hand from their definitions."""

from __future__ import annotations

import json
import string
from math import exp

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from med2e3.errors import InputError
from med2e3.evaluation import text_metrics as metrics
from med2e3.evaluation import wordnet
from med2e3.evaluation.text_metrics import bert_f1

REFERENCE = "The liver is not enlarged."


@pytest.mark.parametrize(
    ("prediction", "score"),
    [
        (REFERENCE, 1),
        # 4 of 5 words and marks are shared; one is missing: exp(1 - 6 / 5).
        ("The liver is enlarged.", exp(1 - 6 / 5)),
        # 5 of 8, and no penalty for a longer text. Letter case is kept: "the" is not "The".
        ("the liver is not enlarged at all.", 5 / 8),
        # A word counts as often as the reference has it.
        ("liver liver liver liver liver liver", 1 / 6),
        ("spleen", 0),
        ("", 0),
    ],
)
def test_bleu_1(prediction, score):
    assert metrics.bleu_1(prediction, REFERENCE) == pytest.approx(score)


def test_bleu_1_splits_marks_off_words_but_not_numbers():
    assert metrics.bleu_1("a cyst, 3.5 mm", "3.5 mm, a cyst") == pytest.approx(1)
    assert metrics.bleu_1("35", "3.5") == 0


@pytest.mark.parametrize(
    ("prediction", "score"),
    [
        (REFERENCE, 1),
        ("the LIVER", 2 * (1 * 2 / 5) / (1 + 2 / 5)),
        ("Livers are enlarging", 0),
        ("", 0),
    ],
)
def test_rouge_1(prediction, score):
    assert metrics.rouge_1(prediction, REFERENCE) == pytest.approx(score)


def test_rouge_l_asks_for_the_order_of_words():
    assert metrics.rouge_1("c b a", "a b c") == pytest.approx(1)
    assert metrics.rouge_l("c b a", "a b c") == pytest.approx(1 / 3)


def meteor_of(matches: int, chunks: int, prediction: int, reference: int) -> float:
    """Banerjee and Lavie's formula with alpha 0.9, beta 3, gamma 0.5."""
    precision, recall = matches / prediction, matches / reference
    mean = precision * recall / (0.9 * precision + 0.1 * recall)
    return mean * (1 - 0.5 * (chunks / matches) ** 3)


def test_meteor_without_synonyms():
    meteor = metrics.meteor_without_synonyms
    assert meteor("a b", "a b") == pytest.approx(meteor_of(2, 1, 2, 2))
    assert meteor("b x a", "a b") == pytest.approx(meteor_of(2, 2, 3, 2))
    # Equal stems count as equal words, whatever their case.
    assert meteor("Nodules", "a nodule") == pytest.approx(meteor_of(1, 1, 1, 2))
    assert meteor("tumour", "neoplasm") == 0


def test_meteor_knows_the_synonyms_of_a_wordnet(tmp_path, monkeypatch):
    """A WordNet of one noun with two names, in the format of WordNet's own files."""
    synset = "00000000 08 n 02 tumour 0 neoplasm 0 000 | a new growth\n"
    for part in ("noun", "verb", "adj", "adv"):
        (tmp_path / f"data.{part}").write_text(synset if part == "noun" else "")
        (tmp_path / f"{part}.exc").write_text("")
        (tmp_path / f"index.{part}").write_text(
            "".join(f"{name} n 1 0 1 0 00000000\n" for name in ("tumour", "neoplasm"))
            if part == "noun"
            else ""
        )
    monkeypatch.setattr(wordnet, "DEBIAN_FOLDER", tmp_path)
    monkeypatch.setattr(wordnet, "find", nothing_found)
    wordnet.wordnet.cache_clear()
    try:
        assert list(metrics.text_metrics()) == ["bleu1", "rouge1", "meteor"]
        assert metrics.meteor("tumour", "neoplasm") == pytest.approx(meteor_of(1, 1, 1, 1))
        assert metrics.meteor("tumour", "cyst") == 0
    finally:
        wordnet.wordnet.cache_clear()


def test_without_wordnet_nothing_is_called_meteor(tmp_path, monkeypatch):
    monkeypatch.setattr(wordnet, "DEBIAN_FOLDER", tmp_path)
    monkeypatch.setattr(wordnet, "find", nothing_found)
    wordnet.wordnet.cache_clear()
    try:
        assert list(metrics.text_metrics()) == ["bleu1", "rouge1", "meteor_without_synonyms"]
        with pytest.raises(LookupError, match="WordNet"):
            metrics.meteor("tumour", "neoplasm")
    finally:
        wordnet.wordnet.cache_clear()


def nothing_found(name: str) -> None:
    raise LookupError(name)


def test_words_are_split_sentence_by_sentence():
    text = "No effusion. A 3.5 mm nodule isn't seen."
    assert wordnet.words(text) == [
        *("No", "effusion", ".", "A", "3.5", "mm", "nodule", "is", "n't", "seen", ".")
    ]


# The first call reads WordNet.
@settings(deadline=None)
@given(st.text("ab .", max_size=12), st.text("ab .", min_size=1, max_size=12))
def test_every_measure_lies_between_0_and_1(prediction, reference):
    scores = metrics.compare(prediction, reference, metrics.text_metrics())
    assert all(0 <= score <= 1 + 1e-9 for score in scores.values())
    if not prediction.strip():
        assert set(scores.values()) == {0.0}


@pytest.fixture(scope="module")
def roberta(tmp_path_factory):
    """A RoBERTa with the layers of the large one and next to no width, letters for tokens."""
    from transformers import RobertaConfig, RobertaModel, RobertaTokenizer

    folder = tmp_path_factory.mktemp("roberta")
    letters = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "Ġ", *string.ascii_lowercase]
    (folder / "vocab.json").write_text(
        json.dumps({letter: number for number, letter in enumerate(letters)}), encoding="utf-8"
    )
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    RobertaTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    configuration = RobertaConfig(
        vocab_size=len(letters), hidden_size=16, num_hidden_layers=18, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=64, initializer_range=0.3,
    )  # fmt: skip
    RobertaModel(configuration).eval().save_pretrained(folder)
    return folder


def test_bertscore_by_hand(roberta):
    from transformers import RobertaModel, RobertaTokenizer

    score = bert_f1(roberta)
    assert score("a cyst", "a cyst") == pytest.approx(1, abs=1e-5)
    tokenizer = RobertaTokenizer.from_pretrained(roberta)
    model = RobertaModel.from_pretrained(roberta).eval()

    def embedded(text: str) -> torch.Tensor:
        ids = torch.tensor([tokenizer.encode(text, add_prefix_space=True)])
        with torch.no_grad():
            states = model(ids, output_hidden_states=True).hidden_states[17][0]
        return torch.nn.functional.normalize(states, dim=-1)

    # Each token takes the most alike of the other text; first and last stand for no word.
    alike = embedded("a cyst") @ embedded("no mass").T
    precision = alike.max(dim=1).values[1:-1].mean()
    recall = alike.max(dim=0).values[1:-1].mean()
    by_hand = 2 * precision * recall / (precision + recall)
    assert score("a cyst", "no mass") == pytest.approx(by_hand.item(), abs=1e-4)


def test_bertscore_without_its_model_says_what_to_download(tmp_path):
    with pytest.raises(InputError, match="download FacebookAI/roberta-large"):
        bert_f1(tmp_path)
