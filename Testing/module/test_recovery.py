"""The worker is lost: the panel says so, starts another, and offers to do again what was asked."""

import os
import signal
import sys
import time
import unittest

import limits
from module.support import (
    ModuleTestCase,
    addScan,
    endProcess,
    exchangeFolders,
    isRunning,
    soak,
    untrainedModel,
)
from reliability.record import tried

SECONDS_UNTIL_TOLD = 2
LATE_TOKEN = 20


class RecoveryTest(ModuleTestCase):
    def setUp(self):
        super().setUp()
        # A worker can only be lost in the midst of a text if there is a midst.
        self.workbench.settings.modelFolder.currentPath = untrainedModel()
        self.select(addScan())
        self.ask("Is there a pleural effusion?")
        self.earlier = self.conversation()

    def tearDown(self):
        self.widget.logic.engine.patience = 30
        super().tearDown()

    # -- what goes wrong -------------------------------------------------------------------------

    def whenever(self, phase, act, times=1):
        """Let ``act()`` happen as soon as a phase has come; returns what has happened so far."""
        acted, tokens = [], []

        def happen():
            if len(acted) < times:
                acted.append(time.monotonic())
                act()

        def onState(state):
            if state.value == phase:
                happen()

        def onText(piece):
            tokens.append(piece)
            if len(tokens) == {"first token": 1, "late token": LATE_TOKEN}.get(phase):
                happen()

        for signal_, listener in (
            (self.controller.stateChanged, onState),
            (self.controller.textArrived, onText),
        ):
            signal_.connect(listener)
            self.addCleanup(signal_.disconnect, listener)
        return acted

    def forceThePhase(self, phase):
        """See to it that the next question comes to a phase that would be skipped."""
        if phase == "loading":
            device = self.workbench.settings.device
            device.setCurrentText("auto" if device.currentText == "cpu" else "cpu")
        elif phase in ("sending", "encoding"):
            window = self.workbench.settings.window
            window.setCurrentText("bone" if window.currentText == "lung" else "lung")

    def kill(self):
        endProcess(self.controller.workerProcessId)

    def pause(self):
        os.kill(self.controller.workerProcessId, signal.SIGSTOP)

    def noteFailures(self):
        """(time, sentence) of each failure from now on."""
        failures = []

        def onFailed(sentence):
            failures.append((time.monotonic(), sentence))

        self.controller.failed.connect(onFailed)
        self.addCleanup(self.controller.failed.disconnect, onFailed)
        return failures

    # -- what comes of it ------------------------------------------------------------------------

    def assertRecovered(self, lost):
        self.waitUntilDone()
        self.assertEqual(self.controller.state.value, "idle", self.workbench.status.text)
        self.assertIn("the scan is open again", self.workbench.status.text)
        self.assertFalse(isRunning(lost))
        self.assertNotIn(self.controller.workerProcessId, (0, lost))
        self.assertEqual(exchangeFolders(), [])

    def assertRepeats(self, question):
        """The conversation is still there, and the question can be asked again with one click."""
        self.assertEqual(self.conversation()[: len(self.earlier)], self.earlier)
        self.assertEqual(self.conversation()[-2], question)
        self.assertTrue(self.workbench.repeatButton.visible)
        self.assertEqual(self.workbench.repeatButton.text, "Ask again")
        followed = []
        self.controller.stateChanged.connect(followed.append)
        self.workbench.repeatButton.click()
        self.waitUntilDone()
        self.controller.stateChanged.disconnect(followed.append)
        self.assertEqual([state.value for state in followed], ["writing", "idle"])
        self.assertEqual(self.turn.question, question)
        self.assertEqual(self.conversation()[: len(self.earlier)], self.earlier)
        self.assertEqual(self.conversation()[-2], question)
        self.assertFalse(self.workbench.repeatButton.visible)
        self.assertNotIn("engine", self.workbench.status.text)
        self.earlier = self.conversation()

    def killIn(self, *phases):
        for phase in phases:
            with self.subTest(phase):
                failures = self.noteFailures()
                lost = self.controller.workerProcessId
                self.forceThePhase(phase)
                killed = self.whenever(phase, self.kill)
                question = f"What is to be seen in the phase {phase}?"
                self.pressAsk(question)
                self.waitFor(lambda failures=failures: failures)
                self.assertLess(failures[0][0] - killed[0], SECONDS_UNTIL_TOLD)
                self.assertIn("ended by the system. It is started again", failures[0][1])
                self.assertIn("ended by the system", self.workbench.status.text)
                self.assertRecovered(lost)
                self.assertRepeats(question)
                tried(
                    "Processes",
                    "kill -9 of the worker as it loads, gets the scan, encodes, reads the prompt, "
                    "writes",
                    1,
                    f"told within {SECONDS_UNTIL_TOLD} s, another worker with the scan open, the "
                    "conversation kept, the question asked again with one click",
                )

    def test_killed(self):
        self.killIn("encoding", "late token")

    @soak
    def test_killed_in_every_phase(self):
        self.killIn("loading", "sending", "encoding", "writing", "first token", "late token")

    def test_a_report_that_is_interrupted_stays_until_it_is_written_again(self):
        lost = self.controller.workerProcessId
        self.whenever("late token", self.kill)
        self.pressGenerate()
        self.waitFor(lambda: self.workbench.repeatButton.text == "Write the report again")
        written = self.report.text.plainText
        self.assertTrue(written)
        self.assertRecovered(lost)
        self.assertEqual(self.report.text.plainText, written)
        self.assertIn("interrupted", self.report.mark.text)
        self.workbench.repeatButton.click()
        self.waitUntilDone()
        self.assertTrue(self.report.text.plainText.startswith(written))
        self.assertNotIn("interrupted", self.report.mark.text)

    def test_who_does_not_wait_is_answered_as_soon_as_the_scan_is_open_again(self):
        failures = self.noteFailures()
        self.whenever("first token", self.kill)
        self.pressAsk("Is there a nodule?")
        self.waitFor(lambda: failures)
        self.workbench.repeatButton.click()
        self.workbench.repeatButton.click()
        self.assertTrue(self.controller.isBusy)
        self.waitUntilDone()
        self.assertEqual(self.turn.question, "Is there a nodule?")
        self.assertEqual(len(self.conversation()), len(self.earlier) + 2)

    def test_who_stops_the_new_start_can_still_ask_again(self):
        failures = self.noteFailures()
        self.whenever("first token", self.kill)
        self.pressAsk("Is there a nodule?")
        self.waitFor(lambda: failures)
        self.workbench.stopButton.click()
        self.assertFalse(self.controller.isBusy)
        self.workbench.repeatButton.click()
        self.waitUntilDone()
        self.assertEqual(self.turn.question, "Is there a nodule?")

    def test_a_worker_that_is_lost_again_is_offered_less_memory(self):
        failures = self.noteFailures()
        self.forceThePhase("encoding")
        self.whenever("encoding", self.kill, times=2)
        self.pressAsk("Is there a nodule?")
        self.waitUntilDone()
        self.assertEqual(len(failures), 2)
        self.assertEqual(self.controller.state.value, "failed")
        self.assertIn("The next click starts it again", self.workbench.status.text)
        self.assertEqual(self.workbench.repeatButton.text, "Again with less memory: bfloat16, cpu")
        self.workbench.repeatButton.click()
        self.waitUntilDone()
        self.assertEqual(self.turn.question, "Is there a nodule?")
        self.assertEqual(self.controller.model.dtype, "bfloat16")
        self.assertEqual(self.workbench.settings.precision.currentText, "bfloat16")
        tried(
            "Processes",
            "kill -9 of the worker that was started in the place of one that was killed",
            1,
            "no third start by itself; the question asked again with half the memory, one click",
        )

    @unittest.skipUnless(limits.ARE_POSSIBLE, "limits of Linux")
    def test_too_little_memory_is_offered_less(self):
        self.forceThePhase("encoding")
        worker = self.controller.workerProcessId
        with limits.little_memory(worker):
            self.ask("Is there a nodule?")
        self.assertEqual(self.controller.state.value, "failed")
        self.assertIn("not enough memory to read the scan", self.workbench.status.text)
        self.assertEqual(self.conversation()[: len(self.earlier)], self.earlier)
        self.assertEqual(self.workbench.repeatButton.text, "Again with less memory: bfloat16, cpu")
        self.workbench.repeatButton.click()
        self.waitUntilDone()
        self.assertEqual(self.turn.question, "Is there a nodule?")
        self.assertEqual(self.controller.model.dtype, "bfloat16")
        self.assertEqual(self.controller.workerProcessId, worker)
        tried(
            "Resources",
            "no memory for a scan, in the panel (ulimit)",
            1,
            "a sentence; the question asked again with half the precision, one click",
        )

    @unittest.skipIf(sys.platform == "win32", "no process can be paused in this way")
    def test_a_worker_that_hangs_is_noticed(self):
        self.widget.logic.engine.patience = 2
        failures = self.noteFailures()
        lost = self.controller.workerProcessId
        paused = self.whenever("first token", self.pause)
        self.pressAsk("Is there a nodule?")
        self.waitFor(lambda: failures)
        self.assertLess(failures[0][0] - paused[0], 6)
        self.assertIn("did not answer any more", failures[0][1])
        self.waitFor(lambda: not isRunning(lost), seconds=10)
        self.widget.logic.engine.patience = 30
        self.assertRecovered(lost)
        self.assertRepeats("Is there a nodule?")

    @soak
    @unittest.skipIf(sys.platform == "win32", "no process can be paused in this way")
    def test_a_worker_that_is_held_up_is_told_of_and_waited_for(self):
        for seconds, ends in ((12, False), (60, True)):
            with self.subTest(seconds):
                failures = self.noteFailures()
                lost = self.controller.workerProcessId
                paused = self.whenever("first token", self.pause)
                self.pressAsk("Is there a nodule?")
                self.waitFor(lambda: "has not answered for" in self.workbench.status.text)
                self.waitFor(
                    lambda: failures or time.monotonic() - paused[0] > seconds,  # noqa: B023
                    seconds=90,
                )
                if ends:
                    self.assertLess(failures[0][0] - paused[0], 35)
                    self.assertRecovered(lost)
                    self.assertRepeats("Is there a nodule?")
                else:
                    os.kill(lost, signal.SIGCONT)
                    self.waitUntilDone()
                    self.assertEqual(failures, [])
                    self.assertEqual(self.turn.question, "Is there a nodule?")
                    self.assertNotIn("engine", self.workbench.status.text)
                    self.earlier = self.conversation()
        tried(
            "Processes",
            "SIGSTOP of the worker in the midst of a text, for 12 s and for good",
            2,
            "told after 5 s; goes on where it was, or is ended after 30 s and replaced",
        )
