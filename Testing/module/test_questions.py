"""Questions about a scan: asked, answered, and each answer with its own slices."""

import slicer.util

from module.support import ModuleTestCase, addScan


class QuestionsTest(ModuleTestCase):
    def test_a_question_is_answered(self):
        self.select(addScan())
        self.ask("Is there a pleural effusion?")
        question, answer = self.conversation()
        self.assertEqual(question, "Is there a pleural effusion?")
        self.assertTrue(answer.startswith(self.turn.text))
        self.assertIn(f"slice {self.turn.rankedSlices[0].index:.1f}", answer)
        self.assertEqual(self.turn.question, question)
        self.assertEqual(self.questions.question.text, "")

    def test_enter_asks(self):
        self.select(addScan())
        self.questions.question.setText("Is there a nodule?")
        self.questions.question.returnPressed.emit()
        self.waitUntilDone()
        self.assertEqual(self.conversation()[0], "Is there a nodule?")

    def test_an_empty_question_cannot_be_asked(self):
        self.select(addScan())
        self.questions.question.setText("   ")
        self.assertFalse(self.questions.askButton.enabled)
        self.questions.question.returnPressed.emit()
        self.assertFalse(self.controller.isBusy)

    def test_each_answer_keeps_its_own_slices(self):
        self.generateReport(addScan())
        self.ask("Is there a pleural effusion?")
        effusion = self.rankedTexts()
        self.ask("Describe the spine and the ribs of this patient, please.")
        spine = self.rankedTexts()
        self.assertNotEqual(effusion, spine)
        self.assertEqual(self.questions.conversation.count, 4)

        self.questions.conversation.setCurrentRow(1)
        self.assertEqual(self.rankedTexts(), effusion)
        self.assertIn("pleural effusion", self.slices.subject.text)
        heat = slicer.util.arrayFromVolume(self.heatmapNode()).copy()
        self.questions.conversation.setCurrentRow(2)
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
        self.ask("Is there a nodule?")
        answers = self.conversation()
        self.assertEqual(len(answers), 4)
        self.assertEqual(answers[1], answers[3])
