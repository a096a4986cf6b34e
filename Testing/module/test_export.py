"""The report as a file: text, Markdown and JSON made here, PDF and DICOM by the worker."""

import importlib.util
import json
import os
import shutil
import tempfile
import unittest
from pathlib import Path

import numpy as np
import qt
import slicer
import slicer.util

import limits
from module.support import ModuleTestCase, addScan, exchangeFolders, scanVoxels
from reliability.record import tried

MARK = "AI draft, not reviewed"
HAS_PYDICOM = importlib.util.find_spec("pydicom") is not None


class ExportTest(ModuleTestCase):
    def setUp(self):
        super().setUp()
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self._dialogs = (qt.QFileDialog.getSaveFileName, qt.QFileDialog.getExistingDirectory)

    def tearDown(self):
        qt.QFileDialog.getSaveFileName, qt.QFileDialog.getExistingDirectory = self._dialogs
        self.report.editButton.checked = False
        super().tearDown()

    def export(self, name, path):
        """Choose an entry of the menu, and a path in the dialog; wait for what comes of it."""
        answered = []
        self.controller.exported.connect(answered.append)
        self.addCleanup(self.controller.exported.disconnect, answered.append)
        dialog = lambda *arguments: str(path)  # noqa: E731 - PythonQt binds no function of a class
        qt.QFileDialog.getSaveFileName = qt.QFileDialog.getExistingDirectory = dialog
        self.report.exportActions[name].trigger()
        self.waitUntilDone()
        return answered

    def edit(self, words):
        self.report.editButton.checked = True
        cursor = self.report.text.textCursor()
        cursor.movePosition(qt.QTextCursor.End)
        cursor.insertText(words)
        self.report.editButton.checked = False

    def test_text_and_markdown_hold_report_mark_and_slices(self):
        self.generateReport(addScan())
        best = self.turn.rankedSlices[0]
        for name, ending in (("text", ".txt"), ("markdown", ".md")):
            with self.subTest(name):
                path = self.folder / f"report{ending}"
                self.export(name, path)
                text = path.read_text(encoding="utf-8")
                self.assertIn(MARK, text)
                self.assertIn(self.turn.text.split()[0], text)
                self.assertIn(f"{best.index:.1f}", text)
                self.assertIn(f"{best.score:.3f}", text)
                self.assertIn(path.name, self.workbench.status.text)
        self.assertEqual(len(list(self.folder.iterdir())), 2)

    def test_json_tells_the_readers_words_from_the_models(self):
        self.generateReport(addScan())
        self.edit(" Ümläut \U0001f600.")
        path = self.folder / "report.json"
        self.export("json", path)
        said = json.loads(path.read_text(encoding="utf-8"))
        self.assertIn(MARK, said["mark"])
        self.assertEqual(said["model_text"], self.report.turn.text)
        self.assertEqual(said["text"], self.report.turn.text + " Ümläut \U0001f600.")
        self.assertTrue(said["is_edited"])
        self.assertEqual(len(said["slices"]), 32)
        self.assertAlmostEqual(sum(slice_["score"] for slice_ in said["slices"]), 1, places=4)
        self.assertEqual(len(said["sentences"]), len(self.report.turn.sentences))
        self.assertEqual(len(said["sentences"][0]["slices"]), 32)

    def test_a_reviewed_report_says_who_has_reviewed_it(self):
        self.generateReport(addScan())
        self.report.reviewButton.checked = True
        self.report.reviewer.setText("Dr. Example")
        self.report.confirmButton.click()
        for name in ("text", "markdown", "json"):
            path = self.folder / name
            self.export(name, path)
            text = path.read_text(encoding="utf-8").replace("\\", "")
            self.assertIn("Dr. Example", text)
            self.assertNotIn("not reviewed", text)

    def test_markdown_of_a_text_is_that_text(self):
        self.generateReport(addScan())
        self.edit(" <script>alert(1)</script> # *no* [link](x)")
        path = self.folder / "report.md"
        self.export("markdown", path)
        text = path.read_text(encoding="utf-8")
        self.assertNotIn("<script>", text)
        self.assertNotIn("[link](x)", text)
        self.assertIn("\\<script\\>", text)

    def test_a_path_that_cannot_be_written(self):
        self.generateReport(addScan())
        missing = self.folder / "not there" / "report.txt"
        self.export("text", missing)
        self.assertIn("could not be written", self.workbench.status.text)
        self.assertFalse(missing.exists())
        # What was there before stays whole.
        blocked = self.folder / "a folder.txt"
        blocked.mkdir()
        self.export("text", blocked)
        self.assertIn("could not be written", self.workbench.status.text)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["a folder.txt"])

    def test_a_dialog_that_is_closed_does_nothing(self):
        self.generateReport(addScan())
        for name in ("text", "pdf"):
            self.assertEqual(self.export(name, ""), [])
        self.assertFalse(self.controller.isBusy)

    def test_pdf(self):
        self.generateReport(addScan())
        path = self.folder / "report.pdf"
        answered = self.export("pdf", path)
        self.assertTrue(answered, self.workbench.status.text)
        self.assertTrue(path.read_bytes().startswith(b"%PDF"))
        self.assertIn("report.pdf", self.workbench.status.text)
        self.assertEqual(exchangeFolders(), [])
        self.assertReportIsThere()
        self.ask("Is there a nodule?")

    def test_a_scan_that_is_not_from_dicom(self):
        self.generateReport(addScan(name="Chest"))
        self.assertEqual(self.export("dicom", self.folder), [])
        self.assertIn("Chest was not loaded from DICOM", self.workbench.status.text)
        self.assertEqual(list(self.folder.iterdir()), [])

    def loadSeries(self):
        """(volume, files) of a CT that came from DICOM."""
        import pydicom

        files = writeSeries(self.folder / "series")
        volumeNode = slicer.util.loadVolume(files[0])
        uids = [pydicom.dcmread(file).SOPInstanceUID for file in files]
        volumeNode.SetAttribute("DICOM.instanceUIDs", " ".join(uids))
        if hasattr(slicer, "dicomDatabase"):
            self.addCleanup(setattr, slicer, "dicomDatabase", slicer.dicomDatabase)
        else:
            self.addCleanup(delattr, slicer, "dicomDatabase")
        slicer.dicomDatabase = Database(dict(zip(uids, files, strict=True)))
        return volumeNode, files

    @unittest.skipUnless(HAS_PYDICOM, "pydicom is not there")
    def test_dicom(self):
        import pydicom

        volumeNode, files = self.loadSeries()
        self.generateReport(volumeNode)
        folder = self.folder / "objects"
        answered = self.export("dicom", folder)
        self.assertTrue(answered, self.workbench.status.text)
        written = [pydicom.dcmread(file) for file in answered[0].files]
        self.assertEqual(
            sorted(os.listdir(folder)), sorted(map(os.path.basename, answered[0].files))
        )
        study = pydicom.dcmread(files[0]).StudyInstanceUID
        self.assertEqual({dataset.StudyInstanceUID for dataset in written}, {study})

    @unittest.skipUnless(HAS_PYDICOM and limits.ARE_POSSIBLE, "pydicom or limits are not there")
    def test_a_full_disk(self):
        volumeNode, _files = self.loadSeries()
        self.generateReport(volumeNode)
        report = self.report.text.plainText
        folder = self.folder / "exports"
        for name in ("text", "json", "pdf", "dicom"):
            with self.subTest(name):
                folder.mkdir()
                path = folder if name == "dicom" else folder / f"report.{name}"
                isOfWorker = name in ("pdf", "dicom")
                writer = self.controller.workerProcessId if isOfWorker else os.getpid()
                with limits.full_disk(100, writer):
                    self.export(name, path)
                self.assertIn("File too large", self.workbench.status.text)
                self.assertIn("ry again" if not isOfWorker else "free", self.workbench.status.text)
                self.assertEqual(list(folder.iterdir()), [])
                self.assertEqual(self.report.text.plainText, report)
                self.assertEqual(exchangeFolders(), [])
                self.export(name, path)
                self.assertIn("Saved", self.workbench.status.text)
                shutil.rmtree(folder)
        tried(
            "Resources",
            "a full disk while a report is exported as text, JSON, PDF, DICOM",
            4,
            "a sentence; no file or half of one; the report still there; exported once there is "
            "room",
        )


class Database:
    """What the module asks of Slicer's DICOM database."""

    def __init__(self, files):
        self._files = files

    def fileForInstance(self, uid):
        return self._files.get(uid, "")

    def instanceValue(self, uid, tag):
        return "CT"


def writeSeries(folder):
    """A small CT as a scanner writes it; returns the paths, by slice."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    folder.mkdir()
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    paths = []
    for number, pixels in enumerate(scanVoxels((20, 40, 36)).astype(np.int16)):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        image.StudyInstanceUID, image.SeriesInstanceUID = study, series
        image.FrameOfReferenceUID, image.PositionReferenceIndicator = frame, ""
        image.PatientName, image.PatientID = "Phantom^Chest", "P1"
        image.PatientBirthDate, image.PatientSex, image.AccessionNumber = "", "O", ""
        image.StudyID, image.StudyDate, image.StudyTime = "1", "20260131", "120000"
        image.ReferringPhysicianName = image.Manufacturer = ""
        image.Modality, image.SeriesNumber, image.InstanceNumber = "CT", 1, number + 1
        image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        image.ImagePositionPatient = [0.0, 0.0, 3.0 * number]
        image.PixelSpacing, image.SliceThickness = [2.0, 2.0], 3.0
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.Rows, image.Columns = pixels.shape
        image.BitsAllocated = image.BitsStored = 16
        image.HighBit, image.PixelRepresentation = 15, 1
        image.RescaleIntercept, image.RescaleSlope = 0, 1
        image.PixelData = pixels.tobytes()
        path = folder / f"{number:03}.dcm"
        image.save_as(path, write_like_original=False)
        paths.append(str(path))
    return paths
