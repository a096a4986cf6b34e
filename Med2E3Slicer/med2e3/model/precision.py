"""In which precision each stage of the network computes, and which is the best for a machine.

Three stages ask for different things. The encoders and the reading of the prompt are large matrix
products, bound by arithmetic; the writing of the text multiplies one row at a time and is bound by
how fast the language model's weights come from memory. A processor without units for bfloat16
multiplies it several times slower than float32, and still reads it in half the time.

===========  =======================================  ==============================
precision    large products are computed in           the language model's weights
===========  =======================================  ==============================
float32      float32                                  float32
bfloat16     bfloat16                                 bfloat16
int8, int4   float32 or bfloat16, the faster one      8 or 4 bits
auto         float32 or bfloat16, the faster one      whichever is fastest and fits
===========  =======================================  ==============================

In the last two rows weights that are not quantised are kept as narrow as the checkpoint has them
and widened where they are computed with (:mod:`med2e3.model.widening`), which loses nothing. TG-IS
always computes in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
import torch
from torch import nn

from med2e3.errors import InputError, check_installed
from med2e3.model.speeds import Speeds, speeds_of_this_machine

if TYPE_CHECKING:
    from med2e3.model.med2e3 import Med2E3

BITS = {"float32": 32, "bfloat16": 16, "int8": 8, "int4": 4}
"""The precisions by name, with the bits of a weight of the language model."""

NAMES = ("auto", *BITS)
"""What can be chosen."""

WORTH_CHOOSING = 2**30
"""A model that takes fewer bytes than this in float32 answers in seconds: it stays in float32, so
that its words are the same on every machine."""

_TOKENS_OF_AN_ANSWER = 64
_OF_THE_MEMORY = 0.9
_PYTHON = 700 * 2**20
"""What Python and its libraries take."""

_QUANTISED = ("int8", "int4")
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Precision:
    """``computes`` is what the encoders and the reading of the prompt compute in ("float32" or
    "bfloat16"), ``weights`` the precision of :data:`BITS` that the language model's linear layers
    are kept in, and write with."""

    computes: str
    weights: str

    def __str__(self) -> str:
        same = self.computes == self.weights
        return self.weights if same else f"{self.weights} (computed in {self.computes})"

    @property
    def dtype(self) -> torch.dtype:
        """What the encoders, and the language model between its layers, compute in."""
        return _DTYPES[self.computes]

    @property
    def bits(self) -> int | None:
        """Bits of a quantised weight; None where the weights are floating-point numbers."""
        return BITS[self.weights] if self.weights in _QUANTISED else None

    @property
    def keeps_narrow(self) -> bool:
        """Whether weights stay as narrow as the checkpoint has them."""
        return self.computes != self.weights


@dataclass(frozen=True)
class Size:
    """How many numbers a network has: ``linear`` in the language model's linear layers without its
    head, ``words`` in its head and its embeddings, ``others`` in the encoders and all the rest;
    ``beside`` are the keys and values of a prompt of full length, twice (one is kept for the next
    question), and the tokens of a volume. ``prompt`` is the length of a usual one in tokens."""

    linear: int
    words: int
    others: int
    beside: int
    prompt: int

    def weights_in(self, name: str) -> int:
        """Bytes of the weights in a precision of :data:`BITS`."""
        if name not in _QUANTISED:
            return (self.linear + self.words + self.others) * BITS[name] // 8
        # Four bytes of scale and zero for each 64 weights of 4 bits; the head has 8 bits.
        language = self.linear if name == "int8" else self.linear // 2 + self.linear // 16
        return language + self.words // 2 + self.words + 2 * self.others

    def memory_in(self, name: str) -> int:
        """Bytes that the model takes as it answers in a precision of :data:`BITS`: its weights,
        what it works on, and Python with its libraries."""
        return self.weights_in(name) + self.beside * (4 if name == "float32" else 2) + _PYTHON


def size_of(model: Med2E3) -> Size:
    """Counted from the shapes; the parameters need no memory for it."""
    configuration = model.configuration
    linear = sum(
        one.weight.numel() for one in model.llm.model.modules() if isinstance(one, nn.Linear)
    )
    language = sum(one.numel() for one in model.llm.parameters())
    everything = sum(one.numel() for one in model.parameters())
    llm = configuration.llm
    heads = llm["num_attention_heads"]
    width = llm["hidden_size"] // heads * (llm.get("num_key_value_heads") or heads)
    keys = 2 * 2 * llm["num_hidden_layers"] * width * configuration.max_length
    depth, rows, columns = configuration.vision3d.grid
    slices = configuration.vision3d.volume_size[0] if configuration.vision2d else 0
    tokens = (slices * rows * columns + depth * rows * columns // 8) * configuration.width
    return Size(
        linear=linear,
        words=language - linear,
        others=everything - language,
        beside=keys + tokens,
        prompt=2 * rows * columns + _TOKENS_OF_AN_ANSWER,
    )


def chosen_precision(
    name: str,
    device: torch.device,
    size: Size,
    *,
    speeds: Callable[[], Speeds] = speeds_of_this_machine,
) -> Precision:
    """What a name of :data:`NAMES` means for a model of a size on this machine.

    ``speeds`` is asked on a processor alone. Raises InputError for another name, and Med2E3Error
    where what 8 and 4 bits need on a card is not installed.
    """
    if name not in NAMES:
        raise InputError(f"There is no precision {name!r}; choose one of {', '.join(NAMES)}.")
    is_card = device.type == "cuda"
    if name == "auto" and size.weights_in("float32") < WORTH_CHOOSING:
        name = "bfloat16" if is_card else "float32"
    elif name == "auto" and is_card:
        name = fitting_a_card(torch.cuda.mem_get_info(device)[0], size)
    elif name == "auto":
        return fastest(speeds(), int(psutil.virtual_memory().available), size)
    if name not in _QUANTISED:
        return Precision(name, name)
    if is_card:
        check_installed({"bitsandbytes": "bitsandbytes"}, "8 and 4 bits on a card need", "cuda")
        return Precision("bfloat16", name)
    return Precision(speeds().faster_products, name)


def fitting_a_card(free: int, size: Size) -> str:
    """The name of the widest precision whose model fits into ``free`` bytes of a card."""
    widest_first = ("bfloat16", *_QUANTISED)
    fitting = [one for one in widest_first if size.memory_in(one) <= _OF_THE_MEMORY * free]
    # Where nothing fits, the load fails with a sentence that tells what to do.
    return fitting[0] if fitting else "bfloat16"


def fastest(speeds: Speeds, free: int, size: Size) -> Precision:
    """What answers soonest on a processor, of what fits into ``free`` bytes of memory.

    4 bits change words here and there, so they are taken only where nothing else fits.
    """

    def seconds(precision: Precision) -> float:
        read = 2 * size.linear * size.prompt / speeds.products[precision.computes]
        if precision.keeps_narrow:
            read += size.linear / speeds.widened
        kept = (size.linear + size.words // 2) * BITS[precision.weights] / 8
        return read + _TOKENS_OF_AN_ANSWER * kept / speeds.bandwidth[precision.weights]

    computes = speeds.faster_products
    possible = [
        Precision("float32", "float32"),
        Precision(computes, "bfloat16"),
        Precision(computes, "int8"),
    ]
    fitting = [one for one in possible if size.memory_in(one.weights) <= _OF_THE_MEMORY * free]
    return min(fitting, key=seconds) if fitting else Precision(computes, "int4")
