"""What ``med2e3 report`` writes for others: ``--pdf`` and ``--dicom``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from med2e3.errors import InputError

if TYPE_CHECKING:
    from med2e3.service.answering import OpenScan
    from med2e3.wire.messages import Answered


class Exports:
    """The documents that were asked for.

    What would keep them from being written is told at once, before the model works for minutes.
    """

    def __init__(
        self, volume: Path, series: str | None, pdf: Path | None, dicom: Path | None
    ) -> None:
        self._volume = volume
        self._series = series
        self._pdf = pdf
        self._dicom = dicom
        if pdf:
            import med2e3.export.pdf

            if pdf.is_dir():
                raise InputError(f"{pdf} is a folder; --pdf takes the name of a file.")
        if dicom:
            import med2e3.export.dicom  # noqa: F401

            if dicom.exists() and not dicom.is_dir():
                raise InputError(f"{dicom} is a file; --dicom takes a folder.")
            if volume.is_file():
                raise InputError(
                    f"{volume} is no DICOM folder, so there is no study that --dicom could write "
                    "for; give the folder of the series, or use --pdf or --out."
                )

    def write(self, opened: OpenScan, answered: Answered) -> None:
        from med2e3.service.answering import report_of

        if self._pdf:
            from med2e3.export.pdf import export_pdf

            export_pdf(report_of(opened.prepared, answered), opened.prepared, self._pdf)
        if self._dicom:
            from med2e3.export.dicom import export_dicom
            from med2e3.volume.dicom import series_files

            files = series_files(self._volume, self._series)
            export_dicom(report_of(opened.prepared, answered), files, self._dicom)
