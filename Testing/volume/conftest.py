"""DICOM series as a scanner sends them, written with pydicom."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

AXIAL = (1, 0, 0, 0, 1, 0)
CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"


class DicomSeries:
    """The slices of one series, to be changed before ``write`` puts them into files."""

    def __init__(
        self,
        values: np.ndarray,
        spacing: tuple[float, float, float] = (2.5, 0.7, 0.8),
        orientation: tuple[float, ...] = AXIAL,
        origin: tuple[float, float, float] = (-20.0, -30.0, 100.0),
        step: np.ndarray | None = None,
    ) -> None:
        """``values`` (K, J, I) are in HU; ``spacing`` is from slice to slice, row, column."""
        self.uid = generate_uid()
        row, column = np.array(orientation[:3], float), np.array(orientation[3:], float)
        if step is None:
            step = np.cross(row, column) * spacing[0]
        self.datasets = []
        for number, plane in enumerate(values):
            dataset = Dataset()
            dataset.file_meta = FileMetaDataset()
            dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CT_CLASS
            uid = generate_uid()
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = uid
            dataset.SpecificCharacterSet = "ISO_IR 192"
            dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
            dataset.Modality = "CT"
            dataset.StudyInstanceUID = "1.2.3"
            dataset.SeriesInstanceUID = self.uid
            dataset.SeriesDescription = "Thorax 2.5"
            dataset.PatientName = "Secret^Name"
            dataset.PatientID = "4711"
            dataset.InstanceNumber = number + 1
            dataset.ImagePositionPatient = [f"{v:.6f}" for v in np.array(origin) + number * step]
            dataset.ImageOrientationPatient = [f"{v:.8f}" for v in (*row, *column)]
            dataset.PixelSpacing = [spacing[1], spacing[2]]
            dataset.Rows, dataset.Columns = plane.shape
            dataset.SamplesPerPixel = 1
            dataset.PhotometricInterpretation = "MONOCHROME2"
            dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
            dataset.PixelRepresentation = 0
            dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
            dataset.PixelData = (plane + 1024).astype("<u2").tobytes()
            self.datasets.append(dataset)

    def set(self, **tags: object) -> DicomSeries:
        for dataset in self.datasets:
            for name, value in tags.items():
                setattr(dataset, name, value)
        return self

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        # The names run against the order in space, as some archives' do.
        for number, dataset in enumerate(self.datasets):
            name = f"IM{len(self.datasets) - number:04d}-{dataset.SOPInstanceUID[-6:]}"
            dataset.save_as(folder / name, enforce_file_format=True)
        return folder


@pytest.fixture
def dicom_series() -> type[DicomSeries]:
    return DicomSeries


@pytest.fixture
def values() -> np.ndarray:
    """Noise (K, J, I) in HU, every slice with a mean of its own: 0, 10, 20…"""
    noise = np.random.default_rng(5).integers(-300, 300, (12, 20, 24))
    return noise + 10 * np.arange(12)[:, None, None]


@pytest.fixture
def open_folder():
    """A folder that everybody may enter; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def as_ordinary_user():
    """For a while somebody whom file permissions stop, also where the tests run as root."""

    @contextlib.contextmanager
    def ordinary():
        if os.name == "nt":
            pytest.skip("file permissions are another thing on Windows")
        if os.geteuid() != 0:
            yield
            return
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)

    return ordinary
