"""The three steps as a Ray Data stream: processors read and write, and models answer in between.

Ray Data keeps all of them busy and none far ahead of the others: a study goes on as soon as a step
is through with it, and reading waits where the models do not keep up. What is wrong with a study
stands in its outcome; an exception here is a fault of the run.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from med2e3.cluster import Shares
from med2e3.cohort.outcomes import Outcome, sentence_of
from med2e3.cohort.results import Results
from med2e3.cohort.settings import Settings
from med2e3.cohort.studies import Study
from med2e3.cohort.tries import Tries
from med2e3.errors import InputError, Med2E3Error

_MOST_BLOCKS = 1000
"""Into how many pieces the studies are cut. Ray takes some milliseconds for each before it begins,
and repeats reading a piece whose process was killed."""

_MOST_READ_BY_ONE_PROCESS = 500
"""How many pieces a process reads before another takes over: the libraries that read scans are
written in C, and a night is long enough for a small leak."""

_MOST_DEATHS_WHILE_LOADING = 3
"""How many processes in a row may end while they load the model, before the run does."""


@dataclass(frozen=True)
class Work:
    """What every process of the run has to know. The paths are the same on all machines.

    ``size`` is the (slices, rows, columns) that the model sees, ``device`` where it runs.
    """

    model_folder: Path | None
    size: tuple[int, int, int]
    device: str
    settings: Settings
    results: Results

    @property
    def tries(self) -> Tries:
        return Tries(self.results.tries)


def answer_all(studies: Sequence[Study], work: Work, shares: Shares) -> Iterator[Outcome]:
    """Answer studies on the Ray that was joined, and tell each outcome as it comes.

    Raises :class:`~med2e3.errors.Med2E3Error` where no model can be loaded, or Ray itself fails.
    """
    import ray
    import ray.data

    context = ray.data.DataContext.get_current()
    # Every study goes on by itself, however few bytes it has.
    context.target_max_block_size = 1
    # A report of the large model on a processor takes minutes; no limit is ours to set.
    context.execution_no_progress_timeout_s = -1
    context.max_consecutive_actor_init_deaths = _MOST_DEATHS_WHILE_LOADING
    waiting = ray.data.from_items(
        [asdict(study) for study in studies], override_num_blocks=min(len(studies), _MOST_BLOCKS)
    )
    # Ray Data joins steps that ask for the same; the limit of calls also keeps reading out of the
    # model's process, which a file that ends its reader must not end.
    read = waiting.map(_read, fn_args=(work,), num_cpus=1, max_calls=_MOST_READ_BY_ONE_PROCESS)
    answered = read.map(
        _Answerer,
        fn_constructor_args=(work, shares.threads),
        compute=ray.data.ActorPoolStrategy(size=shares.workers),
        num_cpus=shares.threads,
        num_gpus=shares.cards,
    )
    outcomes = answered.map(_write, fn_args=(work,), num_cpus=1)
    try:
        for row in outcomes.iter_rows():
            if row["fault"]:
                raise Med2E3Error(row["fault"])
            yield Outcome.from_json(row["outcome"])
    except ray.exceptions.RayError as error:
        told = " ".join(str(error).split())[:300]
        raise Med2E3Error(
            f"Ray ended the run ({type(error).__name__}: {told}); what is done is kept, so run the "
            "same command again, with fewer --workers if memory was short."
        ) from error


def _read(row: dict[str, Any], work: Work) -> dict[str, Any]:
    from med2e3.cohort.reading import read_study

    settings = work.settings
    return {
        "study": read_study(Study(**row), settings.plane, settings.window, work.size, work.tries)
    }


class _Answerer:
    """A process with a model. A model that cannot be loaded ends the run, with its reason."""

    def __init__(self, work: Work, threads: int) -> None:
        import torch

        from med2e3.model import load_model

        torch.set_num_threads(threads)
        self._work = work
        self._node = _node()
        self._fault = ""
        try:
            self._model = load_model(
                work.model_folder, device=work.device, dtype=work.settings.dtype
            )
            if self._model.identity.sha256 != work.settings.model_sha256:
                raise InputError(
                    f"The model on the node {self._node} is another one than where the run was "
                    "started; bring the same model and version of med2e3 to all nodes."
                )
        except Exception as error:
            self._fault = sentence_of(error)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        from med2e3.cohort.answering import answer_study

        if self._fault:
            return {"study": None, "fault": self._fault}
        answered = answer_study(
            self._model, row["study"], self._work.settings, self._work.tries, self._node
        )
        return {"study": answered, "fault": ""}


def _write(row: dict[str, Any], work: Work) -> dict[str, Any]:
    from med2e3.cohort.writing import write_study

    if row["fault"]:
        return {"outcome": "", "fault": row["fault"]}
    outcome = write_study(row["study"], work.settings, work.results, work.tries)
    return {"outcome": outcome.as_json(), "fault": ""}


def _node() -> str:
    """The machine, and its name in the cluster: one machine may be several nodes."""
    import ray

    return f"{socket.gethostname()} ({ray.get_runtime_context().get_node_id()[:8]})"
