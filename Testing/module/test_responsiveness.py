"""Slicer's main thread is never held while the worker works: a heartbeat tells."""

import statistics
import time
import unittest

import qt
import slicer.util

from module.support import SHARED_DATA, ModuleTestCase

CHEST_CT = SHARED_DATA / "lung1_image.nrrd"

BEAT_MILLISECONDS = 10
LONGEST_GAP_SECONDS = 0.1
ROUNDS = 3


class Heartbeat:
    """Notes the longest time between two beats of a timer, and what went on then."""

    def __init__(self, describe):
        self._describe = describe
        self.longest = (0.0, "")
        self.beats = 0
        self._last = time.perf_counter()
        self._timer = qt.QTimer()
        self._timer.setInterval(BEAT_MILLISECONDS)
        self._timer.connect("timeout()", self._beat)
        self._timer.start()

    def _beat(self):
        now = time.perf_counter()
        self.longest = max(self.longest, (now - self._last, self._describe()))
        self._last = now
        self.beats += 1

    def stop(self):
        self._timer.stop()


@unittest.skipUnless(CHEST_CT.exists(), f"{CHEST_CT.name} is not beside the repository")
class ResponsivenessTest(ModuleTestCase):
    def test_the_main_thread_is_never_held_during_a_report(self):
        volumeNode = slicer.util.loadVolume(str(CHEST_CT))
        self.select(volumeNode)
        gaps, beats = [], 0
        # The machine may be busy with something else once, but not each time.
        for window in ("lung", "mediastinum", "bone")[:ROUNDS]:
            # Another window makes the scan travel and be encoded anew.
            self.workbench.settings.window.setCurrentText(window)
            slicer.app.processEvents()
            heartbeat = Heartbeat(lambda: self.controller.state.value)
            self.generateReport()
            heartbeat.stop()
            self.assertReportIsThere()
            beats += heartbeat.beats
            gaps.append(heartbeat.longest[0])
            print(
                f"longest gap of the heartbeat: {1000 * heartbeat.longest[0]:.0f} ms, before the "
                f"end of: {heartbeat.longest[1]}"
            )
        self.assertGreater(beats, 20)
        self.assertLess(statistics.median(gaps), LONGEST_GAP_SECONDS)
