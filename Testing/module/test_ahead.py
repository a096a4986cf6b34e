"""A scan is read as soon as it is chosen, in the background and without a word of what fails."""

import qt
import slicer
import slicer.util

from module.support import ModuleTestCase, addScan, endProcess, exchangeFolders, settingKey


class ReadingAheadTest(ModuleTestCase):
    def setUp(self):
        super().setUp()
        # What a reader has done who has chosen a model once.
        qt.QSettings().setValue(settingKey("isSetUp"), True)
        self.requests = []
        client = self.widget.logic.engine
        self._request = client.request

        def request(method, *arguments, **keywords):
            self.requests.append(method)
            return self._request(method, *arguments, **keywords)

        client.request = request
        self.states = []
        self.controller.stateChanged.connect(self._onState)

    def tearDown(self):
        self.controller.stateChanged.disconnect(self._onState)
        self.widget.logic.engine.request = self._request
        self.controller.readAhead(None)
        super().tearDown()

    def _onState(self, state):
        self.states.append(state.value)

    def waitUntilRead(self):
        self.waitFor(lambda: "open_volume" in self.requests)
        self.waitFor(lambda: self.controller.state.value != "ahead")

    def waitUntilReading(self):
        self.waitFor(lambda: self.controller.state.value == "ahead")

    # -- what it is for --------------------------------------------------------------------------

    def test_a_scan_that_was_read_ahead_is_not_read_again(self):
        self.select(addScan())
        self.waitUntilRead()
        self.assertEqual(self.states, ["ahead", "idle"])
        self.assertEqual(exchangeFolders(), [])
        self.generateReport()
        self.assertReportIsThere()
        self.assertEqual(self.requests.count("open_volume"), 1)

    def test_the_reader_is_told_and_can_ask_meanwhile(self):
        self.select(addScan())
        self.waitUntilReading()
        self.assertIn("being read", self.workbench.status.text)
        self.assertFalse(self.workbench.stopButton.enabled)
        self.assertFalse(self.workbench.progress.visible)
        self.generateReport()
        self.assertReportIsThere()
        self.assertEqual(self.requests.count("open_volume"), 1)
        self.assertEqual(self.states[-1], "idle")

    def test_a_request_that_joins_can_be_stopped(self):
        self.select(addScan())
        self.waitUntilReading()
        self.pressGenerate()
        self.assertTrue(self.workbench.stopButton.enabled)
        self.workbench.stopButton.click()
        self.waitUntilDone()
        self.assertIsNone(self.turn)
        self.generateReport()
        self.assertReportIsThere()

    # -- when it gives way -----------------------------------------------------------------------

    def test_another_scan_takes_the_place_of_the_one_that_is_read(self):
        first, second = addScan(name="First"), addScan(name="Second", seed=1)
        self.select(first)
        self.waitUntilReading()
        self.select(second)
        self.waitFor(lambda: self.controller._scans.find(second, "axial", "auto"), 60)
        self.generateReport()
        self.assertReportIsThere()

    def test_another_window_is_read_anew(self):
        self.select(addScan())
        self.waitUntilRead()
        self.workbench.settings.window.setCurrentText("lung")
        self.waitFor(lambda: self.requests.count("open_volume") == 2)
        self.waitFor(lambda: self.controller.state.value != "ahead")
        self.generateReport()
        self.assertEqual(self.turn.window, "lung")
        self.assertEqual(self.requests.count("open_volume"), 2)

    def test_a_request_about_another_scan_goes_first(self):
        first, second = addScan(name="First"), addScan(name="Second", seed=1)
        self.select(first)
        self.waitUntilReading()
        self.select(second)
        self.generateReport()
        self.assertReportIsThere()
        self.assertEqual(self.controller.turnsOf(first), [])

    def test_a_question_without_words_is_told_while_a_scan_is_read(self):
        scan = addScan()
        self.select(scan)
        self.waitUntilReading()
        self.controller.ask(scan, "  ")
        self.assertIn("Write what you want to know", self.workbench.status.text)

    def test_closing_the_scene_ends_it(self):
        self.select(addScan())
        self.waitUntilReading()
        slicer.mrmlScene.Clear()
        self.assertEqual(self.controller.state.value, "idle")
        self.assertEqual(exchangeFolders(), [])

    def test_removing_the_scan_ends_it(self):
        scan = addScan()
        self.select(scan)
        self.waitUntilReading()
        slicer.mrmlScene.RemoveNode(scan)
        self.assertEqual(self.controller.state.value, "idle")

    # -- what goes wrong -------------------------------------------------------------------------

    def test_nothing_that_goes_wrong_is_told_before_somebody_asks(self):
        self.workbench.settings.modelFolder.currentPath = "/nowhere/at/all"
        self.select(addScan())
        self.waitFor(lambda: "load_model" in self.requests)
        self.waitFor(lambda: self.controller.state.value != "ahead")
        self.assertEqual(self.workbench.status.text, "")
        self.pressGenerate()
        self.waitUntilDone()
        self.assertIn("There is no checkpoint folder", self.workbench.status.text)

    def test_a_worker_that_dies_ahead_is_started_by_the_click(self):
        self.select(addScan())
        self.waitUntilRead()
        self.workbench.settings.window.setCurrentText("lung")
        self.waitUntilReading()
        endProcess(self.controller.workerProcessId)
        self.waitFor(lambda: self.controller.state.value != "ahead")
        self.assertEqual(self.workbench.status.text, "")
        self.generateReport()
        self.assertReportIsThere()

    # -- when it is not wanted -------------------------------------------------------------------

    def _assertNothingIsRead(self):
        self.select(addScan())
        timer = self.widget._aheadTimer
        self.waitFor(lambda: not timer.isActive())
        self.assertEqual((self.requests, self.states), ([], []))

    def test_who_switched_it_off_is_asked_for_nothing(self):
        self.workbench.settings.readsAhead.click()
        self._assertNothingIsRead()

    def test_nothing_is_read_before_a_model_was_chosen(self):
        qt.QSettings().remove(settingKey("isSetUp"))
        self._assertNothingIsRead()

    def test_nothing_is_sent_to_a_server_unasked(self):
        qt.QSettings().setValue(settingKey("usesServer"), True)
        qt.QSettings().setValue(settingKey("serverAddress"), "http://127.0.0.1:9")
        self._assertNothingIsRead()
