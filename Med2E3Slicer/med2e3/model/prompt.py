"""The prompt around a question, and the text that scores the slices, as token ids.

Both tokenizers read their files from the checkpoint folder alone: nothing is asked of a hub, and
no code that came with a model is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, BertTokenizer, PreTrainedTokenizerBase

from med2e3.errors import InputError
from med2e3.model.configuration import check_small_file, read_json

TOKENIZER_FILES = (
    "tokenizer.model",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
)

_TOKENIZERS = (
    "LlamaTokenizer",
    "LlamaTokenizerFast",
    "Qwen2Tokenizer",
    "Qwen2TokenizerFast",
    "PreTrainedTokenizerFast",
)
"""The classes of the language models that can be run. Others load whole models, or start programs
that cut words."""

_REACHING_OUT = (
    "auto_map",
    "fast_tokenizer_files",
    "init_inputs",
    "merges_file",
    "sp_model_kwargs",
    "tokenizer_file",
    "vocab_file",
)
"""Settings with which a tokenizer runs code that came with it, or reads files of other places."""

REPORT_QUESTION = "Describe the findings of this medical image."
"""What stands for "write a report": M3D-Cap, the training data, asks for findings so."""

IMAGE = "<image3d>"

SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions."
)
"""The template that the released model was trained with, word for word: another would be another
input. It is not Phi-3's own chat template."""


def without_choices(question: str) -> str:
    """A closed question as M3D-VQA words it ("... Choices: A. ... B. ..."), without its choices.

    The slices are scored for what is asked. Its choices name other organs and findings, three of
    four of them wrong; the records that the model learns from keep them apart too.
    """
    return question.partition(" Choices: A. ")[0]


@dataclass(frozen=True)
class Prompt:
    """Token ids before and after the place of the image.

    ``question_tokens_cut`` counts the tokens of the question that did not fit, ``history_used`` the
    newest earlier turns that did.
    """

    before: list[int]
    after: list[int]
    question_tokens_cut: int = 0
    history_used: int = 0


PastTurn = tuple[str, str]
"""A question that was asked before, and the model's answer to it."""


class PromptTokenizer:
    """The language model's tokenizer, and how a question becomes a prompt with it."""

    knows_history = True
    """Whether the model was trained on conversations, so that earlier turns help it."""

    def __init__(self, folder: Path, fast: bool) -> None:
        settings = _checked_settings(folder)
        if settings.get("tokenizer_class") not in _TOKENIZERS:
            raise InputError(
                f"{folder / 'tokenizer_config.json'} has tokenizer_class = "
                f"{settings.get('tokenizer_class')!r:.60}; there are {', '.join(_TOKENIZERS)}."
            )
        try:
            # The checkpoint's own root has no model_type, so that the class which
            # tokenizer_config.json names is taken and not one that a model_type suggests.
            self._tokenizer = AutoTokenizer.from_pretrained(  # nosec B615 - a folder
                folder, use_fast=fast, local_files_only=True, trust_remote_code=False
            )
        except ImportError:
            raise
        except Exception as error:
            raise InputError(
                f"The tokenizer of {folder} cannot be read ({_first_line(error)}); download or "
                "copy its tokenizer files again."
            ) from error
        # transformers returns False for a file of sentencepiece that it cannot read.
        if not isinstance(self._tokenizer, PreTrainedTokenizerBase):
            raise InputError(
                f"The tokenizer of {folder} cannot be read; download or copy its tokenizer files "
                "again."
            )
        if self._tokenizer.eos_token_id is None:
            raise InputError(
                f"The tokenizer of {folder} has no token for the end of a text (eos_token); "
                "download or copy its tokenizer files again."
            )
        self._size = _size(self._tokenizer)

    def __len__(self) -> int:
        """One more than the largest token id."""
        return self._size

    @property
    def end_token(self) -> int:
        token: int = self._tokenizer.eos_token_id
        return token

    def prompt(
        self, question: str, room: int | None = None, history: Sequence[PastTurn] = ()
    ) -> Prompt:
        """The prompt for a question, after what was said before it (oldest first).

        ``room`` is how many tokens both parts together may have. The oldest turns that do not fit
        are left out. A question that is too long by itself is cut at its end, never the words after
        it that ask the model to answer (the released code cuts those).
        """
        head, tail = f"{SYSTEM} USER: ", " ASSISTANT:"
        before = self._begin(self._ids(head))
        for first in range(len(history) + 1):
            after = self._ids(f"\n{self._told(history[first:])}{question}{tail}")
            if room is None or len(before) + len(after) <= room:
                return Prompt(before, after, history_used=len(history) - first)
        closing = self._ids(tail)
        asked = self._ids(f"\n{question}")
        kept = max(0, (room or 0) - len(before) - len(closing))
        return Prompt(before, asked[:kept] + closing, len(asked) - kept)

    def _told(self, history: Sequence[PastTurn]) -> str:
        # As the released template joins the turns of a conversation: stripped, every answer closed
        # by the end token, no space before the next turn, the image in the first one alone.
        end = self._tokenizer.eos_token
        return "".join(
            f"{question.strip()} ASSISTANT: {answer.strip()}{end}USER: "
            for question, answer in history
        )

    def answer(self, question: str, answer: str) -> list[int]:
        """The token ids of an answer as they follow the prompt of its question, end token last."""
        asked = f"\n{question} ASSISTANT:"
        before, both = self._ids(asked), self._ids(f"{asked} {answer}")
        if both[: len(before)] != before:
            # No tokenizer of the models that are known joins a colon to the word after it.
            raise InputError(
                "The tokenizer joins the end of the prompt with the answer, so the model could "
                "not be asked as it was trained; choose another language model."
            )
        return [*both[len(before) :], self.end_token]

    def ids(self, text: str) -> list[int]:
        """The token ids of a text by itself, no beginning and no end token around it."""
        return self._ids(text)

    def whole_ids(self, text: str) -> list[int]:
        """The token ids of a text as the tokenizer gives them, with its beginning token if any."""
        ids: list[int] = self._tokenizer(text).input_ids
        return ids

    def decode(self, token_ids: list[int]) -> str:
        """The text of generated tokens, without the end token."""
        text: str = self._tokenizer.decode(
            token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    def _ids(self, text: str) -> list[int]:
        # Each chunk around the image is tokenised on its own, so that a piece that begins words
        # stands on both sides of it: the released code does so, and the model was trained on it.
        ids: list[int] = self._tokenizer(text).input_ids
        if ids and ids[0] == self._tokenizer.bos_token_id:
            ids = ids[1:]
        return ids

    def _begin(self, ids: list[int]) -> list[int]:
        probe = self._tokenizer("a").input_ids
        adds = bool(probe) and probe[0] == self._tokenizer.bos_token_id
        return [self._tokenizer.bos_token_id, *ids] if adds else ids


class ScoringTokenizer:
    """The tokenizer of M3D-CLIP's text encoder, for the bare question that scores the slices."""

    def __init__(self, folder: Path, longest: int) -> None:
        vocabulary = folder / "vocab.txt"
        if not vocabulary.is_file():
            raise InputError(
                f"{vocabulary} is missing: the released checkpoint comes without the vocabulary "
                "of its question encoder; `med2e3 model download DIR` fetches it too, or copy "
                "vocab.txt of GoodBaiBai88/M3D-CLIP there."
            )
        self._longest = longest
        if (folder / "tokenizer_config.json").exists():
            _checked_settings(folder)
        check_small_file(vocabulary)
        try:
            self._tokenizer = BertTokenizer.from_pretrained(  # nosec B615 - a folder
                folder, local_files_only=True
            )
        except Exception as error:
            raise InputError(
                f"The tokenizer in {folder} cannot be read ({_first_line(error)}); download or "
                "copy its files again."
            ) from error
        known = self._tokenizer.vocab
        lacking = [mark for mark in self._tokenizer.all_special_tokens if mark not in known]
        if lacking:
            raise InputError(f"{vocabulary} lacks {', '.join(lacking)}; download or copy it again.")
        self.size = _size(self._tokenizer)
        """One more than the largest token id."""

    def __call__(self, text: str) -> tuple[list[int], int]:
        """Token ids of a text, [CLS] and [SEP] around it, and how many tokens were cut off."""
        tokens: list[str] = self._tokenizer.tokenize(text)
        cut = max(0, len(tokens) + 2 - self._longest)
        ids: Any = self._tokenizer.convert_tokens_to_ids(tokens[: self._longest - 2])
        return [self._tokenizer.cls_token_id, *ids, self._tokenizer.sep_token_id], cut


def _checked_settings(folder: Path) -> dict[str, Any]:
    """A tokenizer's settings, once it is sure that its files can be read and are all it reads."""
    templates = folder.glob("additional_chat_templates/*.jinja")
    for path in (*(folder / name for name in TOKENIZER_FILES), *templates):
        check_small_file(path)
    check_small_file(folder / "chat_template.jinja")
    path = folder / "tokenizer_config.json"
    settings = read_json(path)
    for name in _REACHING_OUT:
        if settings.get(name):
            raise InputError(
                f"{path} sets {name}, with which a tokenizer runs code that came with it or reads "
                "files of other places; this is never done: choose another checkpoint folder."
            )
    return settings


def _size(tokenizer: Any) -> int:
    # The ids may have gaps, so their number does not tell the largest.
    largest: int = max(tokenizer.get_vocab().values())
    return largest + 1


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
