"""How alike two texts are, in the measures of the released evaluation scripts.

MSIIP/Med-2E3 ``scripts/eval/utils`` and BAAI-DCAI/M3D ``Bench/eval`` call the Hugging Face package
``evaluate`` on one pair of texts at a time and average. That package fetches its code from the
network; here the libraries under it are called with the same settings. Every score lies between 0
and 1, higher is better, and a prediction without words scores 0.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from nltk.translate.meteor_score import single_meteor_score
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU

from med2e3.errors import InputError
from med2e3.evaluation.wordnet import wordnet, words

_ROBERTA_LARGE_LAYERS = 17
"""The layer that bert-score takes of it by default."""


def bleu_1(prediction: str, reference: str) -> float:
    """Share of the prediction's words that the reference has, less the brevity penalty.

    BLEU with unigrams alone: 13a tokeniser, letter case kept, no smoothing.
    """
    return float(_bleu().sentence_score(prediction, [reference]).score) / 100


def rouge_1(prediction: str, reference: str) -> float:
    """F of the shared words: lower case, letters and digits alone, no stemming."""
    return _rouge(prediction, reference, "rouge1")


def rouge_l(prediction: str, reference: str) -> float:
    """F of the longest common subsequence of words, which are those of :func:`rouge_1`."""
    return _rouge(prediction, reference, "rougeL")


def meteor(prediction: str, reference: str) -> float:
    """METEOR of NLTK: equal words, then equal stems (Porter), then WordNet synonyms.

    alpha 0.9, beta 3, gamma 0.5. Raises LookupError where WordNet is not on this machine; see
    :func:`meteor_without_synonyms`.
    """
    synonyms = wordnet()
    if synonyms is None:
        raise LookupError("METEOR needs WordNet 3.0, which is not on this machine.")
    return _meteor(prediction, reference, synonyms)


def meteor_without_synonyms(prediction: str, reference: str) -> float:
    """METEOR with equal words and stems alone: at most :func:`meteor`, and another measure."""
    return _meteor(prediction, reference, SimpleNamespace(synsets=lambda word: []))


def bert_f1(folder: Path) -> TextMetric:
    """BERTScore F1 with the roberta-large in a folder (its 17th layer, not rescaled).

    It is never downloaded here. Raises InputError where the package bert-score or the folder is
    missing.
    """
    try:
        from bert_score import BERTScorer
    except ImportError:
        raise InputError(
            "BERTScore needs a package that is not installed; install it with: "
            f'"{sys.executable}" -m pip install bert-score'
        ) from None
    if not (folder / "config.json").is_file():
        raise InputError(
            f"{folder} holds no roberta-large; download FacebookAI/roberta-large from the Hugging "
            "Face hub into it (1.4 GB), or leave --bertscore out."
        )
    scorer = BERTScorer(model_type=str(folder), num_layers=_ROBERTA_LARGE_LAYERS)

    def score(prediction: str, reference: str) -> float:
        return float(scorer.score([prediction], [reference])[2][0])

    return score


TextMetric = Callable[[str, str], float]


def text_metrics() -> dict[str, TextMetric]:
    """BLEU-1, ROUGE-1 and METEOR by name.

    Without WordNet on this machine the last one is ``meteor_without_synonyms``, so that nobody
    takes it for METEOR.
    """
    measures: dict[str, TextMetric] = {"bleu1": bleu_1, "rouge1": rouge_1}
    if wordnet() is None:
        return measures | {"meteor_without_synonyms": meteor_without_synonyms}
    return measures | {"meteor": meteor}


def compare(prediction: str, reference: str, metrics: dict[str, TextMetric]) -> dict[str, float]:
    """All measures of one pair. As released: both texts are stripped, an empty one scores 0."""
    prediction, reference = prediction.strip(), reference.strip()
    if not prediction:
        return dict.fromkeys(metrics, 0.0)
    return {name: metric(prediction, reference) for name, metric in metrics.items()}


@functools.lru_cache(maxsize=1)
def _bleu() -> Any:
    return BLEU(max_ngram_order=1, tokenize="13a", smooth_method="none", effective_order=True)


@functools.lru_cache(maxsize=1)
def _rouge_scorer() -> Any:
    return RougeScorer(["rouge1", "rougeL"], use_stemmer=False)


def _rouge(prediction: str, reference: str, kind: str) -> float:
    return float(_rouge_scorer().score(reference, prediction)[kind].fmeasure)


def _meteor(prediction: str, reference: str, synonyms: Any) -> float:
    return float(single_meteor_score(words(reference), words(prediction), wordnet=synonyms))
