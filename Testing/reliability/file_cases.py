"""Files and DICOM folders, whole and damaged, and what has to come of each.

As in volume_cases.py, the expectations were written down first. ``write(folder)`` puts the files
there and returns the path that is given to the command. A file that Slicer reads goes through the
scene too: what Slicer itself makes of a damaged one is its own affair, but from there on nothing
may break.
"""

from __future__ import annotations

import gzip
import itertools
import random
import shutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk  # noqa: N813
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from reliability.volume_cases import (
    CT_LIKE,
    NOT_CT,
    SPACING,
    Answered,
    Refused,
    body,
    placed,
)
from reliability.volume_files import write_volume
from volume.conftest import DicomSeries

CUT = Refused("cut or damaged")
NO_PLACE = "left and right may be wrong"
TILTED = "gantry tilted"


@dataclass(frozen=True)
class AnsweredOrRefused:
    """Damage that a format may have no means to tell of: an answer, or a sentence with these words.

    ``like`` names a case whose slice scores the answer has to have.
    """

    words: tuple[str, ...] = ()
    like: str = ""


REFUSED_OR_UNCHANGED = AnsweredOrRefused(CUT.words, "layout: +i +j +k")
"""A few bits of packed voxels, such as those that fill up a byte, mean nothing."""


@dataclass(frozen=True)
class FileCase:
    topic: str
    name: str
    write: Callable[[Path], Path]
    expected: Answered | Refused | AnsweredOrRefused
    spans_mm: float | None = None

    def __str__(self) -> str:
        return f"{self.topic}: {self.name}"


def voxels() -> np.ndarray:
    return body().astype(np.int16)


# -- every format, whole, cut and flipped ----------------------------------------------------------


def _with_itk(ending: str, packed: bool) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        image = sitk.GetImageFromArray(voxels())
        image.SetSpacing(SPACING)
        image.SetOrigin((-31.0, 17.0, 53.0))
        sitk.WriteImage(image, str(folder / f"scan.{ending}"), useCompression=packed)
        return folder / f"scan.{ending}"

    return write


def _nifti(ending: str, kind=nibabel.Nifti1Image) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        nibabel.save(kind(voxels().transpose(2, 1, 0), placed()), folder / f"scan.{ending}")
        return folder / f"scan.{ending.replace('img', 'hdr')}"

    return write


def _array(folder: Path) -> Path:
    # From the top down, as an array without a place is taken.
    np.save(folder / "scan.npy", voxels()[::-1])
    return folder / "scan.npy"


FORMATS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "NIfTI": (_nifti("nii"), "scan.nii"),
    "NIfTI, packed": (_nifti("nii.gz"), "scan.nii.gz"),
    "NIfTI-2": (_nifti("nii", nibabel.Nifti2Image), "scan.nii"),
    "NIfTI pair": (_nifti("img", nibabel.Nifti1Pair), "scan.img"),
    "NRRD": (_with_itk("nrrd", False), "scan.nrrd"),
    "NRRD, packed": (_with_itk("nrrd", True), "scan.nrrd"),
    "NRRD with a header of its own": (_with_itk("nhdr", False), "scan.raw"),
    "MetaImage": (_with_itk("mha", False), "scan.mha"),
    "MetaImage, packed": (_with_itk("mha", True), "scan.mha"),
    "MetaImage with a header of its own": (_with_itk("mhd", False), "scan.raw"),
    "MetaImage with a header of its own, packed": (_with_itk("mhd", True), "scan.zraw"),
    "array": (_array, "scan.npy"),
}
"""How a format is written, and which of its files has the voxels."""

_CHECKED = {
    "NIfTI, packed", "NRRD, packed", "MetaImage, packed",
    "MetaImage with a header of its own, packed",
}  # fmt: skip
"""Formats with a checksum of the voxels."""

LIKE = "layout: +i +j +k"


def _whole() -> list[FileCase]:
    cases = []
    for name, (write, _) in FORMATS.items():
        warnings = (CT_LIKE, "no place in a patient") if name == "array" else (CT_LIKE,)
        cases.append(FileCase("format", name, write, Answered(warnings, LIKE)))
    return cases


def _cut() -> list[FileCase]:
    cases = []
    for (name, (write, victim)), share in itertools.product(
        FORMATS.items(), (0, 0.01, 0.4, 0.9, 0.999)
    ):

        def damaged(folder: Path, write=write, victim=victim, share=share) -> Path:
            path = write(folder)
            content = (folder / victim).read_bytes()
            (folder / victim).write_bytes(content[: int(len(content) * share)])
            return path

        whole_file = victim.endswith((".nii", ".nii.gz", ".nrrd", ".mha", ".npy"))
        expected = Refused("is empty") if share == 0 and whole_file else Refused("scan.")
        cases.append(FileCase("cut", f"{name}, {share:.1%} left", damaged, expected))
    return cases


def flipped(name: str, seed: int, first: float = 0, last: float = 1) -> Callable[[Path], Path]:
    """A format with 1 to 4 bits turned over, somewhere in a part of the file (shares of it)."""
    write, victim = FORMATS[name]

    def damaged(folder: Path) -> Path:
        path = write(folder)
        chance = random.Random(f"{name} {seed}")
        content = bytearray((folder / victim).read_bytes())
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(int(first * len(content)), int(last * len(content)))
            content[place] ^= 1 << chance.randrange(8)
        (folder / victim).write_bytes(content)
        return path

    return damaged


def _flipped(times: int) -> list[FileCase]:
    cases = []
    for name, seed in itertools.product(sorted(_CHECKED), range(times)):
        cases.append(
            FileCase("bits flipped in packed voxels", f"{name}, {seed}",
                     flipped(name, seed, 0.3, 0.99), REFUSED_OR_UNCHANGED)
        )  # fmt: skip
    for name, seed in itertools.product(FORMATS, range(times)):
        # A header is text or numbers at the beginning of a file.
        cases.append(
            FileCase("bits flipped in the first hundredth", f"{name}, {seed}",
                     flipped(name, seed, 0, 0.01), AnsweredOrRefused())
        )  # fmt: skip
    return cases


def _other_content() -> list[FileCase]:
    def of(name: str, content: bytes) -> Callable[[Path], Path]:
        def write(folder: Path) -> Path:
            (folder / name).write_bytes(content)
            return folder / name

        return write

    def image(ending: str, shape: tuple[int, ...], vector: bool = False) -> Callable[[Path], Path]:
        def write(folder: Path) -> Path:
            values = np.random.default_rng(3).integers(0, 255, shape).astype(np.uint8)
            sitk.WriteImage(
                sitk.GetImageFromArray(values, isVector=vector), str(folder / f"scan.{ending}")
            )
            return folder / f"scan.{ending}"

        return write

    def colours(folder: Path) -> Path:
        rgb = np.zeros((6, 7, 5), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
        nibabel.save(nibabel.Nifti1Image(rgb, np.eye(4)), folder / "scan.nii")
        return folder / "scan.nii"

    cases = [
        ("text named .nrrd", of("scan.nrrd", b"hello"), Refused("not a scan", "NIfTI")),
        ("a picture named .nii", of("scan.nii", b"\x89PNG\r\n\x1a\n" + b"0" * 900),
         Refused("not a scan")),
        ("a zip archive", of("scan.mha", b"PK\x03\x04" + b"0" * 900), Refused("not a scan")),
        ("gzip of nothing", of("scan.nii.gz", gzip.compress(b"")), Refused("scan.nii.gz")),
        ("an empty file", of("scan.mha", b""), Refused("is empty")),
        ("an array of objects", _objects, Refused("Python objects")),
        ("an array of complex numbers", _numbers(complex), Refused("one real number")),
        ("an array of true and false", _numbers(bool), Refused("is a mask")),
        ("RGB in NIfTI", colours, Refused("colours", "one grey value")),
        ("a MetaImage of 10 terabytes, packed", _bomb, CUT),
        *((f"RGB in {e}", image(e, (6, 7, 8, 3), True), Refused("values in each voxel"))
          for e in ("nrrd", "mha")),
        *((f"4D in {e}", image(e, (3, 6, 7, 8)), Refused("time series", "one 3D volume"))
          for e in ("nrrd", "mha", "nii.gz", "nii")),
        *((f"a single picture in {e}", image(e, (7, 8)), Refused("2D image"))
          for e in ("nrrd", "mha", "nii.gz")),
    ]  # fmt: skip
    return [FileCase("no scan", name, write, expected) for name, write, expected in cases]


def _objects(folder: Path) -> Path:
    np.save(folder / "scan.npy", np.array([{"a": 1}], dtype=object))
    return folder / "scan.npy"


def _numbers(dtype: type) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        np.save(folder / "scan.npy", voxels().astype(dtype))
        return folder / "scan.npy"

    return write


def _bomb(folder: Path) -> Path:
    header = (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nCompressedData = True\n"
        "DimSize = 17100 17100 17100\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    )
    (folder / "scan.mha").write_bytes(header.encode() + zlib.compress(bytes(5_000_000), 9))
    return folder / "scan.mha"


def _rescaled() -> list[FileCase]:
    def nifti(slope: float, intercept: float, exact: bool = True) -> Callable[[Path], Path]:
        def write(folder: Path) -> Path:
            stored = (body() - intercept) / slope if exact else body()
            path = write_volume(folder / "scan.nii", np.round(stored).astype(np.int16), placed())
            header = nibabel.Nifti1Header(path.read_bytes()[:348])
            header["scl_slope"], header["scl_inter"] = slope, intercept
            path.write_bytes(header.binaryblock + path.read_bytes()[348:])
            return path

        return write

    like = Answered(like=LIKE)
    cases = [
        ("slope 1, intercept −1024", nifti(1, -1024), like),
        ("slope 0.5, intercept 0", nifti(0.5, 0), like),
        ("slope −1, intercept 0", nifti(-1, 0), like),
        ("slope 0.25, intercept 100", nifti(0.25, 100), like),
        ("slope 0, which means none", nifti(0, 7, exact=False), like),
        ("slope NaN", nifti(np.nan, 0, exact=False), AnsweredOrRefused()),
        ("slope Inf", nifti(np.inf, 0, exact=False), AnsweredOrRefused()),
        ("intercept NaN", nifti(2, np.nan, exact=False), Refused("scan.nii")),
        ("intercept Inf", nifti(2, np.inf, exact=False), Refused("scan.nii")),
        ("slope 1e30", nifti(1e30, 0, exact=False), Answered((NOT_CT,))),
        ("slope 1e38", nifti(1e38, 0, exact=False), Refused("not a number or infinite")),
    ]
    return [FileCase("rescale slope in NIfTI", *case) for case in cases]


# -- DICOM -----------------------------------------------------------------------------------------

_IDENTITY = (1, 0, 0, 0, 1, 0)


def series(values: np.ndarray | None = None, **options) -> DicomSeries:
    """The body as a CT that a scanner sends; its positions are those of ``placed()``."""
    spacing = (SPACING[2], SPACING[1], SPACING[0])
    options = {"spacing": spacing, "origin": (-31.0, 17.0, 53.0), **options}
    return DicomSeries(voxels() if values is None else values, **options)


def _edited(edit: Callable[[DicomSeries], None], **options) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        made = series(**options)
        edit(made)
        return made.write(folder / "series")

    return write


def _moved(numbers: slice, by: float) -> Callable[[DicomSeries], None]:
    def edit(made: DicomSeries) -> None:
        for dataset in made.datasets[numbers]:
            x, y, z = dataset.ImagePositionPatient
            dataset.ImagePositionPatient = [x, y, f"{float(z) + by:.4f}"]

    return edit


def _without(numbers: slice) -> Callable[[DicomSeries], None]:
    def edit(made: DicomSeries) -> None:
        del made.datasets[numbers]

    return edit


def _tags(numbers: slice = np.s_[:], **tags) -> Callable[[DicomSeries], None]:
    def edit(made: DicomSeries) -> None:
        for dataset in made.datasets[numbers]:
            for name, value in tags.items():
                setattr(dataset, name, value)

    return edit


def _no_tag(numbers: slice, *names: str) -> Callable[[DicomSeries], None]:
    def edit(made: DicomSeries) -> None:
        for dataset in made.datasets[numbers]:
            for name in names:
                delattr(dataset, name)

    return edit


def _doubled(made: DicomSeries) -> None:
    made.datasets += series().set(SeriesInstanceUID=made.uid).datasets


def _one_doubled(made: DicomSeries) -> None:
    made.datasets.append(series().set(SeriesInstanceUID=made.uid).datasets[7])


def _localizer_among(made: DicomSeries) -> None:
    scout = series(voxels()[:1]).datasets[0]
    scout.SeriesInstanceUID = made.uid
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    scout.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    made.datasets.append(scout)


def _smaller(made: DicomSeries) -> None:
    dataset = made.datasets[3]
    dataset.Rows = 20
    dataset.PixelData = dataset.PixelData[: 20 * dataset.Columns * 2]


def _two_series(folder: Path) -> Path:
    series().write(folder / "series" / "a")
    series().write(folder / "series" / "b")
    return folder / "series"


def _copied(folder: Path) -> Path:
    path = series().write(folder / "series")
    shutil.copy(sorted(path.iterdir())[3], path / "copy of one")
    return path


def _empty(folder: Path) -> Path:
    (folder / "series").mkdir()
    return folder / "series"


def _colours(made: DicomSeries) -> None:
    made.set(
        SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0,
        BitsAllocated=8, BitsStored=8, HighBit=7,
        PixelData=b"\x40\x80\xc0" * (voxels()[0].size),
    )  # fmt: skip


def _frames(made: DicomSeries) -> None:
    del made.datasets[1:]
    made.datasets[0].NumberOfFrames = 24
    made.datasets[0].PixelData *= 24


def _pet(made: DicomSeries) -> None:
    """A series in which each slice has a slope of its own, so that one body comes out."""
    for number, dataset in enumerate(made.datasets):
        slope = (1, 0.5, 0.25)[number % 3]
        stored = np.frombuffer(dataset.PixelData, "<u2") / slope
        dataset.PixelData = stored.astype("<u2").tobytes()
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, 0
        dataset.Modality = "PT"


def _stored_as(dtype: str, intercept: float, **tags) -> Callable[[DicomSeries], None]:
    def edit(made: DicomSeries) -> None:
        for dataset in made.datasets:
            values = np.frombuffer(dataset.PixelData, "<u2").astype(float) - 1024
            dataset.PixelData = (values - intercept).astype(dtype).tobytes()
            dataset.RescaleIntercept = intercept
        _tags(**tags)(made)

    return edit


def _packed(syntax: UID) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        made = series()
        for dataset in made.datasets:
            dataset.compress(syntax, generate_instance_uid=False)
        return made.write(folder / "series")

    return write


def _in_syntax(syntax: UID) -> Callable[[Path], Path]:
    def edit(made: DicomSeries) -> None:
        for dataset in made.datasets:
            dataset.file_meta.TransferSyntaxUID = syntax
            if syntax == ExplicitVRBigEndian:
                dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()

    return _edited(edit)


def _packed_by_itk(compressor: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = series().write(folder / "series")
        for number, file in enumerate(sorted(path.iterdir())):
            packed = file.with_name(f"packed-{number}.dcm")
            writer = sitk.ImageFileWriter()
            writer.SetFileName(str(packed))
            writer.KeepOriginalImageUIDOn()
            writer.UseCompressionOn()
            writer.SetCompressor(compressor)
            reader = sitk.ImageFileReader()
            reader.SetFileName(str(file))
            reader.SetImageIO("GDCMImageIO")
            image = reader.Execute()
            whole_numbers = sitk.Cast(image, sitk.sitkInt16)
            for key in image.GetMetaDataKeys():
                whole_numbers.SetMetaData(key, image.GetMetaData(key))
            writer.Execute(whole_numbers)
            file.unlink()
        return path

    return write


def _damaged(damage: Callable[[bytearray], bytes], *numbers: int) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = series().write(folder / "series")
        files = sorted(path.iterdir())
        for file in [files[number] for number in numbers] or files:
            file.write_bytes(damage(bytearray(file.read_bytes())))
        return path

    return write


def _flip_a_bit(seed: int) -> Callable[[bytearray], bytes]:
    def damage(content: bytearray) -> bytes:
        chance = random.Random(seed)
        for _ in range(chance.randint(1, 3)):
            content[chance.randrange(900)] ^= 1 << chance.randrange(8)
        return content

    return damage


def _dicom(times: int) -> list[FileCase]:
    whole = Answered((), LIKE)
    mr = "The scan is MR, and the model was trained on CT"
    pet = "The scan is PT, and the model was trained on CT"
    tilt = np.array([0, SPACING[2] * np.tan(np.radians(12)), SPACING[2]])
    oblique = (0.8, 0.6, 0, -0.6, 0.8, 0)
    cases: list[tuple[str, Callable[[Path], Path], Answered | Refused | AnsweredOrRefused]] = [
        ("as a scanner sends it", _edited(lambda made: None), whole),
        ("saved from the head down", _edited(lambda made: made.datasets.reverse()), whole),
        ("numbers that mean nothing", _edited(_tags(InstanceNumber=1)), whole),
        ("no numbers", _edited(_no_tag(np.s_[:], "InstanceNumber")), whole),
        ("tilted by 12°", _edited(lambda made: None, step=tilt), Answered((TILTED,), LIKE)),
        ("tilted by −12°", _edited(lambda made: None, step=tilt * (1, -1, 1)),
         Answered((TILTED,), LIKE)),
        ("turned about the long axis", _edited(lambda made: None, orientation=oblique), whole),
        ("a copy of one slice", _copied, Answered(("there twice",), LIKE)),
        ("a localizer among the slices", _edited(_localizer_among), Answered(("localizer",), LIKE)),
        ("a slice 0.2 mm off", _edited(_moved(np.s_[9:10], 0.2)),
         Answered(("not quite evenly",), LIKE)),
        ("signed pixels", _edited(_stored_as("<i2", 0, PixelRepresentation=1)), whole),
        ("12 bits stored", _edited(_tags(BitsStored=12, HighBit=11)), whole),
        ("32 bits stored",
         _edited(_stored_as("<i4", 0, PixelRepresentation=1, BitsAllocated=32, BitsStored=32,
                            HighBit=31)), whole),
        ("no modality", _edited(_tags(Modality="")), Answered((CT_LIKE,), LIKE)),
        ("no rescale slope", _edited(_no_tag(np.s_[:], "RescaleSlope", "RescaleIntercept")),
         AnsweredOrRefused()),
        ("rescale slope 0", _edited(_tags(RescaleSlope=0)), AnsweredOrRefused()),
        ("rescale slope of no number", _edited(_no_tag(np.s_[:], "RescaleSlope")),
         AnsweredOrRefused()),
        ("MR", _edited(_tags(Modality="MR")), Answered((mr,))),
        ("PET with a slope for each slice", _edited(_pet), Answered((pet,))),
        ("implicit VR", _in_syntax(ImplicitVRLittleEndian), whole),
        ("big endian", _in_syntax(ExplicitVRBigEndian), whole),
        ("deflated", _in_syntax(DeflatedExplicitVRLittleEndian), whole),
        ("RLE", _packed(RLELossless), whole),
        ("JPEG-LS", _packed(JPEGLSLossless), whole),
        ("JPEG 2000", _packed_by_itk("JPEG2000"), whole),
        ("JPEG lossless", _packed_by_itk("JPEG"), whole),
        # What is no volume.
        ("one slice missing", _edited(_without(np.s_[9:10])), Refused("lacks 1 slice", "10")),
        ("three slices missing", _edited(_without(np.s_[9:12])), Refused("lacks 3 slices")),
        ("every second slice missing at one end", _edited(_without(np.s_[12::2])),
         Refused("lacks", "slices")),
        ("all slices twice", _edited(_doubled), Refused("24 places", "on each other")),
        ("one slice twice", _edited(_one_doubled), Refused("1 place", "on each other")),
        ("a slice 1 mm off", _edited(_moved(np.s_[9:10], 1)), Refused("not evenly spaced")),
        ("another distance from the middle on", _edited(_moved(np.s_[12:], 1.7)),
         Refused("not evenly spaced")),
        ("one slice in another direction",
         _edited(_tags(np.s_[3:4], ImageOrientationPatient=[1, 0, 0, 0, 0, -1])),
         Refused("different directions")),
        ("half of the slices in another direction",
         _edited(_tags(np.s_[::2], ImageOrientationPatient=[0, 1, 0, 0, 0, -1])),
         Refused("different directions")),
        ("one slice of another size", _edited(_smaller), Refused("differ in size")),
        ("one slice of another spacing", _edited(_tags(np.s_[3:4], PixelSpacing=[1, 1])),
         Refused("differ in pixel spacing")),
        ("no position", _edited(_no_tag(np.s_[4:5], "ImagePositionPatient")),
         Refused("does not say where it lies")),
        ("no orientation", _edited(_no_tag(np.s_[:], "ImageOrientationPatient")),
         Refused("does not say where it lies")),
        ("no pixel spacing", _edited(_no_tag(np.s_[:], "PixelSpacing")),
         Refused("does not say where it lies")),
        ("a position that is no number", _edited(_tags(np.s_[2:3], ImagePositionPatient="")),
         Refused("does not say where it lies")),
        ("an orientation of zeros", _edited(_tags(ImageOrientationPatient=[0] * 6)),
         Refused("orientation")),
        ("pixel spacing 0", _edited(_tags(PixelSpacing=[0, 0])), Refused("geometry is broken")),
        ("two series", _two_series, Refused("2 series", "--series")),
        ("colours", _edited(_colours), Refused("colour images")),
        ("several frames in one object", _edited(_frames), Refused("multi-frame")),
        ("one slice", _edited(_without(np.s_[1:])), Refused("1 slice", "whole scan")),
        ("an empty folder", _empty, Refused("no DICOM image")),
        # Damage.
        ("the last file cut", _damaged(lambda c: c[:-100], -1),
         Answered(("could not be read",))),
        ("a file in the middle cut", _damaged(lambda c: c[:-100], 11), Refused("lacks 1 slice")),
        ("all files cut", _damaged(lambda c: c[:700]), Refused("No DICOM file", "cut")),
        ("all files empty", _damaged(lambda c: b""), Refused("no DICOM image")),
        *((f"bits flipped in one header, {seed}", _damaged(_flip_a_bit(seed), 5),
           AnsweredOrRefused()) for seed in range(times)),
    ]  # fmt: skip
    return [FileCase("DICOM", *case) for case in cases]


def file_cases(flips: int) -> list[FileCase]:
    """All cases; each format is damaged ``flips`` times."""
    return [
        *_whole(),
        *_cut(),
        *_flipped(flips),
        *_other_content(),
        *_rescaled(),
        *_dicom(flips),
    ]
