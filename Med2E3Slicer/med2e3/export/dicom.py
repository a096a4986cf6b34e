"""A report as DICOM: its text, its key images and its heatmap, beside the scan in its study.

Enhanced SR after TID 2000 (DICOM PS3.16), Key Object Selection after TID 2010 and a Parametric Map.
Whatever its state, the text is never flagged VERIFIED: that flag names an accountable person and
their organisation (PS3.3 C.17.2), and a name typed into a research tool vouches for neither.
"""

from __future__ import annotations

import logging
import unicodedata
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from highdicom.pm import ParametricMap, RealWorldValueMapping
from highdicom.sr import (
    AlgorithmIdentification,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    EnhancedSR,
    ImageContentItem,
    ObserverContext,
    RelationshipTypeValues,
    TextContentItem,
)
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from med2e3 import __version__
from med2e3.attention import has_preference, split_sentences
from med2e3.errors import InputError
from med2e3.export.document import Document, document_of
from med2e3.export.files import all_or_none
from med2e3.export.series import RAS_TO_LPS, SourceSeries, read_series
from med2e3.wire.messages import Exported, Report

# It logs the patient's name where it finds it odd.
logging.getLogger("highdicom").setLevel(logging.CRITICAL)

MANUFACTURER = "Med2E3Slicer"

_REPORT_TITLE = Code("18748-4", "LN", "Diagnostic imaging report")

# Series numbers are for people to sort by; these come after what a scanner numbers.
_REPORT_SERIES, _KEY_OBJECT_SERIES, _HEATMAP_SERIES = 9201, 9202, 9203

_SQUARE = 1e-4
"""Largest cosine between rows and columns of a grid that a DICOM image may have."""


def export_dicom(report: Report, series_files: Sequence[Path], folder: Path) -> Exported:
    """Write ``report-….dcm``, ``key-objects-….dcm`` and ``heatmap-….dcm``, all or none of them.

    Raises :class:`~med2e3.errors.InputError` for a scan that did not come from DICOM, for files
    that are not its, and for a folder that cannot be written.
    """
    document = document_of(report)
    # What pydicom and highdicom warn of may quote the patient's data.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        series = read_series(series_files)
        _check_place(document, series)
        try:
            objects = {
                "report": narrative(document, series),
                "key-objects": key_objects(document, series),
                "heatmap": heatmap(document, series),
            }
        except (AttributeError, TypeError, ValueError) as error:
            raise InputError(
                "The headers of the DICOM series break the standard in a way that keeps objects "
                f"from referring to it ({type(error).__name__}); export the report as PDF or text."
            ) from error
        names = [f"{kind}-{made.SOPInstanceUID}.dcm" for kind, made in objects.items()]
        with all_or_none(folder) as unfinished:
            for name, made in zip(names, objects.values(), strict=True):
                made.save_as(unfinished / name)
    return Exported(tuple(str(folder / name) for name in names))


def narrative(document: Document, series: SourceSeries) -> EnhancedSR:
    """The text as a structured report: sentences as findings, its state, its maker, key images.

    PARTIAL until it is reviewed, PRELIMINARY and UNVERIFIED always.
    """
    text = document.report.text
    findings = _section(
        codes.LN.Findings,
        [
            *_algorithm(document),
            _text(codes.DCM.Comment, document.state),
            *(_text(codes.DCM.Finding, text[start:end]) for start, end in split_sentences(text)),
        ],
    )
    images = _section(
        codes.LN.KeyImages, [_image(image) for image in _evidence_images(document, series)]
    )
    summary = _section(
        codes.LN.Summary, [_text(codes.DCM.Comment, line) for line in _about(document)]
    )
    root = ContainerContentItem(_REPORT_TITLE, template_id="2000")
    root.ContentSequence = ContentSequence([*_observer(document), findings, images, summary])
    return EnhancedSR(
        evidence=_evidence_images(document, series),
        content=root,
        is_complete=document.is_reviewed,
        is_final=False,
        is_verified=False,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **_general(document, _REPORT_SERIES, "report"),
    )


def key_objects(document: Document, series: SourceSeries) -> KeyObjectSelectionDocument:
    """The images of the scan that lie nearest to the slices with the highest scores."""
    images = _evidence_images(document, series)
    content = KeyObjectSelection(
        document_title=codes.DCM.OfInterest,
        referenced_objects=images,
        observer_device_context=_observer(document),
        description="\n".join([document.state, *_about(document)]),
    )
    return KeyObjectSelectionDocument(
        evidence=images, content=content, **_general(document, _KEY_OBJECT_SERIES, "key images")
    )


def heatmap(document: Document, series: SourceSeries) -> ParametricMap:
    """What each patch adds to its slice's logit, on the model's grid, in patient coordinates."""
    values = document.heatmap
    to_lps = RAS_TO_LPS @ document.heatmap_to_ras[:3]
    steps = np.linalg.norm(to_lps[:, :3], axis=0)
    along_row, along_column, across = (to_lps[:, :3] / steps).T
    if abs(along_row @ along_column) > _SQUARE:
        raise InputError(
            "The gantry was tilted, so slices cut across the scan are no rectangles, and DICOM has "
            "no place for them; choose the plane that the scan was taken in, and generate again."
        )
    # A scan with a tilt is cut in slanted stacks: the distance of the slices is that of the planes.
    distance = steps[2] * abs(across @ np.cross(along_row, along_column))
    low, high = float(values.min()), float(values.max())
    made = ParametricMap(
        source_images=series.images,
        pixel_array=values,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[
            RealWorldValueMapping(
                lut_label="LOGIT_SHARE",
                lut_explanation="Share of the slice's logit, less the mean of its place",
                unit=codes.UCUM.NoUnits,
                value_range=(low, high),
                slope=1.0,
                intercept=0.0,
                quantity_definition=codes.DCM.ClassActivation,
            )
        ],
        voi_lut_transformations=[
            hd.VOILUTTransformation(
                window_center=(low + high) / 2, window_width=max(high - low, 1e-6)
            )
        ],
        pixel_measures=hd.PixelMeasuresSequence(
            pixel_spacing=(steps[1], steps[0]),
            slice_thickness=distance,
            spacing_between_slices=distance,
        ),
        plane_orientation=hd.PlaneOrientationSequence(
            "PATIENT", (*map(float, along_row), *map(float, along_column))
        ),
        plane_positions=[
            hd.PlanePositionSequence("PATIENT", tuple(map(float, to_lps @ (0, 0, slice_, 1))))
            for slice_ in range(len(values))
        ],
        content_label="ATTENTION",
        content_description="Reviewed" if document.is_reviewed else "AI draft, not reviewed",
        **_general(document, _HEATMAP_SERIES, "heatmap"),
    )
    # Nobody knows here whether what was scanned is one of a pair; empty says just that.
    made.Laterality = ""
    return made


def _general(document: Document, series_number: int, what: str) -> dict[str, Any]:
    """What every object says of itself and of the software that made it."""
    state = "reviewed" if document.is_reviewed else "AI draft"
    return {
        "series_instance_uid": hd.UID(),
        "series_number": series_number,
        "series_description": f"Med-2E3 {what} ({state})",
        "sop_instance_uid": hd.UID(),
        "instance_number": 1,
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": document.report.model.name[:64],
        "software_versions": f"med2e3 {__version__}",
        "device_serial_number": document.report.model.sha256[:64],
        "specific_character_set": "ISO_IR 192",
    }


def _observer(document: Document) -> ObserverContext:
    model = document.report.model
    return ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            # One UID for one model, wherever it runs.
            uid=generate_uid(entropy_srcs=["med2e3", model.sha256]),
            name=f"AI algorithm {model.name}",
            manufacturer_name=MANUFACTURER,
            model_name=model.name,
            serial_number=model.sha256,
        ),
    )


def _algorithm(document: Document) -> AlgorithmIdentification:
    report = document.report
    return AlgorithmIdentification(
        name=report.model.name,
        version=__version__,
        parameters=[
            f"model sha256 {report.model.sha256}",
            f"plane {report.plane}",
            f"window {report.window}",
        ],
    )


def _about(document: Document) -> Iterable[str]:
    yield document.origin
    yield document.maker
    scores = document.attention.scores
    best = ", ".join(f"{scores[slice_]:.3f}" for slice_ in document.best_slices())
    flat = "" if has_preference(scores) else " It had no clear preference among them."
    yield (
        "The key images lie nearest to the slices that the model scored highest for this text "
        f"({best}; an even share is {1 / scores.size:.3f}).{flat} The scores tell what it looked "
        "at, not what is there."
    )


def _section(name: Code, items: Iterable[ContentItem]) -> ContainerContentItem:
    section = ContainerContentItem(name, relationship_type=RelationshipTypeValues.CONTAINS)
    section.ContentSequence = ContentSequence(list(items))
    return section


def _text(name: Code, text: str) -> TextContentItem:
    # DICOM allows no other control characters in a text (PS3.5 6.1.3).
    allowed = (c for c in text if c in "\t\n" or unicodedata.category(c) != "Cc")
    return TextContentItem(name, "".join(allowed), RelationshipTypeValues.CONTAINS)


def _image(image: Dataset) -> ImageContentItem:
    return ImageContentItem(
        codes.DCM.SourceImage,
        image.SOPClassUID,
        image.SOPInstanceUID,
        relationship_type=RelationshipTypeValues.CONTAINS,
    )


def _evidence_images(document: Document, series: SourceSeries) -> Sequence[Dataset]:
    """Each once, the one of the best slice first."""
    nearest = [
        series.nearest_image(document.strongest_place(slice_)) for slice_ in document.best_slices()
    ]
    return list({image.SOPInstanceUID: image for image in nearest}.values())


def _check_place(document: Document, series: SourceSeries) -> None:
    """A report on a scan that was moved, cropped or resampled would point to the wrong images."""
    slices, rows, columns = document.heatmap.shape
    spacing = np.linalg.norm(document.heatmap_to_ras[:3, :3], axis=0)
    for slice_ in (0, slices - 1):
        for row in (0, rows - 1):
            for column in (0, columns - 1):
                corner = (document.heatmap_to_ras @ (column, row, slice_, 1))[:3]
                if not series.holds(corner, margin=float(spacing.max())):
                    raise InputError(
                        "The scan does not lie where its DICOM series lies: it was moved or made "
                        "anew since it was loaded. Load the series again and generate the report "
                        "for it."
                    )
