"""The report in the reader's hands: pointed at, edited, reviewed, written anew."""

import os
import tempfile
import time

import qt
import slicer
import slicer.util

from module.support import ModuleTestCase, addScan, sendMouse


class ReviewTest(ModuleTestCase):
    def setUp(self):
        super().setUp()
        self.volumeNode = addScan()
        self.generateReport(self.volumeNode)
        self.text = self.report.text
        self.modelText = self.text.plainText
        self._confirm = slicer.util.confirmOkCancelDisplay

    def tearDown(self):
        slicer.util.confirmOkCancelDisplay = self._confirm
        self.report.editButton.checked = False
        super().tearDown()

    def placeOf(self, sentence):
        """Where a sentence begins on the screen."""
        cursor = qt.QTextCursor(self.text.document)
        cursor.setPosition(self.text.placesOfSentences()[sentence][0])
        self.text.setTextCursor(cursor)
        place = self.text.cursorRect(cursor).center()
        return place.x() + 4, place.y()

    def pointAt(self, sentence):
        sendMouse(self.text, qt.QEvent.MouseMove, *self.placeOf(sentence))

    def leave(self):
        qt.QApplication.sendEvent(self.text, qt.QEvent(qt.QEvent.Leave))

    def click(self, sentence):
        for kind in (qt.QEvent.MouseButtonPress, qt.QEvent.MouseButtonRelease):
            sendMouse(self.text, kind, *self.placeOf(sentence), qt.Qt.LeftButton)

    def wait(self, seconds=0.5):
        end = time.monotonic() + seconds
        self.waitFor(lambda: time.monotonic() > end)

    def write(self, text, at=None):
        """Write as a reader does, at a place in the text or at its end."""
        cursor = self.text.textCursor()
        cursor.movePosition(qt.QTextCursor.End)
        if at is not None:
            cursor.setPosition(at)
        cursor.insertText(text)

    def edit(self, text, at=None):
        self.report.editButton.checked = True
        self.write(text, at)
        self.report.editButton.checked = False

    def review(self, name="Dr. Example"):
        self.report.reviewButton.checked = True
        self.report.reviewer.setText(name)
        self.report.confirmButton.click()

    # -- sentences -------------------------------------------------------------------------------

    def test_each_sentence_has_slices_of_its_own_and_a_confidence(self):
        self.assertTrue(self.turn.sentences)
        for sentence in self.turn.sentences:
            self.assertAlmostEqual(sum(s.score for s in sentence.attention.slices), 1, places=4)
            self.assertEqual(sentence.attention.patchShares.shape, self.turn.patchShares.shape)
            self.assertTrue(0 <= sentence.confidence <= 1)
        spans = [(sentence.start, sentence.end) for sentence in self.turn.sentences]
        self.assertEqual(list(self.text.placesOfSentences()), spans)

    def test_pointing_shows_a_sentence_and_leaving_puts_back(self):
        self.ask("Is there a nodule?")
        turn, ranked = self.turn, self.rankedTexts()
        evidence = self.report.turn.sentences[0].attention
        self.pointAt(0)
        # Not at once: the mouse may only be on its way.
        self.assertIs(self.controller.view.attention, turn)
        self.waitFor(lambda: self.controller.view.attention is evidence, seconds=5)
        self.assertIn(self.report.turn.sentenceText(0)[:20], self.slices.subject.text)
        self.assertIn("sure of its words", self.report.hint.text)
        self.assertNotEqual(self.rankedTexts(), ranked)
        self.assertIs(self.turn, turn)
        self.leave()
        self.waitFor(lambda: self.controller.view.attention is turn, seconds=5)
        self.assertEqual(self.rankedTexts(), ranked)

    def test_a_click_keeps_the_sentence_and_leads_to_its_best_slice(self):
        jumped = []
        jump = self.controller.view.jumpToSlice
        self.controller.view.jumpToSlice = lambda number: jumped.append(number) or jump(number)
        try:
            self.click(0)
        finally:
            self.controller.view.jumpToSlice = jump
        evidence = self.report.turn.sentences[0].attention
        self.assertEqual(jumped, [evidence.rankedSlices[0].number])
        self.leave()
        self.wait()
        self.assertIs(self.controller.view.attention, evidence)
        self.questions.conversation.choose(None)
        self.controller.showTurn(self.volumeNode, self.report.turn)
        self.assertIs(self.controller.view.attention, self.report.turn)

    # -- edits -----------------------------------------------------------------------------------

    def test_the_readers_words_are_told_from_the_models(self):
        self.edit(" A word of mine.")
        self.wait(0.3)
        start = len(self.modelText)
        self.assertEqual(self.text.placesOfOwnWords(), ((start, start + len(" A word of mine.")),))
        self.assertIn("edited", self.report.mark.text)
        self.assertEqual(self.report.turn.text, self.modelText)
        self.assertIsNotNone(self.text.placesOfSentences()[0])

    def test_a_sentence_that_was_changed_loses_its_slices(self):
        start, end = self.text.placesOfSentences()[0]
        self.edit("not ", at=start + self.modelText[start:end].index(" ") + 1)
        self.wait(0.3)
        self.assertIsNone(self.text.placesOfSentences()[0])
        self.pointAtText(start + 1)
        self.wait()
        self.assertIs(self.controller.view.attention, self.turn)

    def pointAtText(self, position):
        cursor = qt.QTextCursor(self.text.document)
        cursor.setPosition(position)
        place = self.text.cursorRect(cursor).center()
        sendMouse(self.text, qt.QEvent.MouseMove, place.x() + 2, place.y())

    def test_an_edit_taken_back_is_none(self):
        self.edit(" Mine.")
        self.report.editButton.checked = True
        cursor = self.text.textCursor()
        cursor.setPosition(len(self.modelText))
        cursor.movePosition(qt.QTextCursor.End, qt.QTextCursor.KeepAnchor)
        cursor.removeSelectedText()
        self.report.editButton.checked = False
        self.assertFalse(self.report.turn.isEdited)
        self.assertNotIn("edited", self.report.mark.text)

    def test_an_answer_does_not_disturb_a_reader_who_edits(self):
        self.report.editButton.checked = True
        self.write(" Half a sen")
        self.pressAsk("Is there a nodule?")
        self.waitUntilDone()
        self.assertTrue(self.text.isEditing)
        self.write("tence.")
        self.assertTrue(self.text.plainText.endswith(" Half a sentence."))
        self.report.editButton.checked = False
        self.assertTrue(self.report.turn.presentText.endswith(" Half a sentence."))

    def test_edits_are_text_and_no_markup(self):
        markup = " <b>bold</b> \U0001f600 <script>alert(1)</script>"
        self.edit(markup)
        self.assertTrue(self.report.turn.presentText.endswith(markup))
        self.select(None)
        self.select(self.volumeNode)
        self.assertTrue(self.text.plainText.endswith(markup))

    # -- review ----------------------------------------------------------------------------------

    def test_a_review_has_a_name_and_a_time(self):
        self.assertFalse(self.report.review.visible)
        self.report.reviewButton.checked = True
        self.report.reviewer.setText("  ")
        self.assertFalse(self.report.confirmButton.enabled)
        self.review()
        self.assertEqual(self.report.turn.state, "reviewed")
        self.assertIn("Reviewed by Dr. Example", self.report.mark.text)
        self.assertNotIn("AI draft", self.report.mark.text)
        (textNode,) = slicer.util.getNodesByClass("vtkMRMLTextNode")
        self.assertIn("reviewed", textNode.GetName())
        self.report.copyButton.click()
        copied = qt.QApplication.clipboard().text()
        self.assertIn("Dr. Example", copied)
        self.assertNotIn("not reviewed", copied)

    def test_an_edit_takes_the_review_back(self):
        self.review()
        self.edit(" One more thing.")
        self.assertEqual(self.report.turn.state, "draft")
        self.assertIn("AI draft, not reviewed", self.report.mark.text)
        (textNode,) = slicer.util.getNodesByClass("vtkMRMLTextNode")
        self.assertIn("AI draft", textNode.GetName())
        # Asked for once: the name is still there for the next review.
        self.report.reviewButton.checked = True
        self.assertEqual(self.report.reviewer.text, "Dr. Example")

    def test_the_name_is_in_no_setting(self):
        self.review("Dr. Nowhere Else")
        settings = qt.QSettings()
        for key in settings.allKeys():
            self.assertNotIn("Nowhere Else", str(settings.value(key)))

    def test_edits_review_and_evidence_come_back_with_the_scene(self):
        self.edit(" My own words.")
        self.review()
        sentences = self.report.turn.sentences
        mark = self.report.mark.text
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "scene.mrb")
            slicer.util.saveScene(path)
            slicer.mrmlScene.Clear()
            slicer.util.loadScene(path)
        slicer.app.processEvents()
        turn = self.report.turn
        self.assertEqual(self.text.plainText, self.modelText + " My own words.")
        self.assertEqual(turn.text, self.modelText)
        self.assertEqual(len(self.text.placesOfOwnWords()), 1)
        self.assertEqual(self.report.mark.text, mark)
        self.assertFalse(turn.isStale)
        self.assertEqual(len(turn.sentences), len(sentences))
        for before, after in zip(sentences, turn.sentences, strict=True):
            self.assertEqual((before.start, before.end), (after.start, after.end))
            self.assertAlmostEqual(before.confidence, after.confidence, places=5)
            for slice_, other in zip(before.attention.slices, after.attention.slices, strict=True):
                self.assertAlmostEqual(slice_.score, other.score, places=6)
        self.assertEqual(self.report.reviewer.text, "Dr. Example")

    # -- again -----------------------------------------------------------------------------------

    def test_a_new_report_asks_before_it_takes_edits_away(self):
        asked = []

        def refuse(*arguments, **keywords):
            asked.append(arguments)
            return False

        self.edit(" Mine.")
        slicer.util.confirmOkCancelDisplay = refuse
        for button in (self.report.againButton, self.workbench.reportButton):
            button.click()
            self.assertFalse(self.controller.isBusy)
        self.assertEqual(len(asked), 2)
        self.assertTrue(self.text.plainText.endswith(" Mine."))
        slicer.util.confirmOkCancelDisplay = lambda *arguments, **keywords: True
        self.report.againButton.click()
        self.waitUntilDone()
        self.assertEqual(self.text.plainText, self.modelText)
        self.assertFalse(self.report.turn.isEdited)

    def test_a_stopped_report_leaves_the_edited_one(self):
        self.edit(" Mine.")
        slicer.util.confirmOkCancelDisplay = lambda *arguments, **keywords: True

        def stop(piece):
            self.workbench.stopButton.click()

        self.controller.textArrived.connect(stop)
        self.report.againButton.click()
        self.waitUntilDone()
        self.controller.textArrived.disconnect(stop)
        self.assertTrue(self.text.plainText.endswith(" Mine."))
        self.assertTrue(self.report.turn.isEdited)
