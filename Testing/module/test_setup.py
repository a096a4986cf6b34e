"""The first use, the download, the check and the log, as someone meets them who sets it up."""

import importlib
import os
import subprocess
import sys
import tempfile
import types
from pathlib import Path
from typing import ClassVar

import qt
import slicer

from Med2E3SlicerLib.signal import Signal
from module.support import ModuleTestCase, addScan, settingKey

NAME = "Doe^Jane"
"""Stands for a patient's name wherever one may get to."""

SECONDS_OF_A_CHECK = 300
"""Two processes load torch one after the other, on a machine that may be busy."""


def library(name):
    """A module of the library as it is now: a test that reloads it leaves another one."""
    return importlib.import_module(f"Med2E3SlicerLib.{name}")


class ToolDouble:
    """A command of the engine that says what the test lets it say."""

    made: ClassVar[list] = []

    def __init__(self, command):
        self.command = command
        self.said = Signal()
        self.ended = Signal()
        self.isStopped = False
        ToolDouble.made.append(self)

    def start(self):
        """The test goes on with it."""

    def stop(self):
        self.isStopped = True


class SetupTestCase(ModuleTestCase):
    def setUp(self):
        super().setUp()
        ToolDouble.made = []
        self.preferences = library("preferences").Preferences()
        self.setup = library("setup").Setup(self.preferences, newTool=ToolDouble)
        self.ended = []
        self.setup.downloadEnded.connect(self.ended.append)

    @property
    def tool(self):
        return ToolDouble.made[-1]


class FirstUseTest(SetupTestCase):
    def test_it_is_shown_until_a_model_is_chosen(self):
        self.assertFalse(self.preferences.isSetUp)
        panel = library("panels.setup").SetupPanel(self.setup)
        chosen = []
        panel.chosen.connect(lambda: chosen.append(True))
        self.assertTrue(panel.demonstration.checked)
        panel.useButton.click()
        self.assertEqual(chosen, [True])
        self.assertTrue(self.preferences.isSetUp)
        self.assertEqual(self.preferences.modelFolder, "")
        self.assertEqual(ToolDouble.made, [])

    def test_a_folder_on_disk(self):
        panel = library("panels.setup").SetupPanel(self.setup)
        panel.onDisk.checked = True
        self.assertFalse(panel.useButton.enabled)
        panel.folder.currentPath = "/models/mine"
        self.assertTrue(panel.useButton.enabled)
        panel.useButton.click()
        self.assertEqual(self.preferences.modelFolder, "/models/mine")

    def test_nothing_is_downloaded_without_consent(self):
        panel = library("panels.setup").SetupPanel(self.setup)
        panel.released.checked = True
        self.assertTrue(panel.useButton.isHidden())
        self.assertFalse(panel.downloadButton.enabled)
        panel.downloadButton.click()
        self.assertEqual(ToolDouble.made, [])
        panel.consent.checked = True
        self.assertTrue(panel.downloadButton.enabled)
        panel.downloadButton.click()
        self.assertEqual(len(ToolDouble.made), 1)

    def test_a_download_shows_how_far_it_is_and_is_the_model_in_the_end(self):
        panel = library("panels.setup").SetupPanel(self.setup)
        panel.released.checked = panel.consent.checked = True
        panel.target.currentPath = "/disk/Med-2E3"
        panel.downloadButton.click()
        self.assertIn("/disk/Med-2E3", self.tool.command.arguments)
        self.assertIn("--stop-with-stdin", self.tool.command.arguments)
        self.assertFalse(panel.downloadButton.enabled)
        self.tool.said.emit({"stage": "download", "done": 2_000_000_000, "total": 8_000_000_000})
        self.assertEqual(panel.progress.value, 250)
        self.assertIn("2.0 GB of 8.0 GB", panel.progress.text)
        self.assertEqual(self.preferences.modelFolder, "")
        self.tool.ended.emit("")
        self.assertEqual(self.preferences.modelFolder, "/disk/Med-2E3")
        self.assertTrue(panel.progress.isHidden())

    def test_a_download_that_fails_says_why_and_can_go_on(self):
        panel = library("panels.setup").SetupPanel(self.setup)
        panel.released.checked = panel.consent.checked = True
        panel.downloadButton.click()
        self.tool.ended.emit("The disk is full; free some space.")
        self.assertIn("disk is full", panel.status.text)
        self.assertFalse(self.preferences.isSetUp)
        self.assertTrue(panel.downloadButton.enabled)

    def test_a_download_can_be_stopped(self):
        panel = library("panels.setup").SetupPanel(self.setup)
        panel.released.checked = panel.consent.checked = True
        panel.downloadButton.click()
        panel.stopButton.click()
        self.assertTrue(self.tool.isStopped)
        self.assertIn("kept", panel.status.text)
        self.assertTrue(panel.downloadButton.enabled)

    def test_closing_the_module_ends_a_download(self):
        self.setup.download("/disk/Med-2E3")
        self.setup.close()
        self.assertTrue(self.tool.isStopped)

    def test_only_a_downloaded_model_can_be_deleted_from_the_panel(self):
        with tempfile.TemporaryDirectory() as folder:
            self.preferences.modelFolder = folder
            self.assertFalse(self.setup.chosenModelIsDownloaded())
            (Path(folder) / "downloaded.json").write_text("{}")
            self.assertTrue(self.setup.chosenModelIsDownloaded())
        removing = []
        self.setup.removing.connect(lambda: removing.append(True))
        self.setup.removeModel()
        self.assertEqual(removing, [True])
        self.tool.ended.emit("")
        self.assertEqual(self.preferences.modelFolder, "")


class DoubtsTest(SetupTestCase):
    def examined(self, cards=(), memory=None, free=21_000_000_000, seconds=240.0):
        found = library("setup").Examination(
            python="3.11.7",
            engine="0.1.0",
            lacking=(),
            lackingForExports=(),
            problems=(),
            devices=(
                {"name": "cpu", "kind": "cpu", "memory_total": 32e9, "memory_free": free},
                *cards,
            ),
            modelName="Med-2E3",
            modelProblem="",
            modelIsDownloaded=True,
            memory=memory or {"float32": 18e9, "bfloat16": 9e9, "int8": 6e9, "int4": 4e9},
            cpuSeconds=seconds,
        )
        self.setup._examination, self.setup._examinedChoice = found, self.setup._choice()
        return self.setup.doubts()

    def card(self, free):
        return {"name": "cuda:0 Card", "kind": "cuda", "memory_total": 24e9, "memory_free": free}

    def test_the_processor_is_told_with_the_time_that_it_takes(self):
        (sentence,) = self.examined()
        self.assertIn("4 minutes", sentence)
        self.assertIn("estimate", sentence)

    def test_too_little_memory_is_told(self):
        self.preferences.precision = "float32"
        sentences = self.examined(free=10e9)
        self.assertIn("18.0 GB", sentences[1])
        self.assertIn("10.0 GB", sentences[1])

    def test_the_precision_that_is_chosen_for_the_machine_needs_no_more_than_it_has(self):
        self.assertEqual(len(self.examined(free=5e9)), 1)
        self.assertIn("4.0 GB", self.examined(free=3e9)[1])

    def test_a_card_with_room_raises_no_doubt(self):
        self.assertEqual(self.examined(cards=[self.card(12e9)]), [])

    def test_a_card_that_others_fill_is_told(self):
        (sentence,) = self.examined(cards=[self.card(3e9)])
        self.assertIn("graphics card", sentence)
        self.assertIn("3.0 GB", sentence)

    def test_who_chose_the_processor_is_told_the_time_in_spite_of_a_card(self):
        self.preferences.device = "cpu"
        (sentence,) = self.examined(cards=[self.card(12e9)])
        self.assertIn("minutes", sentence)

    def test_a_small_model_raises_no_doubt(self):
        self.assertEqual(self.examined(seconds=None, memory={"float32": 1000}), [])
        self.assertFalse(self.setup.needsExamination())

    def test_another_choice_makes_the_examination_void(self):
        self.examined()
        self.preferences.modelFolder = "/another"
        self.assertIsNone(self.setup.examination)
        self.assertEqual(self.setup.doubts(), [])

    def test_a_large_model_is_examined_before_its_first_use(self):
        with tempfile.TemporaryDirectory() as folder:
            self.preferences.modelFolder = folder
            self.assertFalse(self.setup.needsExamination())
            (Path(folder) / "llm").mkdir()
            weights = Path(folder) / "llm" / "model.safetensors"
            with weights.open("wb") as file:
                file.truncate(300_000_000)
            self.assertTrue(self.setup.needsExamination())


class PackagesTest(ModuleTestCase):
    """pip is never run here."""

    def setUp(self):
        super().setUp()
        self.packages = library("engine.packages")
        self.addCleanup(setattr, self.packages, "_isInstalled", self.packages._isInstalled)
        # The tests' own Python is named by this variable; here nobody names one.
        python = os.environ.pop("MED2E3_PYTHON")
        self.addCleanup(os.environ.__setitem__, "MED2E3_PYTHON", python)

    def newSetup(self):
        return library("setup").Setup(library("preferences").Preferences())

    def test_what_slicers_python_lacks_is_named_before_anything_is_installed(self):
        self.packages._isInstalled = lambda name: name not in ("torch", "nibabel")
        setup = self.newSetup()
        self.assertEqual(setup.packagesToInstall(), ["torch", "nibabel"])
        self.assertIn("torch, nibabel", setup.engineProblem())
        panel = library("panels.setup").SetupPanel(setup)
        self.assertFalse(panel.engine.widget.isHidden())
        self.assertFalse(panel.engine.installButton.isHidden())

    def test_generating_without_packages_says_where_to_install_them(self):
        self.packages._isInstalled = lambda name: name != "torch"
        self.select(addScan())
        self.pressGenerate()
        self.assertFalse(self.controller.isBusy)
        self.assertIn("torch", self.workbench.status.text)
        self.assertIn("gear", self.workbench.status.text)

    def test_without_the_pytorch_extension_it_says_so(self):
        self.packages._isInstalled = lambda name: name != "torch"
        panel = library("panels.setup").SetupPanel(self.newSetup())
        panel.engine.installButton.click()
        self.assertIn("PyTorch", panel.engine.text.text)
        self.assertIn("Extensions Manager", panel.engine.text.text)

    def test_the_button_installs_by_slicers_conventions(self):
        asked = []

        class PyTorchUtilsLogic:
            def installTorch(self, **options):
                asked.append(("torch", options["torchVersionRequirement"]))
                return object()

        def pip_ensure(requirements, **options):
            asked.append((requirements, options["prompt_install"]))

        packaging = types.ModuleType("slicer.packaging")
        packaging.load_requirements = lambda path: Path(path).name
        packaging.pip_ensure = pip_ensure
        self.replaceModule(
            "PyTorchUtils", types.SimpleNamespace(PyTorchUtilsLogic=PyTorchUtilsLogic)
        )
        self.replaceModule("slicer.packaging", packaging)
        self.packages._isInstalled = lambda name: False
        panel = library("panels.setup").SetupPanel(self.newSetup())
        self.assertEqual(asked, [])
        panel.engine.installButton.click()
        self.assertEqual(asked, [("torch", ">=2.4"), ("requirements.txt", False)])

    def replaceModule(self, name, module):
        """Let ``import`` find another module of this name until the test is over."""
        former = sys.modules.get(name)
        sys.modules[name] = module
        parent, _, attribute = name.rpartition(".")
        if parent:
            formerAttribute = getattr(sys.modules[parent], attribute, None)
            setattr(sys.modules[parent], attribute, module)
            self.addCleanup(setattr, sys.modules[parent], attribute, formerAttribute)
        if former is None:
            self.addCleanup(sys.modules.pop, name)
        else:
            self.addCleanup(sys.modules.__setitem__, name, former)

    def test_the_requirements_hold_no_torch(self):
        names = self.packages._names(self.packages._requirements())
        self.assertNotIn("torch", names)
        self.assertIn("transformers", names)


class CheckTest(ModuleTestCase):
    def check(self):
        self.workbench.settings.checkButton.click()
        self.waitFor(lambda: self.workbench.settings.checkButton.enabled, SECONDS_OF_A_CHECK)
        return self.workbench.settings.findings.text

    def test_everything_is_in_order(self):
        worker = self.controller.workerProcessId
        text = self.check()
        self.assertNotIn("✗", text)
        self.assertIn("wrote a few words", text)
        self.assertIn("Everything is in order", text)
        # The workbench's own worker is left alone.
        self.assertEqual(self.controller.workerProcessId, worker)

    def test_a_python_that_lacks_the_packages(self):
        with tempfile.TemporaryDirectory() as folder:
            # An environment of its own, with nothing in it.
            subprocess.run(
                [os.environ["MED2E3_PYTHON"], "-m", "venv", "--without-pip", folder], check=True
            )
            inside = "Scripts/python.exe" if os.name == "nt" else "bin/python"
            self.workbench.settings.python.currentPath = str(Path(folder) / inside)
            text = self.check()
        self.assertIn("✗ It lacks torch, transformers", text)
        self.assertNotIn("Everything is in order", text)

    def test_a_program_that_is_no_python(self):
        self.workbench.settings.python.currentPath = "where" if os.name == "nt" else "false"
        text = self.check()
        self.assertIn("✗", text)
        self.assertIn("could not be examined", text)

    def test_a_model_folder_that_is_not_complete(self):
        with tempfile.TemporaryDirectory() as folder:
            self.workbench.settings.modelFolder.currentPath = folder
            text = self.check()
        self.assertIn("✗", text)
        self.assertIn("config.json", text)

    def test_what_the_machine_has_is_shown_behind_the_gear(self):
        self.workbench.gear.checked = True
        self.waitFor(lambda: self.workbench.settings.machine.text)
        self.assertIn("Processor", self.workbench.settings.machine.text)
        self.assertIn("GB free", self.workbench.settings.machine.text)
        self.workbench.gear.checked = False


class LogTest(ModuleTestCase):
    def test_the_log_tells_what_was_done_and_of_whom_nothing(self):
        self.select(addScan(name=NAME))
        self.pressGenerate()
        self.waitUntilDone()
        self.ask(f"What does {NAME} have?")
        with tempfile.TemporaryDirectory() as folder:
            self.workbench.settings.modelFolder.currentPath = os.path.join(folder, NAME)
            self.pressGenerate()
            self.waitUntilDone()
            path = os.path.join(folder, "log.txt")
            getSaveFileName = qt.QFileDialog.getSaveFileName
            qt.QFileDialog.getSaveFileName = lambda *arguments: path
            try:
                self.workbench.settings.logButton.click()
            finally:
                qt.QFileDialog.getSaveFileName = getSaveFileName
            log = Path(path).read_text(encoding="utf-8")
        for word in ("state writing", "engine 0", "model ", "the request failed", "protocol"):
            self.assertIn(word, log)
        for private in (NAME, "Doe", folder, os.path.expanduser("~"), "What does"):
            self.assertNotIn(private, log)
        self.assertNotIn(self.report.text.plainText[:20], log)

    def test_of_stderr_the_place_in_the_code_is_kept_alone(self):
        for line, kept in (
            (
                f'  File "/home/{NAME}/med2e3/model/x.py", line 7, in load',
                "med2e3/model/x.py:7 load",
            ),
            (
                f'  File "C:\\{NAME}\\Lib\\site-packages\\torch\\nn.py", line 1, in f',
                "torch/nn.py:1 f",
            ),
            (f'  File "/home/{NAME}/x.py", line 3, in <module>', "Python:3 <module>"),
            (f"FileNotFoundError: /data/{NAME}.nrrd", "FileNotFoundError"),
            (f"torch.OutOfMemoryError: {NAME}", "torch.OutOfMemoryError"),
            (f"WARNING:med2e3.volume:{NAME} has gaps", "WARNING of med2e3.volume"),
            (f"    read('{NAME}')", ""),
            (NAME, ""),
        ):
            self.assertEqual(library("engine.stderr").withoutPrivateParts(line), kept)


class PrivacyTest(ModuleTestCase):
    def test_nothing_of_a_scan_gets_into_the_settings(self):
        self.generateReport(addScan(name=NAME))
        settings = slicer.app.userSettings()
        for key in settings.allKeys():
            if key.startswith("Med2E3Slicer"):
                self.assertNotIn(NAME, str(settings.value(key)))
        self.assertIsNone(qt.QSettings().value(settingKey("inputVolume")))
