"""Hasty hands: double clicks, a key held down, questions asked and stopped one after the other."""

import time
import unittest
from pathlib import Path

import qt

from module.support import ModuleTestCase, addScan, soak
from reliability.record import tried

SECONDS_TO_STOP = 0.5


class HasteTest(ModuleTestCase):
    def setUp(self):
        super().setUp()
        self.select(addScan())
        self.started = []
        self.controller.turnStarted.connect(self.started.append)
        self.addCleanup(self.controller.turnStarted.disconnect, self.started.append)

    def press(self, key, isRepeated):
        event = qt.QKeyEvent(qt.QEvent.KeyPress, key, qt.Qt.NoModifier, "\r", isRepeated, 1)
        qt.QApplication.sendEvent(self.questions.question, event)

    def test_a_double_click_asks_once(self):
        button = self.workbench.reportButton
        button.click()
        button.click()
        self.waitUntilDone()
        self.assertReportIsThere()
        for quick in (self.questions.quickButtons[0], self.questions.againButton):
            quick.click()
            quick.click()
            self.waitUntilDone()
        self.assertEqual(len(self.started), 3)
        self.assertEqual(len(self.conversation()), 2)
        tried("Processes", "double clicks on buttons that ask", 3, "each asks once")

    def test_enter_held_down_asks_once(self):
        self.questions.question.setPlainText("Is there a nodule?")
        self.press(qt.Qt.Key_Return, False)
        pressed = 0
        while self.controller.isBusy or pressed < 50:
            self.press(qt.Qt.Key_Return, True)
            pressed += 1
            self.waitFor(lambda: True)
            time.sleep(0.03)
        self.assertEqual(len(self.started), 1)
        self.assertEqual(len(self.conversation()), 2)
        self.assertEqual(self.questions.question.plainText, "")
        tried("Processes", "Enter held down until the answer is there", 1, "asks once")

    def askAndStop(self, count):
        """Ask and stop again and again, each time a little later than the last."""
        self.ask("Is there a nodule?")
        worker = self.controller.workerProcessId
        slow = []
        for number in range(count):
            self.pressAsk(f"Question {number}?")
            until = time.monotonic() + 0.01 * (number % 20)
            self.waitFor(lambda until=until: time.monotonic() > until)
            stopped = time.monotonic()
            self.workbench.stopButton.click()
            self.waitUntilDone()
            if time.monotonic() - stopped > SECONDS_TO_STOP:
                slow.append(time.monotonic() - stopped)
        # The machine may be busy with something else once, but not each time.
        self.assertLess(len(slow), max(2, count // 20), slow)
        before = self.conversation()
        self.ask("Is there an effusion?")
        self.assertEqual(self.conversation()[: len(before)], before)
        self.assertEqual(self.turn.question, "Is there an effusion?")
        self.assertEqual(self.controller.workerProcessId, worker)
        tried(
            "Processes",
            "questions asked and stopped right away in the panel",
            count,
            f"over within {SECONDS_TO_STOP} s, and the next question is answered by the same "
            "worker",
        )

    def test_questions_asked_and_stopped(self):
        self.askAndStop(6)

    @soak
    def test_a_hundred_questions_asked_and_stopped(self):
        self.askAndStop(100)

    def askInARow(self, count):
        """Ask, and compare what this process has of memory and handles after a while and in the
        end. What the scene keeps of a turn is meant to stay: the bound leaves room for it."""
        for number in range(5):
            self.ask(f"What is in slice {number}?")
        handles, memory = openHandles(), residentBytes()
        for number in range(count):
            self.ask(f"What is in region {number}?")
        self.assertLessEqual(openHandles(), handles)
        self.assertLess(residentBytes() - memory, 30e6 + 200e3 * count)
        self.assertEqual(
            len(self.controller.turnsOf(self.workbench.volumeSelector.currentNode())), count + 5
        )
        self.heatmapNode()
        tried(
            "Resources",
            "questions in a row in the panel",
            count,
            "no more file handles; the memory of the answers in the scene and no more",
        )

    @unittest.skipUnless(Path("/proc/self/statm").exists(), "counted by /proc")
    def test_questions_in_a_row(self):
        self.askInARow(5)

    @soak
    @unittest.skipUnless(Path("/proc/self/statm").exists(), "counted by /proc")
    def test_two_hundred_questions_in_a_row(self):
        self.askInARow(200)


def openHandles():
    return len(list(Path("/proc/self/fd").iterdir()))


def residentBytes():
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * 4096
