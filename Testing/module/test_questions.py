"""Questions about a scan: asked, answered, and each answer with its own slices."""

import qt
import slicer.util

from module.support import ModuleTestCase, addScan, sendMouse


class QuestionsTest(ModuleTestCase):
    def press(self, key, modifiers=qt.Qt.NoModifier, text=""):
        """Press a key in the field for the question."""
        event = qt.QKeyEvent(qt.QEvent.KeyPress, key, modifiers, text)
        qt.QApplication.sendEvent(self.questions.question, event)

    def clickAnswer(self, number):
        """Click the beginning of an answer, as Qt delivers it."""
        text = self.questions.conversation
        cursor = qt.QTextCursor(text.document)
        cursor.setPosition(text.answerPosition(number))
        text.setTextCursor(cursor)
        place = text.cursorRect(cursor).center()
        for kind in (qt.QEvent.MouseButtonPress, qt.QEvent.MouseButtonRelease):
            sendMouse(text, kind, place.x() + 4, place.y(), qt.Qt.LeftButton)

    def test_a_question_is_answered(self):
        self.select(addScan())
        self.ask("Is there a pleural effusion?")
        question, answer = self.conversation()
        self.assertEqual(question, "Is there a pleural effusion?")
        self.assertTrue(answer.startswith(self.turn.text))
        self.assertIn(f"slice {self.turn.rankedSlices[0].index:.1f}", answer)
        self.assertEqual(self.turn.question, question)
        self.assertEqual(self.questions.question.plainText, "")

    def test_enter_asks(self):
        self.select(addScan())
        self.questions.question.setPlainText("Is there a nodule?")
        self.press(qt.Qt.Key_Return)
        self.waitUntilDone()
        self.assertEqual(self.conversation()[0], "Is there a nodule?")

    def test_an_empty_question_cannot_be_asked(self):
        self.select(addScan())
        self.questions.question.setPlainText("   ")
        self.assertFalse(self.questions.askButton.enabled)
        self.press(qt.Qt.Key_Return)
        self.assertFalse(self.controller.isBusy)

    def test_each_answer_keeps_its_own_slices(self):
        self.generateReport(addScan())
        self.ask("Is there a pleural effusion?")
        effusion = self.rankedTexts()
        self.ask("Describe the spine and the ribs of this patient, please.")
        spine = self.rankedTexts()
        self.assertNotEqual(effusion, spine)
        self.assertEqual(len(self.conversation()), 4)

        self.clickAnswer(0)
        self.assertEqual(self.rankedTexts(), effusion)
        self.assertIn("pleural effusion", self.slices.subject.text)
        heat = slicer.util.arrayFromVolume(self.heatmapNode()).copy()
        self.clickAnswer(1)
        self.assertEqual(self.rankedTexts(), spine)
        self.assertFalse((slicer.util.arrayFromVolume(self.heatmapNode()) == heat).all())

    def test_a_question_after_the_report_reads_the_scan_no_second_time(self):
        self.generateReport(addScan())
        states = []
        self.controller.stateChanged.connect(states.append)
        self.ask("Is there a nodule?")
        self.assertEqual([state.value for state in states], ["writing", "idle"])

    def test_an_edited_scan_is_read_again(self):
        volumeNode = addScan()
        self.select(volumeNode)
        self.ask("Is there a nodule?")
        before = self.turn
        voxels = slicer.util.arrayFromVolume(volumeNode)
        voxels[:8] = 1000
        slicer.util.arrayFromVolumeModified(volumeNode)
        self.ask("Is there a nodule?")
        self.assertNotEqual(
            [slice_.score for slice_ in before.slices],
            [slice_.score for slice_ in self.turn.slices],
        )

    def test_more_scans_than_the_worker_keeps(self):
        scans = [addScan(name=f"Scan {number}", seed=number) for number in range(6)]
        for volumeNode in scans:
            self.select(volumeNode)
            self.ask("Is there a nodule?")
        self.select(scans[0])
        self.questions.newButton.click()
        self.ask("Is there a nodule?")
        answers = self.conversation()
        self.assertEqual(len(answers), 4)
        self.assertEqual(answers[1], answers[3])
