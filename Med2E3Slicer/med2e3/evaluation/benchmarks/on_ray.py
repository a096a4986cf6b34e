"""A benchmark on Ray: several processes with the model, on this machine or a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from med2e3.cluster import Place
from med2e3.errors import Med2E3Error
from med2e3.evaluation.benchmarks.running import Answerer, Job, Row, answer_job
from med2e3.service.errors import told


@contextmanager
def on_ray(place: Place, dtype: str) -> Iterator[Answerer]:
    """Answers jobs in as many processes as ``place`` says, each with a model of its own.

    On a cluster, the folders of data and model must have the same paths on all nodes.
    """
    with place.ray() as shares:
        import ray
        from ray.util import ActorPool

        kind = ray.remote(num_cpus=shares.threads, num_gpus=shares.cards)(_Answering)
        folder = place.model_folder and place.model_folder.absolute()
        actors = [
            kind.remote(folder, place.device, dtype, shares.threads) for _ in range(shares.workers)
        ]

        def answer(jobs: Sequence[Job]) -> Iterator[list[Row]]:
            pool = ActorPool(actors)
            try:
                for rows, fault in pool.map_unordered(
                    lambda actor, job: actor.answer.remote(job), jobs
                ):
                    if fault:
                        raise Med2E3Error(fault)
                    yield rows
            except ray.exceptions.RayError as error:
                raise Med2E3Error(
                    f"Ray ended the run ({type(error).__name__}); what is done is kept, so run the "
                    "same command again, with fewer --workers if memory was short."
                ) from error

        yield answer


class _Answering:
    """A process with the model. What goes wrong comes back as a sentence."""

    def __init__(self, folder: Path | None, device: str, dtype: str, threads: int) -> None:
        import torch

        from med2e3.evaluation.predicting import Reader
        from med2e3.model import load_model

        torch.set_num_threads(threads)
        self._fault = ""
        try:
            self._reader: Any = Reader(load_model(folder, device=device, dtype=dtype))
        except Exception as error:
            self._fault = told("load_model", error)[1]

    def answer(self, job: Job) -> tuple[list[Row], str]:
        if self._fault:
            return [], self._fault
        try:
            return answer_job(self._reader, job), ""
        except Exception as error:
            return [], told("generate", error)[1]
