"""A server instead of this computer: chosen behind the gear, tested, used, and each thing said."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import slicer.util

from module.support import ModuleTestCase, addScan

TOKEN = "anna-0123456789-0123456789"


class ServerTest(ModuleTestCase):
    """The tests share a server of the engine, which the engine's Python runs."""

    process = None
    address = ""

    @classmethod
    def setUpClass(cls):
        python = os.environ.setdefault("MED2E3_PYTHON", sys.executable)
        environment = {
            **slicer.util.startupEnvironment(),
            "PYTHONPATH": str(Path(__file__).parents[2] / "Med2E3Slicer"),
            "MED2E3_SERVER_TOKENS": TOKEN,
            "OMP_NUM_THREADS": "1",
            "RAY_worker_niceness": "0",
        }
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
        cls.process = subprocess.Popen(
            [python, "-m", "med2e3", "serve", "--port", str(port)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if not cls.process.stdout.readline():
            raise AssertionError(cls.process.stderr.read())
        cls.address = f"http://127.0.0.1:{port}"

    @classmethod
    def tearDownClass(cls):
        cls.process.terminate()
        cls.process.wait(60)
        cls.process.stdout.close()
        cls.process.stderr.close()

    def setUp(self):
        super().setUp()
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.tokenFile = Path(folder) / "token"
        self.tokenFile.write_text(TOKEN, encoding="ascii")
        self.settings = self.workbench.settings
        self.addCleanup(self.settings.place.setCurrentIndex, 0)
        self.addCleanup(self.closeSettings)

    def closeSettings(self):
        self.workbench.gear.checked = False

    def chooseServer(self, address):
        self.settings.place.setCurrentIndex(1)
        self.settings.server.address.text = address
        self.settings.server.tokenFile.currentPath = str(self.tokenFile)

    def tryConnection(self):
        self.settings.server.testButton.click()
        self.waitFor(lambda: self.settings.checkButton.enabled)
        return self.settings.findings.text

    def test_nothing_goes_to_a_server_that_nobody_chose(self):
        self.assertEqual(self.settings.place.currentIndex, 0)
        self.workbench.gear.checked = True
        self.assertFalse(self.settings.server.widget.visible)
        self.assertFalse(self.workbench.serverNotice.visible)
        self.settings.place.setCurrentIndex(1)
        self.assertTrue(self.settings.server.widget.visible)

    def test_what_it_means_is_said_before_the_click(self):
        self.chooseServer(self.address)
        self.assertTrue(self.workbench.serverNotice.visible)
        self.assertIn(self.address.partition("//")[2], self.workbench.serverNotice.text)
        self.assertIn("leave this computer", self.settings.server.consequences.text)
        self.settings.place.setCurrentIndex(0)
        self.assertFalse(self.workbench.serverNotice.visible)

    def test_the_connection_is_tested(self):
        self.chooseServer(self.address)
        found = self.tryConnection()
        self.assertIn("med2e3-phantom", found)
        self.assertIn("Everything is in order", found)

    def test_a_report_and_an_answer_from_the_server(self):
        volumeNode = addScan()
        self.generateReport(volumeNode)
        local = self.turn.text
        self.chooseServer(self.address)
        self.workbench.reportButton.click()
        self.waitUntilDone()
        self.assertReportIsThere()
        self.assertEqual(self.turn.text, local)
        self.assertIsNotNone(self.heatmapNode())
        self.ask("Is there a nodule?")
        question, answer = self.conversation()
        self.assertIn("Is there a nodule?", question, self.workbench.status.text)
        self.assertTrue(answer)

    def test_back_on_this_computer_nothing_is_sent(self):
        self.chooseServer(self.address)
        self.settings.place.setCurrentIndex(0)
        self.settings.server.address.text = "https://no-such-machine.invalid"
        self.generateReport(addScan())
        self.assertReportIsThere()

    def test_a_stop_keeps_what_was_written(self):
        self.chooseServer(self.address)
        self.select(addScan())
        self.pressGenerate()
        self.waitFor(lambda: self.report.text.plainText)
        self.workbench.stopButton.click()
        self.waitUntilDone()
        self.assertEqual(self.turn.finishReason, "cancelled")

    def test_each_failure_is_a_sentence(self):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            nobody = f"http://127.0.0.1:{listening.getsockname()[1]}"
        for address, said in (
            ("", "no address is set"),
            ("ct.example.org", "is no address of a server"),
            ("http://192.0.2.1:8484", "anyone in the network could read"),
            (nobody, "no server listens"),
        ):
            with self.subTest(address=address):
                self.chooseServer(address)
                self.assertIn(said, self.tryConnection())
                self.generateReport(addScan())
                self.assertIn(said, self.workbench.status.text)
        self.tokenFile.write_text("wrong-0123456789-0123456789", encoding="ascii")
        self.chooseServer(self.address)
        self.assertIn("does not know this token", self.tryConnection())
