"""Small data sets in the published layouts of the field's benchmarks, from phantoms."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from med2e3.phantoms import make_phantom, write_phantom
from med2e3.phantoms.dataset import write_dataset


def write_m3d(folder: Path, volumes: int, size: tuple[int, int, int]) -> None:
    """M3D-Cap and M3D-VQA: ``M3D_Cap.json`` with its texts, ``M3D_VQA_test.csv``, and volumes."""
    write_dataset(folder, train=0, validation=0, test=volumes, size=size, workers=1)
    records = json.loads((folder / "test.json").read_text("utf-8"))
    captions, rows = [], {}
    for record in records:
        kind = record["question_type"]
        answer = record["conversations"][1]["value"]
        if kind == 0:
            text = Path(record["vision3d"]).with_suffix(".txt")
            (folder / text).write_text(answer, encoding="utf-8")
            captions.append({"image": record["vision3d"], "text": str(text)})
        elif record["phantom"].get("choices"):
            known = record["phantom"]
            rows[record["vision3d"], record["question"]] = {
                "Image Path": record["vision3d"],
                "Question Type": kind,
                "Question": record["question"],
                **{f"Choice {letter}": text for letter, text in known["choices"].items()},
                "Answer": known["choices"][known["letter"]],
                "Answer Choice": known["letter"],
            }
    (folder / "M3D_Cap.json").write_text(json.dumps({"test": captions}), encoding="utf-8")
    write_table(folder / "M3D_VQA_test.csv", list(rows.values()))


def write_ct_rate(folder: Path, volumes: int) -> None:
    """CT-RATE: NIfTI volumes in their tree, the table of reports, and the questions."""
    reports, questions = [], []
    for number in range(1, volumes + 1):
        name = f"valid_{number}_a_1.nii.gz"
        tree = folder / "dataset" / "valid_fixed" / f"valid_{number}" / f"valid_{number}_a"
        tree.mkdir(parents=True)
        phantom = make_phantom(number, region="chest")
        scan = write_phantom(phantom, folder / "made")
        save_as_nifti(scan, tree / name)
        truth = json.loads((folder / "made" / "truth.json").read_text("utf-8"))
        reports.append({"VolumeName": name, "Findings_EN": truth["report"], "Impressions_EN": ""})
        turns = []
        for asked in truth["questions"]:
            listed = " ".join(
                f"({letter.lower()}) {text}" for letter, text in choices_of(asked).items()
            )
            letter, _, text = asked["closed_answer"].partition(". ")
            turns += [
                ("human", f"<image>\n{asked['question']} {listed}<multiple_choice>"),
                ("gpt", f"({letter.lower()}) {text}"),
                ("human", f"{asked['question']}<short_answer>"),
                ("gpt", asked["answer"]),
            ]
        turns += [("human", "Write the report.<report_generation>"), ("gpt", truth["report"])]
        questions.append(
            {
                "id": str(number),
                "image": name,
                "conversations": [{"from": who, "value": value} for who, value in turns],
            }
        )
    tables = folder / "dataset" / "radiology_text_reports"
    tables.mkdir()
    write_table(tables / "validation_reports.csv", reports)
    (folder / "dataset" / "vqa").mkdir()
    (folder / "dataset" / "vqa" / "valid_vqa.json").write_text(json.dumps(questions))


def choices_of(asked: dict[str, str]) -> dict[str, str]:
    """The choices of a phantom's closed question by letter."""
    listed = asked["closed_question"].partition("Choices: ")[2]
    places = [listed.index(f"{letter}. ") for letter in "ABCD"] + [len(listed)]
    return {
        letter: listed[first + 3 : last].strip()
        for letter, first, last in zip("ABCD", places[:-1], places[1:], strict=True)
    }


def write_table(path: Path, rows: list[dict[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def save_as_nifti(scan: Path, path: Path) -> None:
    import SimpleITK

    SimpleITK.WriteImage(SimpleITK.ReadImage(str(scan)), str(path))
