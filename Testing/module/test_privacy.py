"""After a session with a marked series, nothing that stays on the machine tells whose it was."""

import importlib.util
import json
import logging
import os
import tempfile
import unittest
from pathlib import Path

import qt
import slicer
import slicer.util

from module.support import ModuleTestCase, exchangeFolders
from module.test_export import Database, writeSeries
from reliability.record import tried

MARK = "MARKED"
HAS_PYDICOM = importlib.util.find_spec("pydicom") is not None
TAGS = (
    "PatientName", "PatientID", "OtherPatientNames", "PatientAddress", "PatientComments",
    "AccessionNumber", "StudyID", "StudyDescription", "SeriesDescription", "InstitutionName",
    "ReferringPhysicianName", "OperatorsName", "ImageComments", "AdditionalPatientHistory",
)  # fmt: skip


class Records(logging.Handler):
    def __init__(self):
        super().__init__(logging.DEBUG)
        self.lines = []

    def emit(self, record):
        self.lines.append(self.format(record))


class PrivacyTest(ModuleTestCase):
    def setUp(self):
        super().setUp()
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self._dialogs = (qt.QFileDialog.getSaveFileName, qt.QFileDialog.getExistingDirectory)
        self.records = Records()
        root = logging.getLogger()
        level = root.level
        root.addHandler(self.records)
        root.setLevel(logging.DEBUG)
        self.addCleanup(root.setLevel, level)
        self.addCleanup(root.removeHandler, self.records)

    def tearDown(self):
        qt.QFileDialog.getSaveFileName, qt.QFileDialog.getExistingDirectory = self._dialogs
        super().tearDown()

    def loadMarkedSeries(self):
        import pydicom

        files = writeSeries(self.folder / f"{MARK} series")
        uids = []
        for file in files:
            dataset = pydicom.dcmread(file)
            for tag in TAGS:
                setattr(dataset, tag, MARK)
            dataset.save_as(file)
            uids.append(dataset.SOPInstanceUID)
        volumeNode = slicer.util.loadVolume(files[0])
        # As Slicer's DICOM module names it.
        volumeNode.SetName(f"3: {MARK} Thorax")
        volumeNode.SetAttribute("DICOM.instanceUIDs", " ".join(uids))
        if hasattr(slicer, "dicomDatabase"):
            self.addCleanup(setattr, slicer, "dicomDatabase", slicer.dicomDatabase)
        else:
            self.addCleanup(delattr, slicer, "dicomDatabase")
        slicer.dicomDatabase = Database(dict(zip(uids, files, strict=True)))
        return volumeNode

    def export(self, name, path):
        dialog = lambda *arguments: str(path)  # noqa: E731 - PythonQt binds no function of a class
        qt.QFileDialog.getSaveFileName = qt.QFileDialog.getExistingDirectory = dialog
        self.report.exportActions[name].trigger()
        self.waitUntilDone()

    @unittest.skipUnless(HAS_PYDICOM, "pydicom is not there")
    def test_no_marked_name_is_kept(self):
        self.generateReport(self.loadMarkedSeries())
        arguments = self.argumentsOfTheWorker()
        self.ask(f"Does {MARK} have a nodule?")
        self.report.reviewButton.checked = True
        self.report.reviewer.setText(f"Dr. {MARK}")
        self.report.confirmButton.click()
        for name in ("text", "json", "pdf"):
            self.export(name, self.folder / f"{MARK}.{name}")
        self.export("dicom", self.folder / f"{MARK} objects")
        blocked = self.folder / f"{MARK}.text"
        self.assertIn("Saved", self.workbench.status.text)
        self.export("pdf", blocked / "below a file.pdf")
        self.assertNotIn("Saved", self.workbench.status.text)
        log = self.folder / "log.txt"
        dialog = lambda *arguments: str(log)  # noqa: E731 - as above
        qt.QFileDialog.getSaveFileName = dialog
        self.workbench.settings.logButton.click()

        for line in (*self.records.lines, log.read_text(encoding="utf-8"), *arguments):
            self.assertNotIn(MARK, line)
        settings = qt.QSettings()
        for key in settings.allKeys():
            if not key.startswith("Med2E3Slicer/"):
                continue
            self.assertNotIn(MARK, f"{key} {json.dumps(settings.value(key), default=str)}")
        temporary = Path(tempfile.gettempdir())
        names = [path.name for path in temporary.rglob("med2e3*")]
        self.assertFalse([name for name in names if MARK in name])
        self.assertEqual(exchangeFolders(), [])
        tried(
            "Privacy",
            f"a series with {len(TAGS)} marked texts, in folders of that name: report, question, "
            "review, exports, a failure, in the module",
            1,
            "no mark in Slicer's log, the saved log, the settings, the worker's arguments, or the "
            "names of temporary files",
        )

    def argumentsOfTheWorker(self):
        line = Path(f"/proc/{self.controller.workerProcessId}/cmdline")
        return [line.read_bytes().decode(errors="replace")] if os.path.exists(line) else []
