"""The conversation: follow-ups, closed questions, answers written anew, text as text."""

import qt
import slicer
import slicer.util

from Med2E3SlicerLib.panels.conversation import ConversationText
from module.support import ModuleTestCase, addScan

QUESTION = "Is there a nodule?"


class ConversationTest(ModuleTestCase):
    def setUp(self):
        super().setUp()
        self.select(addScan())

    def type(self, key, modifiers=qt.Qt.NoModifier, text=""):
        event = qt.QKeyEvent(qt.QEvent.KeyPress, key, modifiers, text)
        qt.QApplication.sendEvent(self.questions.question, event)

    def turns(self):
        turns = self.controller.turnsOf(self.workbench.volumeSelector.currentNode())
        return [turn for turn in turns if turn.kind == "answer"]

    def stopAtTheFirstWords(self, button):
        def stop(piece):
            button.click()

        self.controller.textArrived.connect(stop)
        self.addCleanup(self.controller.textArrived.disconnect, stop)

    # -- asking ----------------------------------------------------------------------------------

    def test_shift_and_enter_break_the_line(self):
        question = self.questions.question
        question.setPlainText("Where")
        question.moveCursor(qt.QTextCursor.End)
        self.type(qt.Qt.Key_Return, qt.Qt.ShiftModifier, "\r")
        self.assertFalse(self.controller.isBusy)
        self.assertEqual(question.plainText, "Where\n")

    def test_the_field_grows_with_the_question_up_to_four_lines(self):
        question = self.questions.question
        heights = []
        for lines in (1, 3, 4, 9):
            question.setPlainText("\n".join(["line"] * lines))
            slicer.app.processEvents()
            heights.append(question.height)
        self.assertLess(heights[0], heights[1])
        self.assertLess(heights[1], heights[2])
        self.assertEqual(heights[2], heights[3])

    def test_quick_questions_are_the_five_kinds_of_the_training(self):
        names = [button.text for button in self.questions.quickButtons]
        self.assertEqual(names, ["Plane", "Phase", "Organ", "Abnormality", "Location"])
        for button in self.questions.quickButtons:
            self.assertTrue(button.toolTip)
        self.questions.quickButtons[4].click()
        self.assertFalse(self.questions.quickButtons[0].enabled)
        self.waitUntilDone()
        # Slicer wraps tool tips in a paragraph, so that they break into lines.
        self.assertIn(self.conversation()[0], self.questions.quickButtons[4].toolTip)

    def test_choices_make_a_closed_question(self):
        self.assertFalse(self.questions.choicesWidget.visible)
        self.questions.choicesButton.click()
        self.assertTrue(self.questions.choicesWidget.visible)
        for choice, text in zip(self.questions.choices, ("Axial", "Coronal", ""), strict=False):
            choice.setText(text)
        self.ask("Which plane?")
        self.assertEqual(self.turn.question, "Which plane? Choices: A. Axial B. Coronal")
        # The next question is an open one again.
        self.assertFalse(self.questions.choicesWidget.visible)
        self.ask("Which plane?")
        self.assertEqual(self.turn.question, "Which plane?")

    # -- earlier turns ---------------------------------------------------------------------------

    def test_follow_ups_see_earlier_turns_and_the_panel_says_which_do_not_fit(self):
        self.ask(QUESTION)
        first = self.turn
        self.assertEqual((first.historyUsed, first.historyLeftOut), (0, 0))
        self.ask("How large is it?")
        self.assertEqual(self.turn.historyUsed + self.turn.historyLeftOut, 1)
        answer = self.conversation()[3]
        self.assertEqual("no longer fit" in answer, self.turn.historyLeftOut > 0)

    def test_a_new_conversation_begins_without_earlier_turns(self):
        self.ask(QUESTION)
        self.questions.newButton.click()
        self.assertFalse(self.questions.newButton.enabled)
        self.assertIn("New conversation", self.questions.conversation.plainText)
        self.ask("How large is it?")
        self.assertEqual((self.turn.historyUsed, self.turn.historyLeftOut), (0, 0))
        self.assertEqual(self.questions.conversation.plainText.count("New conversation"), 1)
        self.assertEqual(len(self.conversation()), 4)
        self.ask("Where is it?")
        self.assertEqual(self.turn.historyUsed + self.turn.historyLeftOut, 1)

    # -- again, stop, copy -----------------------------------------------------------------------

    def test_again_takes_the_place_of_the_last_answer(self):
        self.ask(QUESTION)
        self.ask("Where is it?")
        before = self.turns()
        self.questions.againButton.click()
        self.assertEqual(len(self.conversation()), 4)
        self.waitUntilDone()
        after = self.turns()
        self.assertEqual([turn.nodeId for turn in after], [turn.nodeId for turn in before])
        self.assertEqual(after[1].text, before[1].text)
        self.assertEqual(after[1].historyUsed, before[1].historyUsed)

    def test_an_answer_that_is_stopped_does_not_take_the_place_of_a_whole_one(self):
        self.ask(QUESTION)
        whole = self.conversation()
        self.assertFalse(self.questions.stopButton.visible)
        self.stopAtTheFirstWords(self.questions.stopButton)
        self.questions.againButton.click()
        self.assertTrue(self.questions.stopButton.visible)
        self.waitUntilDone()
        self.assertEqual(self.conversation(), whole)
        self.assertFalse(self.questions.stopButton.visible)

    def test_copy_takes_the_marked_answer_with_its_question_and_mark(self):
        self.ask(QUESTION)
        first = self.turn
        self.ask("Where is it?")
        self.questions.copyButton.click()
        self.assertTrue(qt.QApplication.clipboard().text().startswith("Where is it?\n"))
        self.controller.showTurn(self.workbench.volumeSelector.currentNode(), first)
        self.questions.copyButton.click()
        copied = qt.QApplication.clipboard().text()
        self.assertTrue(copied.startswith(f"{QUESTION}\n{first.text}"))
        self.assertIn("AI draft, not reviewed", copied)

    def test_looking_at_another_answer_changes_nothing_until_the_new_one_is_done(self):
        self.ask(QUESTION)
        self.ask("Where is it?")
        first, _last = self.turns()
        shown = []
        self.pressAsk("How large is it?")
        self.controller.showTurn(self.workbench.volumeSelector.currentNode(), first)
        self.controller.textArrived.connect(lambda piece: shown.append(self.turn))
        self.waitUntilDone()
        self.assertTrue(shown)
        self.assertTrue(all(turn is first for turn in shown))
        self.assertEqual(self.turn.question, "How large is it?")


class ConversationTextTest(ModuleTestCase):
    def test_a_long_answer_is_added_to_and_never_written_anew(self):
        text = ConversationText()
        text.showUnfinished(0, "Question?")
        touched = []
        text.document.connect(
            "contentsChange(int,int,int)",
            lambda position, removed, added: touched.append(removed + added),
        )
        pieces = ["\n" if number % 40 == 39 else "word after word " for number in range(3999)]
        for piece in pieces:
            text.addText(piece)
        self.assertEqual(text.texts()[0][1], "".join(pieces))
        # A paragraph may be laid out anew with each piece, the text before it never.
        self.assertLess(sum(touched), 3 * len("".join(pieces)))
        text.delete()

    def test_text_is_text(self):
        answers = (
            "<b>bold</b> & <script>alert(1)</script>",
            "| a | b |\n|---|---|\n| 1 | 2 |",
            "\U0001f600\U0001f468\u200d\u2695\ufe0f beyond the first plane",
            "نعم، في الفص العلوي الأيمن.",
        )
        text = ConversationText()
        for number, answer in enumerate(answers):
            text.showUnfinished(number, "<i>Question</i>?", answer)
        self.assertEqual(text.texts(), [("<i>Question</i>?", answer) for answer in answers])
        text.delete()
