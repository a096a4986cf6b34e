"""Stop, in every phase of a request, and the next request after it."""

import os
import signal
import sys
import time
import unittest

from module.support import ModuleTestCase, addScan, endProcess, isRunning


class CancelTest(ModuleTestCase):
    def stopIn(self, phase, press):
        """Press Stop as soon as a phase has come; returns the states that followed."""
        followed = []

        def onState(state):
            if followed or state.value == phase:
                followed.append(state.value)
            if state.value == phase and len(followed) == 1:
                self.workbench.stopButton.click()

        self.controller.stateChanged.connect(onState)
        press()
        self.waitUntilDone()
        self.controller.stateChanged.disconnect(onState)
        self.assertTrue(followed, f"the phase {phase} never came")
        self.assertEqual(followed[-1], "idle")
        self.assertFalse(self.workbench.stopButton.enabled)
        return followed

    def stopAtTheFirstWords(self, press, clicks=1):
        """Press Stop, once or more, in the same moment in which text begins to arrive."""
        clicked = []

        def onText(piece):
            while len(clicked) < clicks:
                clicked.append(self.workbench.stopButton.click())

        self.controller.textArrived.connect(onText)
        press()
        self.waitUntilDone()
        self.controller.textArrived.disconnect(onText)
        self.assertEqual(len(clicked), clicks)

    def askAgain(self):
        self.generateReport()
        self.assertReportIsThere()

    def endWorker(self):
        """The next click has to start a worker."""
        if self.controller.workerProcessId:
            endProcess(self.controller.workerProcessId)
            self.waitFor(lambda: not self.controller.workerProcessId)

    def test_while_the_engine_starts(self):
        self.endWorker()
        self.select(addScan())
        followed = self.stopIn("starting", self.pressGenerate)
        self.assertEqual(followed, ["starting", "idle"])
        self.assertEqual(self.report.text.plainText, "")
        self.askAgain()

    def test_while_the_model_is_loaded(self):
        self.generateReport(addScan())
        self.workbench.settings.device.setCurrentText("cpu")
        followed = self.stopIn("loading", self.pressGenerate)
        self.assertNotIn("writing", followed)
        self.askAgain()

    def test_while_the_scan_is_handed_over(self):
        self.generateReport(addScan())
        self.select(addScan(name="Large", shape=(300, 256, 256)))
        followed = self.stopIn("sending", self.pressGenerate)
        self.assertEqual(followed, ["sending", "idle"])
        self.askAgain()

    def test_while_the_scan_is_encoded(self):
        self.select(addScan())
        followed = self.stopIn("encoding", self.pressGenerate)
        self.assertNotIn("writing", followed)
        self.assertEqual(self.report.text.plainText, "")
        self.askAgain()

    def test_while_the_report_is_written(self):
        self.select(addScan())
        self.stopAtTheFirstWords(self.pressGenerate)
        self.assertTrue(self.report.text.plainText)
        self.assertIn("stopped before its end", self.report.mark.text)
        beginning = self.report.text.plainText
        self.askAgain()
        self.assertTrue(self.report.text.plainText.startswith(beginning))
        self.assertNotIn("stopped", self.report.mark.text)

    def test_a_stopped_report_does_not_take_the_place_of_a_whole_one(self):
        self.generateReport(addScan())
        whole = self.report.text.plainText
        self.stopAtTheFirstWords(self.pressGenerate)
        self.assertEqual(self.report.text.plainText, whole)

    def test_while_an_answer_is_written(self):
        self.select(addScan())
        self.stopAtTheFirstWords(lambda: self.pressAsk("Is there a nodule?"))
        self.assertIn("stopped before its end", self.conversation()[1])
        self.ask("Is there a nodule?")
        self.assertEqual(len(self.conversation()), 4)

    def test_a_double_click_on_stop_is_one_stop(self):
        self.generateReport(addScan())
        worker = self.controller.workerProcessId
        self.stopAtTheFirstWords(self.pressGenerate, clicks=2)
        self.assertEqual(self.controller.state.value, "idle")
        self.assertEqual(self.controller.workerProcessId, worker)
        self.askAgain()

    @unittest.skipIf(sys.platform == "win32", "no process can be stopped in this way")
    def test_a_second_stop_ends_a_worker_that_does_not_hear(self):
        self.generateReport(addScan())
        worker = self.controller.workerProcessId
        self.pressGenerate()
        os.kill(worker, signal.SIGSTOP)
        self.workbench.stopButton.click()
        self.assertEqual(self.workbench.stopButton.text, "Stop now")
        time.sleep(0.6)
        self.workbench.stopButton.click()
        self.assertEqual(self.controller.state.value, "idle")
        self.assertReportIsThere()
        self.waitFor(lambda: not isRunning(worker), seconds=10)
        self.askAgain()
        self.assertNotEqual(self.controller.workerProcessId, worker)
