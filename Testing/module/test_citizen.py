"""How the module presents itself to Slicer and to who meets it for the first time."""

import ast
import os
from pathlib import Path

import slicer
import slicer.util

from module.support import MODULE_NAME, ModuleTestCase

MODULE_FOLDER = Path(__file__).parents[2] / MODULE_NAME


class CitizenTest(ModuleTestCase):
    def test_help_and_acknowledgement(self):
        module = getattr(slicer.modules, MODULE_NAME.lower())
        for word in ("Generate report", "Med2E3Phantom", "CTChest", "not a medical device"):
            self.assertIn(word, module.helpText)
        self.assertIn("2411.12783", module.acknowledgementText)
        self.assertNotIn("{", module.helpText)

    def test_the_sample_data_is_made_here_and_loaded(self):
        from SampleData import SampleDataLogic

        from Med2E3SlicerLib import sampledata

        if not SampleDataLogic.sampleDataSourcesByCategory(sampledata.CATEGORY):
            # Under --python-script, Slicer may not have finished its start-up yet.
            sampledata.registerSampleData(str(MODULE_FOLDER / "Resources" / "Icons"))
        source = SampleDataLogic.sampleDataSourcesByCategory(sampledata.CATEGORY)[0]
        self.assertTrue(os.path.isfile(source.thumbnailFileName))
        source.customDownloader(source)
        self.waitFor(lambda: slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"))
        (volumeNode,) = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        self.assertEqual(volumeNode.GetName(), sampledata.SAMPLE_NAME)
        # Whoever comes back from the Sample Data module finds it selected.
        self.widget.exit()
        self.widget.enter()
        self.assertEqual(self.workbench.volumeSelector.currentNode(), volumeNode)
        self.generateReport()
        self.assertReportIsThere()

    def test_what_people_see_can_be_translated(self):
        """No f-string and no sum within ``_()``: their text is not what is looked up."""
        for path in [
            MODULE_FOLDER / f"{MODULE_NAME}.py",
            *(MODULE_FOLDER / "Med2E3SlicerLib").rglob("*.py"),
        ]:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_":
                    (text,) = node.args
                    self.assertIsInstance(text, ast.Constant, f"{path}:{node.lineno}")
