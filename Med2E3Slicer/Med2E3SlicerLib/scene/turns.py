"""Turns kept in the scene: a text node and a table of scores each, in the scan's own folder.

The text node holds what the model wrote and, as attributes, what it was asked and how. The table
has a row per slice of the model. Together they give the turn again after the scene was saved and
loaded, and both can be read in Slicer without this module.
"""

import base64
import json

import numpy as np
import slicer
import slicer.util
import vtk
from slicer.i18n import tr as _

from ..turn import ANSWER, REPORT, STOPPED, ScoredSlice, Turn
from .folder import VOLUME_ROLE, putInFolder

SCORES_ROLE = "Med2E3.scores"

_TURN = "Med2E3.turn"
_GRID = "Med2E3.heatmapToIjk"

_NUMBERS = ("model slice", "scan slice", "I", "J", "K", "score")
_SHARES = "patch shares (base64 float32)"


def storeTurn(scene, volumeNode, turn):
    """Keep a turn in the scene. A report takes the place of the scan's former report, except
    that one which was stopped does not take the place of one that was not."""
    former = _reportNode(scene, volumeNode) if turn.kind == REPORT else None
    if former and turn.finishReason == STOPPED and _read(former).finishReason != STOPPED:
        return
    textNode = former or _newTextNode(scene, volumeNode, turn)
    tableNode = textNode.GetNodeReference(SCORES_ROLE) or _newTableNode(scene, textNode)
    _write(textNode, tableNode, turn)
    for node in (textNode, tableNode):
        putInFolder(scene, volumeNode, node)


def turnsOf(scene, volumeNode):
    """The turns about a scan that the scene holds, in the order in which they were made."""
    return [_read(node) for node in _turnNodes(scene, volumeNode)]


def _turnNodes(scene, volumeNode):
    return [
        node
        for node in slicer.util.getNodesByClass("vtkMRMLTextNode", scene)
        if node.GetAttribute(_TURN)
        and node.GetNodeReferenceID(VOLUME_ROLE) == volumeNode.GetID()
        and node.GetNodeReference(SCORES_ROLE)
    ]


def _reportNode(scene, volumeNode):
    for node in _turnNodes(scene, volumeNode):
        if json.loads(node.GetAttribute(_TURN))["kind"] == REPORT:
            return node
    return None


def _newTextNode(scene, volumeNode, turn):
    # The name goes where the text goes, into the files of a saved scene too. So it says what the
    # text is, and holds no word of the question.
    if turn.kind == REPORT:
        name = _("{volume} Med2E3 AI draft report")
    else:
        name = _("{volume} Med2E3 AI draft answer {number}")
    number = 1 + sum(known.kind == ANSWER for known in turnsOf(scene, volumeNode))
    node = scene.AddNewNodeByClass(
        "vtkMRMLTextNode", name.format(volume=volumeNode.GetName(), number=number)
    )
    node.SetForceCreateStorageNode(slicer.vtkMRMLTextNode.CreateStorageNodeAlways)
    node.SetNodeReferenceID(VOLUME_ROLE, volumeNode.GetID())
    return node


def _newTableNode(scene, textNode):
    node = scene.AddNewNodeByClass(
        "vtkMRMLTableNode", _("{name} scores").format(name=textNode.GetName())
    )
    node.SetNodeReferenceID(VOLUME_ROLE, textNode.GetNodeReferenceID(VOLUME_ROLE))
    textNode.SetNodeReferenceID(SCORES_ROLE, node.GetID())
    return node


def _write(textNode, tableNode, turn):
    about = {
        "kind": turn.kind,
        "question": turn.question,
        "finishReason": turn.finishReason,
        "plane": turn.plane,
        "window": turn.window,
        "modelName": turn.modelName,
        "modelSha256": turn.modelSha256,
        "modelIsTrained": turn.modelIsTrained,
        "warnings": turn.warnings,
    }
    with slicer.util.NodeModify(textNode):
        textNode.SetText(turn.text)
        textNode.SetAttribute(_TURN, json.dumps(about))
    rows = [(s.number, s.index, *s.ijk, s.score) for s in turn.slices]
    with slicer.util.NodeModify(tableNode):
        tableNode.RemoveAllColumns()
        for name, values in zip(_NUMBERS, zip(*rows, strict=True), strict=True):
            column = vtk.vtkDoubleArray()
            column.SetName(name)
            for value in values:
                column.InsertNextValue(value)
            tableNode.AddColumn(column)
        shares = vtk.vtkStringArray()
        shares.SetName(_SHARES)
        for values in turn.patchShares:
            data = np.ascontiguousarray(values, "<f4").tobytes()
            shares.InsertNextValue(base64.b64encode(data).decode("ascii"))
        tableNode.AddColumn(shares)
        grid = {"shape": turn.patchShares.shape, "matrix": turn.heatmapToIjk.ravel().tolist()}
        tableNode.SetAttribute(_GRID, json.dumps(grid))


def _read(textNode):
    tableNode = textNode.GetNodeReference(SCORES_ROLE)
    about = json.loads(textNode.GetAttribute(_TURN))
    grid = json.loads(tableNode.GetAttribute(_GRID))
    table = tableNode.GetTable()
    numbers = [table.GetColumnByName(name) for name in _NUMBERS]
    rows = [[column.GetValue(row) for column in numbers] for row in range(table.GetNumberOfRows())]
    shares = table.GetColumnByName(_SHARES)
    data = b"".join(base64.b64decode(shares.GetValue(row)) for row in range(len(rows)))
    return Turn(
        **{**about, "warnings": tuple(about["warnings"])},
        text=textNode.GetText() or "",
        slices=tuple(
            ScoredSlice(int(number), index, (i, j, k), score)
            for number, index, i, j, k, score in rows
        ),
        patchShares=np.frombuffer(data, "<f4").reshape(grid["shape"]),
        heatmapToIjk=np.array(grid["matrix"]).reshape(4, 4),
    )
