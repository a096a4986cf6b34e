"""`slicer.ScriptedLoadableModule`: the base classes of a scripted module's four classes."""

from __future__ import annotations

import logging
import os
import sys
import types
import unittest
from typing import Any, ClassVar

import ctk
import qt
import slicer


class ScriptedLoadableModule:
    """What the module is called and who made it; `parent` holds it."""

    def __init__(self, parent: Any):
        self.parent = parent
        self.moduleName = self.__class__.__name__
        parent.title = self.moduleName
        parent.categories = []
        parent.dependencies = []
        parent.contributors = []
        parent.helpText = ""
        parent.acknowledgementText = ""
        for suffix in ("svg", "png"):
            icon = self.resourcePath(f"Icons/{self.moduleName}.{suffix}")
            if os.path.isfile(icon):
                parent.icon = qt.QIcon(icon)
                break

    def resourcePath(self, filename: str) -> str:
        return _resourcePath(self.parent.path, filename)

    def getDefaultModuleDocumentationLink(self, docPage: str | None = None) -> str:
        page = docPage or self.moduleName.lower()
        url = f"{slicer.app.documentationBaseUrl}user_guide/modules/{page}.html"
        return f'<p>For more information see the <a href="{url}">online documentation</a>.</p>'

    def runTest(self, msec: int = 100, **kwargs: Any) -> None:
        case = _classOf(self.moduleName, "Test")()
        case.runTest(**kwargs)


class ScriptedLoadableModuleWidget:
    """The panel: a frame of its own layout, set up at the first visit."""

    def __init__(self, parent: Any = None):
        self.moduleName = self.__class__.__name__.removesuffix("Widget")
        self.parent = parent
        self.layout = parent.layout() if parent is not None else None
        self.developerMode = slicer.util.settingsValue(
            "Developer/DeveloperMode", False, converter=slicer.util.toBool
        )
        if parent is None:
            self.parent = qt.QFrame()
            self.layout = qt.QVBoxLayout(self.parent)
        slicer.app.moduleManager().connect(
            "moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded
        )
        setattr(slicer.modules, f"{self.moduleName}Widget", self)

    def resourcePath(self, filename: str) -> str:
        return _resourcePath(slicer.util.modulePath(self.moduleName), filename)

    def setup(self) -> None:
        self.setupDeveloperSection()

    def setupDeveloperSection(self) -> None:
        if not self.developerMode:
            return
        self.reloadCollapsibleButton = ctk.ctkCollapsibleButton()
        self.reloadCollapsibleButton.text = "Reload && Test"
        self.layout.addWidget(self.reloadCollapsibleButton)
        row = qt.QHBoxLayout(self.reloadCollapsibleButton)
        self.reloadButton = qt.QPushButton("Reload")
        row.addWidget(self.reloadButton)
        self.reloadButton.connect("clicked()", self.onReload)
        self.reloadAndTestButton = qt.QPushButton("Reload and Test")
        row.addWidget(self.reloadAndTestButton)
        self.reloadAndTestButton.connect("clicked()", self.onReloadAndTest)

    def cleanup(self) -> None:
        """What the module must undo before it goes; overridden."""

    def _onModuleAboutToBeUnloaded(self, moduleName: str) -> None:
        if moduleName == self.moduleName:
            self.cleanup()
            slicer.app.moduleManager().disconnect(
                "moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded
            )

    def onReload(self) -> None:
        slicer.util.reloadScriptedModule(self.moduleName)

    def onTest(self, **kwargs: Any) -> None:
        _classOf(self.moduleName, "Test")().runTest(**kwargs)

    def onReloadAndTest(self, **kwargs: Any) -> None:
        self.onReload()
        self.onTest(**kwargs)


class ScriptedLoadableModuleLogic:
    """Computation without widgets, with a parameter node in the scene."""

    def __init__(self, parent: Any = None):
        self.moduleName = self.__class__.__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self) -> Any:
        """The module's parameter node; made if the scene has none."""
        if self.isSingletonParameterNode:
            node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
            return node or slicer.mrmlScene.AddNode(self.createParameterNode())
        nodes = self.getAllParameterNodes()
        return nodes[0] if nodes else slicer.mrmlScene.AddNode(self.createParameterNode())

    def getAllParameterNodes(self) -> list[Any]:
        nodes = slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode")
        return [node for node in nodes if node.GetAttribute("ModuleName") == self.moduleName]

    def createParameterNode(self) -> Any:
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        if self.isSingletonParameterNode:
            node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """Tests that run inside Slicer."""

    def __init__(self, *args: Any, **kwargs: Any):
        # unittest insists on a method's name; Slicer makes the case without one and calls runTest.
        super().__init__(*(args or ("runTest",)), **kwargs)
        self.messageDelay = 1000

    def delayDisplay(self, message: str, requestedDelay: Any = None, msec: Any = None) -> None:
        logging.info(message)
        slicer.app.processEvents()

    def setUp(self) -> None:
        """Overridden: bring the scene into a known state."""

    def tearDown(self) -> None:
        """Overridden: undo what setUp did."""

    def runTest(self) -> None:
        for name in sorted(name for name in dir(self) if name.startswith("test")):
            self.setUp()
            getattr(self, name)()
            self.tearDown()


class SampleDataSource:
    """What the Sample Data module shows as one picture to click."""

    def __init__(self, **fields: Any):
        self.__dict__.update(fields)


class SampleDataLogic:
    """The registry of the Sample Data module, which is a scripted module of Slicer itself."""

    _sources: ClassVar[dict[str, list[SampleDataSource]]] = {}

    @staticmethod
    def registerCustomSampleDataSource(
        category: str = "Custom",
        sampleName: str | None = None,
        uris: Any = None,
        fileNames: Any = None,
        nodeNames: Any = None,
        customDownloader: Any = None,
        thumbnailFileName: str | None = None,
        loadFileTypes: Any = None,
        loadFiles: Any = None,
        loadFileProperties: Any = None,
        checksums: Any = None,
    ) -> None:
        if not len(uris) == len(fileNames) == len(nodeNames):
            raise ValueError("All fields of sample data source must have the same length")
        source = SampleDataSource(
            sampleName=sampleName,
            uris=uris,
            fileNames=fileNames,
            nodeNames=nodeNames,
            customDownloader=customDownloader,
            thumbnailFileName=thumbnailFileName,
        )
        SampleDataLogic._sources.setdefault(category, []).append(source)

    @staticmethod
    def sampleDataSourcesByCategory(category: str | None = None) -> Any:
        sources = SampleDataLogic._sources
        return sources if category is None else sources.get(category, [])


def makeSampleDataModule() -> types.ModuleType:
    module = types.ModuleType("SampleData")
    module.SampleDataLogic = SampleDataLogic
    return module


def _resourcePath(modulePath: str, filename: str) -> str:
    return os.path.join(os.path.dirname(modulePath), "Resources", filename)


def _classOf(moduleName: str, suffix: str) -> Any:
    return getattr(sys.modules[moduleName], moduleName + suffix)


def makeScriptedModule() -> types.ModuleType:
    module = types.ModuleType("slicer.ScriptedLoadableModule")
    names = ("", "Widget", "Logic", "Test")
    module.__all__ = [f"ScriptedLoadableModule{name}" for name in names]
    for name in module.__all__:
        setattr(module, name, globals()[name])
    return module
