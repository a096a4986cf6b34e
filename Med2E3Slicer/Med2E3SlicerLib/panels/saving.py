"""Where an export goes: dialogs, and what they come to in a sentence."""

import qt
from slicer.i18n import tr as _

from ..export import jsonText, markdown, plainText, writeFile
from ..exporting import seriesFiles
from ..scene.volumes import VolumeError


def export(name, turn, volumeNode, controller, tell):
    """Ask where to, and save a report: ``name`` is one of ``report.FORMATS``. ``tell(sentence)``
    hears what came of it; of PDF and DICOM, the controller tells."""
    if name == "dicom":
        _exportDicom(turn, volumeNode, controller, tell)
        return
    write, ending, kind = _formats()[name]
    path = qt.QFileDialog.getSaveFileName(
        None, _("Export the report"), _fileName(turn) + ending, f"{kind} (*{ending})"
    )
    if not path:
        return
    if name == "pdf":
        controller.exportPdf(volumeNode, turn, path)
        return
    try:
        writeFile(path, write(turn, volumeNode.GetName()))
    except OSError as error:
        tell(
            _("{path} could not be written: {reason}. Choose another folder and try again.").format(
                path=path, reason=error.strerror or error
            )
        )
    else:
        tell(_("Saved {names}.").format(names=path))


def _exportDicom(turn, volumeNode, controller, tell):
    try:
        # Said before anybody has to choose a folder.
        seriesFiles(volumeNode)
    except VolumeError as error:
        tell(str(error))
        return
    folder = qt.QFileDialog.getExistingDirectory(None, _("Folder for the DICOM files"))
    if folder:
        controller.exportDicom(volumeNode, turn, folder)


def _formats():
    return {
        "text": (plainText, ".txt", _("Plain text")),
        "markdown": (markdown, ".md", _("Markdown")),
        "json": (jsonText, ".json", _("JSON")),
        "pdf": (None, ".pdf", _("PDF")),
    }


def _fileName(turn):
    # Not the scan's name, which may be a patient's.
    return _("Reviewed report") if turn.reviewedAt else _("AI draft report")
