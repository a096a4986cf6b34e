"""A phantom on disk: the scan, and the truth about it."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813

from med2e3.phantoms.phantom import Phantom
from med2e3.phantoms.truth import truth_of

SCAN_FILE = "phantom.nrrd"
TRUTH_FILE = "truth.json"


def write_phantom(phantom: Phantom, folder: Path) -> Path:
    """Write ``phantom.nrrd`` and ``truth.json`` into a folder.

    The truth is what :func:`~med2e3.phantoms.truth.truth_of` tells: findings with places in RAS mm,
    a report, and questions with their answers.

    The folder is made if it is missing. Both files appear complete or not at all. The path of the
    scan is returned. Raises OSError where the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    truth = truth_of(phantom)
    with tempfile.TemporaryDirectory(prefix=".phantom-", dir=folder) as unfinished:
        scan, told = Path(unfinished, SCAN_FILE), Path(unfinished, TRUTH_FILE)
        try:
            sitk.WriteImage(_image(phantom), str(scan), useCompression=True)
        except RuntimeError as error:
            raise OSError(f"the scan could not be written to {folder}") from error
        told.write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")
        os.replace(scan, folder / SCAN_FILE)
        os.replace(told, folder / TRUTH_FILE)
    return folder / SCAN_FILE


def _image(phantom: Phantom) -> sitk.Image:
    image = sitk.GetImageFromArray(phantom.voxels)
    ijk_to_lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ phantom.ijk_to_ras
    spacing = np.linalg.norm(ijk_to_lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((ijk_to_lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(ijk_to_lps[:3, 3].tolist())
    return image
