"""A data set and a recipe so small that a test trains with them in seconds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml

SIZE = (8, 32, 32)
KINDS = ("cyst", "mass", "nodule", "stone")


def write_data(folder: Path, volumes: int = 6, name: str = "train") -> Path:
    """Volumes with a bright block in one slice, three records each; returns the record file."""
    folder.mkdir(parents=True, exist_ok=True)
    records = []
    for number in range(volumes):
        random = np.random.default_rng(number)
        voxels = random.random((1, *SIZE), dtype=np.float32) * 0.5
        place, kind = int(random.integers(SIZE[0])), KINDS[number % len(KINDS)]
        voxels[0, place, 8:16, 8:16] = 1
        path = f"{name}/{number}.npy"
        (folder / name).mkdir(exist_ok=True)
        np.save(folder / path, voxels)
        cover = np.zeros((2, SIZE[0], 4, 4), np.uint8)
        cover[0, place, 1, 1] = cover[1] = 255
        np.save(folder / name / f"{number}.cover.npy", cover)
        truth = {
            "plane": "axial",
            "region": "chest",
            "phase": "plain",
            "description": f"A {kind} in the left lung at level {place}.",
            "findings": [
                {
                    "kind": kind, "organ": "lung", "side": "left", "level": "upper",
                    "size_mm": 9.0, "slices": [place],
                }
            ],
            "organs": {"lung": list(range(SIZE[0]))},
            "cover": f"{name}/{number}.cover.npy",
        }  # fmt: skip
        for question, answer, asked_type in (
            ("Describe the findings of this medical image.", f"There is a {kind}. No mass.", 0),
            ("Which abnormality is in the left lung?", f"A {kind}.", 4),
            ("In which plane is this?", "axial", 1),
        ):
            records.append(
                {
                    "id": f"{number}-{asked_type}",
                    "vision3d": path,
                    "question": question,
                    "question_type": asked_type,
                    "conversations": [
                        {"from": "human", "value": f"<image3d>\n{question}"},
                        {"from": "gpt", "value": answer},
                    ],
                    "phantom": truth
                    | {
                        "slices": [place] if asked_type == 4 else list(range(SIZE[0])),
                        "asked": "open" if asked_type else "report",
                        "depends_on": [0] if asked_type == 4 else [],
                    },
                }
            )
    file = folder / f"{name}.json"
    file.write_text(json.dumps(records), encoding="utf-8")
    return file


def with_choices(records):
    """The records, with the question for the abnormality asked closed, each choice of four among
    five texts."""
    choices = dict(zip("ABCD", KINDS, strict=True))
    listed = " ".join(f"{letter}. {kind}" for letter, kind in choices.items())
    return [
        replace(
            record,
            asked=f"{record.asked} Choices: {listed}",
            answer="B. mass",
            phantom=record.phantom | {"choices": choices | {"E": "effusion"}},
        )
        if "abnormality" in record.asked
        else record
        for record in records
    ]


def recipe() -> dict[str, object]:
    """The configuration of a run through all kinds of stages."""
    trainer = {"num_train_epochs": 2, "per_device_train_batch_size": 6}
    return {
        "name": "small",
        "description": "A test's model.",
        "data": {"train": ["train.json"]},
        "threads": 1,
        "weights": "float32",
        "trainer": {**trainer, "save_steps": 1, "warmup_ratio": 0.1},
        "network": {
            "volume_size": list(SIZE),
            "max_length": 256,
            "vocabulary": {"prompt": 400, "scoring": 300},
            "llm": {
                "model_type": "phi3", "hidden_size": 32, "intermediate_size": 48,
                "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4,
            },
            "vision2d": {
                "hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 1,
                "num_attention_heads": 2, "patch_size": 8,
            },
            "vision3d": {
                "hidden_size": 20, "mlp_dim": 32, "num_layers": 1, "num_heads": 2,
                "patch_size": [2, 8, 8],
            },
            "text": {
                "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1,
                "num_attention_heads": 2, "max_position_embeddings": 64,
            },
        },
        "stages": [
            {"name": "language", "objective": "language", "train": {"llm": 1e-3}},
            {
                "name": "ideal", "objective": "ideal", "after": ["language"],
                "train": {"llm": 1e-3}, "asked": {"report": 0.5}, "questions_per_volume": 2,
                "choices": 1.0,
            },
            {
                "name": "contrast", "objective": "contrast", "slices_per_volume": 3,
                "train": {"vision2d_model": 1e-3, "vision3d_model": 1e-3, "text_model": 1e-3},
                "optimizer": "muon", "trainer": {"per_device_train_batch_size": 3},
            },
            {
                "name": "words", "objective": "words", "after": ["contrast"],
                "train": {"vision2d_connector": 1e-3, "vision3d_connector": 1e-3},
                "cache_features": True,
            },
            {
                "name": "evidence", "objective": "evidence", "after": ["words"],
                "train": {"vision2d_connector": 1e-3, "text_mlp": 1e-3, "text_model": 1e-3},
                "questions_per_volume": 2, "cache_features": True, "words": 1.0,
            },
            {
                "name": "align", "objective": "answer", "after": ["ideal", "evidence"],
                "evidence": 0.2, "patch_evidence": 0.5, "choices": 1.0, "words": 0.5,
                "train": {"vision2d_connector": 1e-3, "vision3d_connector": 1e-3, "text_mlp": 1e-3},
                "questions_per_volume": 2, "cache_features": True,
            },
            {
                "name": "tune", "objective": "answer", "after": ["align"],
                "train": {"llm": 1e-3, "vision2d_model": 1e-3, "vision2d_connector": 1e-3},
                "questions_per_volume": 3,
            },
        ],
    }  # fmt: skip


def write_recipe(folder: Path, values: dict[str, object] | None = None) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(values or recipe(), sort_keys=False), encoding="utf-8")
    return path
