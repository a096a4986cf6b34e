"""``med2e3 evaluate``: how good a model is, and whether its attention means anything."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from tqdm import tqdm

from med2e3.command.options import AsJson, Device, DeviceOption, Dtype, DtypeOption, ModelFolder
from med2e3.command.told import Debug, told

if TYPE_CHECKING:
    from med2e3.evaluation.benchmarks.running import Answerer
    from med2e3.evaluation.cases import Case

app = typer.Typer(help="Measure a model, its attention, and what each part of it is worth.")

OutFolder = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="DIR", show_default=False, help="Write the results and figures into DIR."
    ),
]
DataFolder = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        show_default=False,
        help="Evaluate on a data set of `med2e3 phantom dataset` instead of fresh phantoms.",
    ),
]


@app.command("phantom")
@told
def phantom(
    count: Annotated[
        int | None,
        typer.Option(
            "--count",
            metavar="N",
            min=1,
            show_default="500",
            help="Volumes to evaluate on.",
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option("--seed", metavar="S", min=0, help="The first of N seeds of fresh phantoms."),
    ] = 3_000_000,
    model: ModelFolder = None,
    data: DataFolder = None,
    split: Annotated[str, typer.Option("--split", help="The split of --data.")] = "test",
    device: DeviceOption = Device.auto,
    dtype: DtypeOption = Dtype.auto,
    out: OutFolder = None,
    as_json: AsJson = False,
    ablations: Annotated[
        bool,
        typer.Option(
            "--ablations",
            help="Train and evaluate the variants of the network, on --data, from --stage0.",
        ),
    ] = False,
    stage0: Annotated[
        Path | None,
        typer.Option(
            "--stage0",
            metavar="DIR",
            show_default=False,
            help="With --ablations: the training run, or the checkpoint, whose encoders to begin "
            "from.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            show_default=False,
            help="With --ablations: the recipe; without it, that of the run in --stage0.",
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            show_default=False,
            help="With --ablations: change a setting of the recipe, as in `med2e3 train`.",
        ),
    ] = None,
    variants: Annotated[
        list[str] | None,
        typer.Option(
            "--variant",
            metavar="NAME",
            show_default=False,
            help="With --ablations: this variant (may be given several times); without it, the "
            "nine of the paper's claims.",
        ),
    ] = None,
    seeds: Annotated[
        int,
        typer.Option("--seeds", metavar="N", min=1, help="With --ablations: seeds 0 to N - 1."),
    ] = 3,
    workers: Annotated[
        int,
        typer.Option("--workers", metavar="N", min=1, help="With --ablations: runs side by side."),
    ] = 1,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            metavar="N",
            min=1,
            show_default=False,
            help="CPU threads (with --ablations, of each run).",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Evaluate a model on synthetic CT whose truth is known."""
    from med2e3.errors import InputError

    if out is not None and out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; --out takes a folder.")
    if ablations:
        _ablate(data, stage0, config, setting or [], variants, seeds, workers, threads, count, out,
                as_json)  # fmt: skip
        return
    _evaluate(count, seed, model, data, split, device, dtype, threads, out, as_json)


def _benchmark(name: str, help_: str) -> None:
    """Register the command of one of the field's benchmarks; they take the same options."""

    @app.command(name, help=help_)
    @told
    def run(
        data: Annotated[
            Path,
            typer.Argument(metavar="DATA_DIR", show_default=False, help="The published files."),
        ],
        model: ModelFolder = None,
        out: OutFolder = None,
        split: Annotated[
            str | None, typer.Option("--split", show_default=False, help="Another split.")
        ] = None,
        limit: Annotated[
            int | None,
            typer.Option("--limit", metavar="N", min=1, show_default=False,
                         help="The first N items alone."),
        ] = None,
        controlled: Annotated[
            int,
            typer.Option("--controlled", metavar="N", min=0,
                         help="Ask the closed questions of N volumes without their image too."),
        ] = 100,
        bertscore: Annotated[
            Path | None,
            typer.Option("--bertscore", metavar="DIR", show_default=False,
                         help="A folder with roberta-large, for BERTScore."),
        ] = None,
        workers: Annotated[
            int | None,
            typer.Option("--workers", metavar="N", min=1, show_default=False,
                         help="Work on Ray, with N models side by side."),
        ] = None,
        ray_address: Annotated[
            str | None,
            typer.Option("--ray-address", metavar="HOST:PORT", show_default=False,
                         help="Work on this Ray cluster."),
        ] = None,
        device: DeviceOption = Device.auto,
        dtype: DtypeOption = Dtype.auto,
        as_json: AsJson = False,
        debug: Debug = False,
    ) -> None:  # fmt: skip
        _examine(name, data, model, out, split, limit, controlled, bertscore, workers, ray_address,
                 device, dtype, as_json)  # fmt: skip


for _name, _help in (
    ("m3d-cap", "Evaluate reports on M3D-Cap."),
    ("m3d-vqa-open", "Evaluate open answers on M3D-VQA."),
    ("m3d-vqa-closed", "Evaluate closed answers on M3D-VQA."),
    ("ct-rate", "Evaluate reports and answers on CT-RATE."),
):
    _benchmark(_name, _help)


@app.command("document")
@told
def document(
    evaluation: Annotated[
        Path | None,
        typer.Argument(
            metavar="[EVALUATION]", help="evaluation.json of `evaluate phantom --out`.",
            show_default=False,
        ),
    ] = None,
    ablations: Annotated[
        Path | None,
        typer.Option(
            "--ablations", metavar="FILE", show_default=False,
            help="ablations.json of `evaluate phantom --ablations`.",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where the page and its images go.")
    ] = Path("docs"),
    debug: Debug = False,
) -> None:  # fmt: skip
    """Write the pages evaluation.md and ablations.md with tables and figures from results."""
    from med2e3.errors import InputError
    from med2e3.evaluation.ablations import results_of
    from med2e3.evaluation.document import write_ablations, write_document

    if evaluation is None and ablations is None:
        raise InputError("Give EVALUATION, --ablations or both; there is nothing to write of else.")
    if ablations:
        print(write_ablations(out, results_of(ablations)))
    if evaluation is None:
        return
    try:
        found = json.loads(evaluation.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{evaluation} is not what `med2e3 evaluate phantom --out` writes ({error})."
        ) from error
    print(write_document(out, found))


def _evaluate(
    count: int | None,
    seed: int,
    folder: Path | None,
    data: Path | None,
    split: str,
    device: Device,
    dtype: Dtype,
    threads: int | None,
    out: Path | None,
    as_json: bool,
) -> None:
    import torch

    from med2e3.evaluation.cases import check_seeds, drawn_cases, stored_cases
    from med2e3.evaluation.evaluate import evaluate_model
    from med2e3.model import load_model

    if data is None:
        count = count or 500
        check_seeds(seed, count)
    if threads:
        torch.set_num_threads(threads)
    network = load_model(folder, device=device.value, dtype=dtype.value)
    size = network.configuration.vision3d.volume_size
    cases = (
        drawn_cases(seed, count or 0, size)
        if data is None
        else stored_cases(data, split, size, count=count)
    )
    found = evaluate_model(network, _shown(cases, count))
    source = {"data": split} if data else {"first_seed": seed}
    found = {**source, **found}
    text = json.dumps(found, ensure_ascii=False, allow_nan=False)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "evaluation.json").write_text(text + "\n", encoding="utf-8")
    if as_json:
        print(text)
    else:
        _print_for_people(found)


def _examine(
    name: str,
    data: Path,
    folder: Path | None,
    out: Path | None,
    split: str | None,
    limit: int | None,
    controlled: int,
    bertscore: Path | None,
    workers: int | None,
    ray_address: str | None,
    device: Device,
    dtype: Dtype,
    as_json: bool,
) -> None:
    from med2e3.errors import InputError
    from med2e3.evaluation.benchmarks.items import BENCHMARKS
    from med2e3.evaluation.benchmarks.measuring import measure_rows
    from med2e3.evaluation.benchmarks.page import write_page
    from med2e3.evaluation.benchmarks.running import ask_all
    from med2e3.evaluation.text_metrics import bert_f1, text_metrics
    from med2e3.model import model_identity
    from med2e3.wire.messages import MODEL_MARKS

    if out is None:
        raise InputError("--out is missing: the folder for the answers, the figures and the page.")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; --out takes a folder.")
    benchmark = BENCHMARKS[name]
    items = benchmark.read(data, split or benchmark.split)[:limit]
    metrics = text_metrics() | ({"bertscore_f1": bert_f1(bertscore)} if bertscore else {})
    identity = model_identity(folder)
    with (
        _answering(folder, workers, ray_address, device.value, dtype.value) as answer,
        tqdm(total=len(items), desc=name, delay=2, file=sys.stderr, leave=False) as bar,
    ):
        rows = ask_all(
            answer,
            identity.sha256,
            items,
            out / "answers.jsonl",
            controlled=controlled,
            progress=lambda done, total: bar.update(done - bar.n),
        )
    found = {
        "model": {
            "name": identity.name,
            "sha256": identity.sha256,
            "trained_on": identity.trained_on,
        },
        "mark": MODEL_MARKS[identity.trained_on],
        **measure_rows(benchmark, items, rows, metrics),
    }
    text = json.dumps(found, allow_nan=False)
    (out / "benchmark.json").write_text(text + "\n", encoding="utf-8")
    write_page(out / "benchmark.html", benchmark, found, items, rows)
    if as_json:
        print(text)
        return
    for kind, figures in found["kinds"].items():
        told_figures = "  ".join(
            f"{label} {100 * one['mean']:.1f}"
            for label, one in figures.items()
            if isinstance(one, dict)
        )
        print(f"{kind:16} {figures['items']:6,} items  {told_figures}")
    if found["unread"]:
        print(f"{len(found['unread'])} volumes could not be read; the page names them.")
    print(out / "benchmark.html")


@contextmanager
def _answering(
    folder: Path | None, workers: int | None, ray_address: str | None, device: str, dtype: str
) -> Iterator[Answerer]:
    """Who answers a benchmark: this process or, when asked, several on Ray."""
    if workers is None and ray_address is None:
        from med2e3.evaluation.benchmarks.running import in_this_process
        from med2e3.model import load_model

        yield in_this_process(load_model(folder, device=device, dtype=dtype))
        return
    from med2e3.cohort import check_packages

    check_packages()
    from med2e3.cluster import Place
    from med2e3.evaluation.benchmarks.on_ray import on_ray

    with on_ray(Place(folder, device, workers, ray_address), dtype) as answer:
        yield answer


def _ablate(
    data: Path | None,
    stage0: Path | None,
    config: Path | None,
    settings: list[str],
    variants: list[str] | None,
    seeds: int,
    workers: int,
    threads: int | None,
    count: int | None,
    out: Path | None,
    as_json: bool,
) -> None:
    from med2e3.errors import InputError
    from med2e3.evaluation.ablations import Setup, from_stage_0, run_ablations
    from med2e3.evaluation.table import ALL_COLUMNS, markdown
    from med2e3.evaluation.variants import VARIANTS
    from med2e3.training import read_plan

    if data is None or stage0 is None or out is None:
        raise InputError("Ablations need --data, --stage0 and --out.")
    plan = read_plan(config or stage0 / "config.yaml", settings)
    setup = Setup(from_stage_0(plan, stage0, out), data, out, volumes=count, threads=threads)
    with tqdm(desc="ablations", file=sys.stderr, leave=False) as bar:

        def show(what: str, done: int, total: int) -> None:
            bar.total = total
            bar.set_postfix_str(what)
            bar.update(done - bar.n)

        results = run_ablations(
            setup, variants or list(VARIANTS), range(seeds), workers=workers, progress=show
        )
    table = markdown([(one.label, one.runs) for one in results.variants], ALL_COLUMNS)
    (out / "ablations.md").write_text(table, encoding="utf-8")
    print((out / "ablations.json").read_text(encoding="utf-8").strip() if as_json else table)


def _shown(cases: Iterable[Case], total: int | None) -> Iterator[Case]:
    """The cases behind a progress bar on stderr."""
    yield from tqdm(cases, total=total, desc="volumes", delay=2, file=sys.stderr, leave=False)


def _print_for_people(found: dict[str, Any]) -> None:
    def percent(value: float | None) -> str:
        return "    –" if value is None else f"{100 * value:5.1f}"

    print(
        f"{found['model']['name']}: {found['volumes']} volumes, {found['questions']} questions (%)"
    )
    print(f"{'':14}{'closed':>8}{'strict':>8}{'Hit@1':>8}{'Hit@3':>8}{'AUROC':>8}")
    for kind, accuracy in found["closed_accuracy"].items():
        attention = found["attention"].get(kind, {})
        row = [accuracy, found["closed_accuracy_strict"][kind]]
        row += [attention.get(name) for name in ("hit1", "hit3", "auroc")]
        print(f"{kind:14}" + "".join(f"   {percent(value)}" for value in row))
    scores = ", ".join(f"{name} {percent(value)}" for name, value in found["report_scores"].items())
    print(f"reports: {scores}")
    print(
        f"findings: F1 {percent(found['finding_f1'])}, false on volumes without one "
        f"{percent(found['false_finding_rate'])}"
    )
    for name in ("blank", "shuffled", "swapped"):
        print(f"closed with the volume {name}: {percent(found['controls'][name]['mean'])}")
