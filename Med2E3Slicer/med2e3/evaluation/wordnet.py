"""WordNet and the words of a text, for METEOR, from what is on this machine.

NLTK's data does not come with its Python package, and nothing is downloaded here. WordNet 3.0 is
looked for in NLTK's own folders, then where Debian and Ubuntu install it (``wordnet-base``).
"""

from __future__ import annotations

import functools
import io
import warnings
from pathlib import Path
from typing import Any

from nltk.corpus.reader.wordnet import WordNetCorpusReader
from nltk.data import FileSystemPathPointer, find
from nltk.data import path as data_folders
from nltk.tokenize import NLTKWordTokenizer, PunktSentenceTokenizer, sent_tokenize

DEBIAN_FOLDER = Path("/usr/share/wordnet")

# lexnames(5WN): the one file of WordNet that Debian leaves out, as (name, part of speech).
_LEXICOGRAPHER_FILES = (
    "adj.all 3, adj.pert 3, adv.all 4, noun.Tops 1, noun.act 1, noun.animal 1, noun.artifact 1, "
    "noun.attribute 1, noun.body 1, noun.cognition 1, noun.communication 1, noun.event 1, "
    "noun.feeling 1, noun.food 1, noun.group 1, noun.location 1, noun.motive 1, noun.object 1, "
    "noun.person 1, noun.phenomenon 1, noun.plant 1, noun.possession 1, noun.process 1, "
    "noun.quantity 1, noun.relation 1, noun.shape 1, noun.state 1, noun.substance 1, noun.time 1, "
    "verb.body 2, verb.change 2, verb.cognition 2, verb.communication 2, verb.competition 2, "
    "verb.consumption 2, verb.contact 2, verb.creation 2, verb.emotion 2, verb.motion 2, "
    "verb.perception 2, verb.possession 2, verb.social 2, verb.stative 2, verb.weather 2, "
    "adj.ppl 3"
)


class _Reader(WordNetCorpusReader):  # type: ignore[misc]
    """WordNet in English alone, which is all that METEOR asks."""

    def open(self, file: str) -> Any:
        return io.StringIO(_lexnames()) if file == "lexnames" else super().open(file)

    def map_wn(self, version: str = "wordnet") -> None:
        """Nothing: maps to the other WordNets serve other languages."""

    # METEOR asks for the same words again and again, and each answer reads files.
    @functools.lru_cache(maxsize=50_000)  # noqa: B019 - there is one reader, for good
    def synsets(self, lemma: str, *arguments: Any, **options: Any) -> Any:
        return super().synsets(lemma, *arguments, **options)


@functools.lru_cache(maxsize=1)
def wordnet() -> Any | None:
    """WordNet as NLTK's corpus reader, or None where it is not on this machine."""
    folder = _folder()
    if folder is None:
        return None
    with warnings.catch_warnings():
        # It warns that it knows no other languages, which nobody asks of it.
        warnings.simplefilter("ignore", UserWarning)
        return _Reader(folder, None)


def words(text: str) -> list[str]:
    """The words of a text as NLTK's ``word_tokenize`` splits them.

    Where its model of English abbreviations (punkt_tab) is not on this machine, sentences are split
    by the same algorithm without it, which differs after abbreviations ("approx. 9 mm") alone.
    """
    tokenizer = NLTKWordTokenizer()
    return [word for sentence in _sentences(text) for word in tokenizer.tokenize(sentence)]


@functools.lru_cache(maxsize=1)
def has_abbreviations() -> bool:
    """Whether NLTK's model of English abbreviations is on this machine."""
    try:
        sent_tokenize("Dr. No.")
    except LookupError:
        return False
    return True


def _sentences(text: str) -> list[str]:
    split = sent_tokenize if has_abbreviations() else PunktSentenceTokenizer().tokenize
    sentences: list[str] = split(text)
    return sentences


def _folder() -> Any | None:
    for name in ("corpora/wordnet", "corpora/wordnet.zip/wordnet/"):
        try:
            return find(name)
        except LookupError:
            continue
    if not (DEBIAN_FOLDER / "index.noun").is_file():
        return None
    # NLTK opens nothing outside its data folders, so the folder becomes one of them.
    data_folders.append(str(DEBIAN_FOLDER))
    return FileSystemPathPointer(str(DEBIAN_FOLDER))


def _lexnames() -> str:
    rows = (row.split() for row in _LEXICOGRAPHER_FILES.split(", "))
    return "".join(f"{number:02}\t{name}\t{part}\n" for number, (name, part) in enumerate(rows))
