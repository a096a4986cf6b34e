"""Every kind of volume through the scene: an answer, or a sentence, as it was foreseen."""

import contextlib
import importlib.util
import itertools
import os
import tempfile
import unittest
from pathlib import Path

import numpy as np
import slicer
import slicer.util

from Med2E3SlicerLib.scene.volumes import ijkToWorld, warningsAbout
from module.support import ModuleTestCase, addScan, exchangeFolders
from reliability.record import FILE_VARIABLE, tried
from reliability.volume_cases import CASES, Answered, Refused, complaints

EVERY = 1 if os.environ.get(FILE_VARIABLE) else 7
"""One case in so many runs; all of them in `make soak`."""

WRITES_FILES = all(importlib.util.find_spec(name) for name in ("nibabel", "pydicom", "SimpleITK"))


class VolumesTest(ModuleTestCase):
    def setUp(self):
        super().setUp()
        self._scores = {}

    def answerTo(self, volumeNode):
        """The turn that comes of a request for one token, or the sentence that it is refused with;
        the scan is left as it was."""
        warningsAbout(volumeNode)
        voxels = slicer.util.arrayFromVolume(volumeNode)
        before, matrix = voxels.copy(), ijkToWorld(volumeNode)
        turns, sentences = [], []
        self.controller.turnEnded.connect(turns.append)
        self.controller.failed.connect(sentences.append)
        try:
            self.controller.generateReport(volumeNode, maxNewTokens=1)
            self.waitUntilDone()
        finally:
            self.controller.turnEnded.disconnect(turns.append)
            self.controller.failed.disconnect(sentences.append)
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(volumeNode), before)
        np.testing.assert_array_equal(ijkToWorld(volumeNode), matrix)
        self.assertEqual(exchangeFolders(), [])
        self.assertEqual(len(turns) + len(sentences), 1)
        if sentences:
            self.assertEqual(self.workbench.status.text, sentences[0])
            self.assertTrue(sentences[0].strip().endswith("."), sentences[0])
            self.assertNotIn("Traceback", sentences[0])
        return turns[0] if turns else sentences[0]

    def answerToCase(self, case):
        voxels = case.voxels()
        volumeNode = slicer.util.addVolumeFromArray(
            voxels.astype(voxels.dtype.newbyteorder("=")), ijkToRAS=case.ijk_to_ras
        )
        answer = self.answerTo(volumeNode)
        slicer.mrmlScene.RemoveNode(volumeNode)
        return answer

    def scoresOf(self, name):
        """The slice scores of a case by its name; asked for once."""
        if name not in self._scores:
            turn = self.answerToCase(next(case for case in CASES if str(case) == name))
            self._scores[name] = [slice_.score for slice_ in turn.slices]
        return self._scores[name]

    def check(self, case, answer):
        if isinstance(case.expected, Refused):
            for words in case.expected.words:
                self.assertIn(words, answer)
        else:
            self.assertNotIsInstance(answer, str)
            scores = [slice_.score for slice_ in answer.slices]
            places = [(case.ijk_to_ras @ (*slice_.ijk, 1))[:3] for slice_ in answer.slices]
            self.assertEqual(complaints(case, scores, places, answer.warnings, self.scoresOf), [])

    def test_pixel_types(self):
        # slicer.util makes no volumes of 64-bit integers.
        self.tryCases(
            case
            for case in casesAbout("pixel type")
            if not case.name.startswith(("i8 in", "u8 in"))
        )

    def test_contents_and_paddings(self):
        self.tryCases(casesAbout("content", "padding"))

    def test_layouts(self):
        self.tryCases(casesAbout("layout"))

    def test_directions_and_sizes(self):
        self.tryCases(casesAbout("direction", "gantry tilt", "spacing", "slices", "size"))

    def tryCases(self, cases):
        workers = set()
        for case in itertools.islice(cases, 0, None, EVERY):
            with self.subTest(str(case)):
                self.check(case, self.answerToCase(case))
                workers.add(self.controller.workerProcessId)
                outcome = {
                    Answered: "answered, with the warnings foreseen and no other",
                    Refused: "refused with the sentence foreseen",
                }[type(case.expected)]
                tried("Volumes", f"{case.topic}, through the scene", 1, outcome)
        # None of them has ended the worker.
        self.assertEqual(len(workers), 1)
        self.assertNotIsInstance(self.answerTo(addScan()), str)

    @unittest.skipUnless(WRITES_FILES, "nibabel, pydicom or SimpleITK is not there to write files")
    def test_files_that_slicer_loads(self):
        from reliability.file_cases import file_cases

        for case in file_cases(flips=1)[::EVERY]:
            with self.subTest(str(case)), tempfile.TemporaryDirectory() as folder:
                path = case.write(Path(folder))
                volumeNode = loadFolder(path) if path.is_dir() else loadFile(path)
                if volumeNode is None:
                    outcome = "not loaded by Slicer"
                else:
                    answer = self.answerTo(volumeNode)
                    outcome = "loaded by Slicer, then answered, or refused with a sentence"
                    if case.topic == "format":
                        scores = [slice_.score for slice_ in answer.slices]
                        expected = self.scoresOf(case.expected.like)
                        np.testing.assert_allclose(scores, expected, atol=1e-5)
                        outcome = "answered like the voxels themselves"
                    slicer.mrmlScene.RemoveNode(volumeNode)
                tried("Volumes", f"{case.topic}, through the scene", 1, outcome)
        self.assertNotIsInstance(self.answerTo(addScan()), str)


def casesAbout(*topics):
    return [case for case in CASES if case.topic in topics]


def loadFile(path):
    """The volume of a file as Slicer loads it, or None."""
    with contextlib.suppress(RuntimeError):
        volumeNode = slicer.util.loadVolume(str(path), {"show": False})
        if volumeNode and volumeNode.GetImageData():
            return volumeNode
    return None


def loadFolder(folder):
    """The volume of a DICOM folder, by the reader that Slicer's DICOM module uses; or None."""
    import pydicom

    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    if not files:
        return None
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetSingleFile(False)
    storage.SetFileName(str(files[0]))
    for file in files:
        storage.AddFileName(str(file))
    volumeNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Series")
    isRead = storage.ReadData(volumeNode) and volumeNode.GetImageData()
    slicer.mrmlScene.RemoveNode(storage)
    if not isRead:
        slicer.mrmlScene.RemoveNode(volumeNode)
        return None
    subjectHierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    item = subjectHierarchy.GetItemByDataNode(volumeNode)
    with contextlib.suppress(Exception):
        modality = pydicom.dcmread(files[0], stop_before_pixels=True).Modality
        subjectHierarchy.SetItemAttribute(item, "DICOM.Modality", modality)
    return volumeNode
