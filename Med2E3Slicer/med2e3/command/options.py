"""The arguments and options that several commands share."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class Plane(str, Enum):
    acquired = "acquired"
    axial = "axial"
    coronal = "coronal"
    sagittal = "sagittal"


class Device(str, Enum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Dtype(str, Enum):
    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    int8 = "int8"
    int4 = "int4"


VolumePath = Annotated[
    Path,
    typer.Argument(
        metavar="VOLUME",
        help="NIfTI, NRRD or MHA file, DICOM folder, or .npy array.",
        show_default=False,
    ),
]
ModelFolder = Annotated[
    Path | None,
    typer.Option(
        "--model",
        metavar="DIR",
        help="Checkpoint folder; without it, the embedded model.",
        show_default=False,
    ),
]
PlaneOption = Annotated[
    Plane,
    typer.Option(
        "--plane",
        help="The plane of the model's slices; acquired = the array's own first axis, untouched.",
    ),
]
WindowOption = Annotated[
    str,
    typer.Option(
        "--window",
        metavar="W",
        help="auto, lung, mediastinum, abdomen, bone, brain, none, or centre,width in HU.",
    ),
]
DeviceOption = Annotated[Device, typer.Option("--device", help="Where the model runs.")]
DtypeOption = Annotated[Dtype, typer.Option("--dtype", help="The precision it runs in.")]
MaxNewTokens = Annotated[
    int | None,
    typer.Option(
        "--max-new-tokens",
        metavar="N",
        min=1,
        help="Stop the text after N tokens.",
        show_default=False,
    ),
]
SeriesUid = Annotated[
    str | None,
    typer.Option(
        "--series", metavar="UID", help="Which series of a DICOM folder.", show_default=False
    ),
]
OutFolder = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        show_default=False,
        help="Write the text, result.json, attention.nii.gz and attention.png into DIR.",
    ),
]
AfterFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--after",
        metavar="FILE",
        show_default=False,
        help="Go on from an earlier answer: its result.json, or what --json printed. Give one for "
        "each, oldest first.",
    ),
]
PdfFile = Annotated[
    Path | None,
    typer.Option(
        "--pdf",
        metavar="FILE",
        show_default=False,
        help="Write the report as a PDF with pictures of its best slices.",
    ),
]
DicomOut = Annotated[
    Path | None,
    typer.Option(
        "--dicom",
        metavar="DIR",
        show_default=False,
        help="Write the report, its key images and its heatmap as DICOM objects into DIR.",
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")
]
