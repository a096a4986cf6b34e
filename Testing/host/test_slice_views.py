"""The slice views render what the scene holds, and the main window shows it."""

import numpy as np
import pytest
import slicer
from PySide6 import QtGui

import SlicerHost
from SlicerHost.pythonqt import wrapper


def pixels(widget):
    """What a widget shows, as an array of rows, columns, RGB."""
    image = wrapper.unwrap(widget).grab().toImage()
    image = image.convertToFormat(QtGui.QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).astype(int)


def view(name="Red"):
    return slicer.app.layoutManager().sliceWidget(name).sliceView()


def centre(name="Red"):
    image = pixels(view(name))
    return image[image.shape[0] // 2, image.shape[1] // 2]


@pytest.fixture
def shown(volume):
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    slicer.app.processEvents()
    return volume


@pytest.mark.parametrize("name", ["Red", "Green", "Yellow"])
def test_a_volume_is_seen(shown, name):
    assert centre(name).min() > 240
    slicer.util.setSliceViewerLayers(background=None)
    assert centre(name).max() == 0


def test_moving_the_slice_changes_the_image(shown):
    logic = slicer.app.layoutManager().sliceWidget("Red").sliceLogic()
    logic.SetSliceOffset(15)
    assert centre("Red").max() == 0
    logic.SetSliceOffset(0)
    assert centre("Red").min() > 240


def test_window_and_level_are_followed(shown):
    shown.GetDisplayNode().SetWindowLevelMinMax(0, 2000)
    assert 100 < centre()[0] < 150


def test_changed_voxels_are_followed(shown):
    slicer.util.updateVolumeFromArray(shown, np.zeros((40, 40, 40), np.int16))
    assert centre().max() == 0


def test_a_foreground_is_laid_over(shown):
    heat = slicer.modules.volumes.logic().CloneVolume(slicer.mrmlScene, shown, "heat")
    heat.GetDisplayNode().SetAndObserveColorNodeID("vtkMRMLColorTableNodeRed")
    slicer.util.setSliceViewerLayers(foreground=heat, foregroundOpacity=1.0)
    red, green, blue = centre()
    assert red > 200
    assert max(green, blue) < 60
    slicer.util.setSliceViewerLayers(foregroundOpacity=0.0)
    assert centre().min() > 240


def test_slices_jump_together(shown):
    node = slicer.vtkMRMLSliceNode
    node.JumpAllSlices(slicer.mrmlScene, 3, 4, 5, node.OffsetJumpSlice)
    places = {}
    for name in slicer.app.layoutManager().sliceViewNames():
        matrix = slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode().GetSliceToRAS()
        places[name] = [matrix.GetElement(axis, 3) for axis in range(3)]
    assert places["Red"][2] == pytest.approx(5)
    assert places["Green"][1] == pytest.approx(4)
    assert places["Yellow"][0] == pytest.approx(3)


def test_the_corner_text_is_rewritten_and_the_overlay_is_not(shown):
    import vtk

    lowerLeft = vtk.vtkCornerAnnotation.LowerLeft
    widget = slicer.app.layoutManager().sliceWidget("Red")
    view().cornerAnnotation().SetText(lowerLeft, "lost")
    widget.overlayCornerAnnotation().SetText(lowerLeft, "kept")
    view().forceRender()
    assert view().cornerAnnotation().GetText(lowerLeft) == "B: ball"
    assert widget.overlayCornerAnnotation().GetText(lowerLeft) == "kept"
    widget.overlayCornerAnnotation().ClearAllTexts()


def test_paused_views_keep_their_image(shown):
    assert centre().min() > 240
    with slicer.util.RenderBlocker():
        slicer.util.setSliceViewerLayers(background=None)
        assert centre().min() > 240
    assert centre().max() == 0


def test_the_layout_follows_its_node(shown):
    manager = slicer.app.layoutManager()
    before = manager.layout
    heard = []
    manager.connect("layoutChanged(int)", heard.append)
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    slicer.app.processEvents()
    assert view("Red").visible
    assert not view("Green").visible
    manager.setLayout(before)
    slicer.app.processEvents()
    assert view("Green").visible
    assert heard == [slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView, before]


def test_the_main_window_shows_it_all(shown, tmp_path):
    window = slicer.util.mainWindow()
    path = tmp_path / "window.png"
    SlicerHost.screenshot(path)
    image = QtGui.QImage(str(path))
    assert (image.width(), image.height()) == (window.width, window.height)
    assert (pixels(window) > 240).all(axis=2).sum() > 1000


def test_a_file_is_loaded_saved_and_shown(volume, tmp_path):
    path = str(tmp_path / "ball.nrrd")
    assert slicer.util.saveNode(volume, path)
    slicer.util.exportNode(volume, str(tmp_path / "ball.nii.gz"))
    slicer.mrmlScene.Clear(False)
    loaded = slicer.util.loadVolume(path)
    assert loaded.GetName() == "ball"
    assert slicer.util.arrayFromVolume(loaded).max() == 1000
    composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() == loaded.GetID()
    again = slicer.util.loadVolume(str(tmp_path / "ball.nii.gz"))
    assert np.array_equal(slicer.util.arrayFromVolume(again), slicer.util.arrayFromVolume(loaded))
    with pytest.raises(RuntimeError, match="Failed to load"):
        slicer.util.loadVolume(str(tmp_path / "absent.nrrd"))


def test_a_scene_is_saved_and_loaded(volume, tmp_path):
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear(False)
    slicer.util.loadScene(path)
    assert slicer.util.arrayFromVolume(slicer.util.getNode("ball")).max() == 1000
