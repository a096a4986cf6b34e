"""Any name of a volume, a file or a folder, and text that comes in pieces."""

import json
import sys
import tempfile
from pathlib import Path

import qt
import slicer
import slicer.util

from Med2E3SlicerLib.engine.interpreter import WorkerCommand
from Med2E3SlicerLib.engine.process import WorkerProcess
from module.support import ModuleTestCase, addScan, exchangeFolders
from reliability.record import tried

TOPIC = "Paths and locale"
NAMES = ("a/b:c*?", 'R&D <b>(1) "so" it\'s', "胸部CT Грудь صدر", "{name} %s", "x" * 240)
FORMATS = {"text": ".txt", "markdown": ".md", "json": ".json", "pdf": ".pdf"}
TEXT = "Легкие чистые. 肺野は清明。 صدر 🫁"


class PathsTest(ModuleTestCase):
    def setUp(self):
        super().setUp()
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        dialog = qt.QFileDialog.getSaveFileName
        self.addCleanup(setattr, qt.QFileDialog, "getSaveFileName", dialog)

    def export(self, name, path):
        qt.QFileDialog.getSaveFileName = lambda *arguments: str(path)
        self.report.exportActions[name].trigger()
        self.waitUntilDone()

    def test_a_volume_of_any_name(self):
        for number, name in enumerate(NAMES):
            with self.subTest(name[:30]):
                slicer.mrmlScene.Clear()
                self.generateReport(addScan(name=name))
                self.assertReportIsThere()
                written = self.turn.text
                self.ask("Is it?")
                text = self.folder / f"{number}.txt"
                self.export("text", text)
                self.assertIn(name, text.read_text(encoding="utf-8"))
                pdf = self.folder / f"{number}.pdf"
                self.export("pdf", pdf)
                self.assertTrue(pdf.read_bytes().startswith(b"%PDF"), self.workbench.status.text)
                # Slicer itself cannot read a bundle again that has a volume with & in its name.
                if "&" not in name:
                    self.checkSavedScene(name, written, self.folder / f"{number}.mrb")
        tried(TOPIC, "a volume called a/b:c*? and the like", len(NAMES), "answered and exported")

    def checkSavedScene(self, name, written, path):
        self.assertTrue(slicer.util.saveScene(str(path)))
        slicer.mrmlScene.Clear()
        slicer.util.loadScene(str(path))
        volumeNode = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")[0]
        self.assertEqual(volumeNode.GetName(), name)
        report, answer = self.controller.turnsOf(volumeNode)
        self.assertEqual(report.text, written)
        self.assertEqual(answer.question, "Is it?")

    def test_an_export_to_a_folder_of_any_name(self):
        self.generateReport(addScan())
        for name in (*NAMES[1:], "検" * 80):
            with self.subTest(name[:30]):
                folder = self.folder / name
                folder.mkdir()
                for kind, ending in (("text", ".txt"), ("json", ".json"), ("pdf", ".pdf")):
                    path = folder / f"report{ending}"
                    self.export(kind, path)
                    self.assertTrue(path.is_file(), self.workbench.status.text)
                self.assertEqual(len(list(folder.iterdir())), 3)
        tried(TOPIC, "an export from the panel", 3 * len(NAMES), "everything written there")

    def test_an_export_to_where_nothing_can_be_written(self):
        self.generateReport(addScan())
        text = self.report.text.plainText
        (self.folder / "file").touch()
        for kind, ending in FORMATS.items():
            with self.subTest(kind):
                # Not even an administrator can write below a file.
                self.export(kind, self.folder / "file" / f"report{ending}")
                self.assertIn("file", self.workbench.status.text)
                self.assertNotIn("Saved", self.workbench.status.text)
                self.assertEqual(self.report.text.plainText, text)
                self.export(kind, self.folder / f"report{ending}")
                self.assertIn("Saved", self.workbench.status.text)
        self.assertEqual(len(list(self.folder.iterdir())), 1 + len(FORMATS))
        tried(
            TOPIC,
            "an export from the panel to a folder that cannot be written",
            len(FORMATS),
            "refused with a sentence; the report still there, and exported elsewhere",
        )

    def test_a_decimal_comma(self):
        self.addCleanup(qt.QLocale.setDefault, qt.QLocale())
        volumeNode = addScan()
        written = []
        for name in ("C", "de_DE", "ar_EG"):
            qt.QLocale.setDefault(qt.QLocale(name))
            self.generateReport(volumeNode)
            self.assertReportIsThere()
            path = self.folder / f"{name}.json"
            self.export("json", path)
            report = json.loads(path.read_text(encoding="utf-8"))
            self.assertEqual(report.pop("written_at"), self.turn.writtenAt)
            written.append((report, self.rankedTexts()))
        self.assertEqual(written[1:], written[:1] * 2)
        tried(TOPIC, "a decimal comma, and Arabic digits, in Slicer", 2, "the same numbers")

    def test_a_temporary_folder_of_any_name(self):
        before = tempfile.tempdir
        self.addCleanup(setattr, tempfile, "tempdir", before)
        for name in NAMES[1:]:
            with self.subTest(name[:30]):
                folder = self.folder / name
                folder.mkdir()
                tempfile.tempdir = str(folder)
                self.generateReport(addScan(name=name))
                self.assertReportIsThere()
                self.assertEqual(exchangeFolders(), [])
                self.assertEqual(list(folder.iterdir()), [])
        tried(TOPIC, "a folder for temporary files", len(NAMES) - 1, "answered, nothing left in it")

    def test_text_whose_characters_come_in_pieces(self):
        program = (
            "import sys, time\n"
            f"for byte in {(TEXT + chr(10)).encode()!r}:\n"
            "    for stream in (sys.stdout.buffer, sys.stderr.buffer):\n"
            "        stream.write(bytes([byte]))\n"
            "        stream.flush()\n"
            "    time.sleep(0.005)\n"
        )
        command = WorkerCommand(
            sys.executable, ("-c", program), str(self.folder), slicer.util.startupEnvironment()
        )
        lines, ended = [], []
        process = WorkerProcess(command)
        process.lineReceived.connect(lines.append)
        process.ended.connect(ended.append)
        process.start()
        self.waitFor(lambda: ended)
        self.assertEqual(lines, [TEXT.encode()])
        self.assertEqual(process.lastErrorLine(), TEXT)
        tried(TOPIC, "multi-byte text split across reads of the pipe", 2, "read as it was written")
