"""A small CT as a scanner writes it, and a report on it."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from med2e3.attention.arrays import array_message
from med2e3.volume import prepare, read_scan
from med2e3.wire.messages import ModelName, Report

SLICES, ROWS, COLUMNS = 20, 48, 40


def write_ct_series(
    folder: Path,
    *,
    orientation=(1, 0, 0, 0, 1, 0),
    step=(0.0, 0.0, 3.0),
    **elements,
) -> list[Path]:
    """The files of a CT of a block of tissue in air, written out of order."""
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number in np.random.default_rng(0).permutation(SLICES):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        image.SpecificCharacterSet = "ISO_IR 100"
        image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        image.SOPClassUID = CTImageStorage
        image.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
        image.StudyDate, image.StudyTime = "20260131", "120000"
        image.AccessionNumber, image.StudyID = "A1", "1"
        image.Modality, image.Manufacturer = "CT", "Phantom maker"
        image.ReferringPhysicianName = "Ärztin^Renée"
        image.PatientName, image.PatientID = "Müller^Jürgen", "P-1"
        image.PatientBirthDate, image.PatientSex = "19500101", "M"
        image.StudyInstanceUID, image.SeriesInstanceUID = study, series
        image.FrameOfReferenceUID, image.PositionReferenceIndicator = frame, ""
        image.SeriesNumber, image.InstanceNumber = 3, int(number) + 1
        image.ImageOrientationPatient = list(orientation)
        image.ImagePositionPatient = [
            float(value) for value in np.array([-40.0, -50.0, -30.0]) + number * np.array(step)
        ]
        image.PixelSpacing, image.SliceThickness = [2.0, 2.0], 3.0
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.Rows, image.Columns = ROWS, COLUMNS
        image.BitsAllocated = image.BitsStored = 16
        image.HighBit, image.PixelRepresentation = 15, 1
        image.RescaleIntercept, image.RescaleSlope, image.RescaleType = 0, 1, "HU"
        image.KVP, image.AcquisitionNumber = 120, 1
        pixels = np.full((ROWS, COLUMNS), -1000, np.int16)
        if 1 < number < SLICES - 2:
            pixels[6:42, 5:35] = 40
            pixels[20:26, 12:18] = 120
        image.PixelData = pixels.tobytes()
        for name, value in elements.items():
            if value is None:
                delattr(image, name)
            else:
                setattr(image, name, value)
        path = folder / f"{len(files):03}.dcm"
        image.save_as(path, enforce_file_format=True)
        files.append(path)
    return files


def report_on(scan, plane: str = "axial", **options) -> Report:
    """A report whose best slices are 9, 21 and 4, each for a patch of its own."""
    geometry = prepare(scan, plane=plane, window="mediastinum").geometry
    shares = np.random.default_rng(7).normal(0, 0.002, geometry.overlay_size)
    shares[9, 2, 13] += 2.0
    shares[21, 8, 8] += 1.5
    shares[4, 12, 3] += 1.0
    weights = np.exp(shares.sum(axis=(1, 2)))
    settings = {
        "text": "The lungs are clear. A nodule of 3.5 mm lies in the right upper lobe.\n"
        "Größe: 3,5 mm – 結節 في الرئة.",
        "written_at": "2026-11-24T22:00:00+00:00",
        "model": ModelName("Med-2E3 demo", "0123456789abcdef" * 4, "synthetic"),
        "plane": plane,
        "window": "mediastinum",
        "slice_scores": tuple(float(score) for score in weights / weights.sum()),
        "patch_shares": array_message(shares),
        "heatmap_to_ras": tuple(float(value) for value in geometry.overlay_to_ras.ravel()),
        **options,
    }
    return Report(**settings)


@pytest.fixture
def make_ct(tmp_path):
    numbers = count()
    return lambda **options: write_ct_series(tmp_path / f"ct{next(numbers)}", **options)


@pytest.fixture
def ct(make_ct) -> list[Path]:
    return make_ct()


@pytest.fixture
def scan(ct):
    return read_scan(ct[0].parent)


@pytest.fixture(name="report_on")
def report_on_fixture():
    return report_on
