"""Turns kept in the scene: a text node and tables of scores, in the scan's own folder.

The text node holds the text as the reader left it and, as attributes, what the model was asked and
how, and what it wrote itself. A table has a row per slice of the model, another one per sentence.
Together they give the turn again after the scene was saved and loaded, and all can be read in
Slicer without this module.
"""

import base64
import json
from dataclasses import replace

import numpy as np
import slicer
import slicer.util
import vtk
from slicer.i18n import tr as _

from ..attention import Attention, ScoredSlice
from ..turn import ANSWER, REPORT, STOPPED, Sentence, Turn
from .folder import VOLUME_ROLE, putInFolder
from .freshness import isSameScan

SCORES_ROLE = "Med2E3.scores"
SENTENCES_ROLE = "Med2E3.sentences"

_SHOWN_ROLE = "Med2E3.shown"
_TURN = "Med2E3.turn"
_GRID = "Med2E3.heatmapToIjk"

_ABOUT = (
    "kind",
    "question",
    "finishReason",
    "plane",
    "window",
    "writtenAt",
    "modelName",
    "modelSha256",
    "modelTrainedOn",
    "warnings",
    "historyUsed",
    "historyLeftOut",
    "isContinued",
    "reviewer",
    "reviewedAt",
    "scan",
)
_MODEL_TEXT = "modelText"
_NUMBERS = ("model slice", "scan slice", "I", "J", "K", "score")
_SHARES = "patch shares (base64 float32)"
_SENTENCE_NUMBERS = ("start", "end", "confidence")
_SENTENCE_SCORES = "slice scores (base64 float32)"


def storeTurn(scene, volumeNode, turn, request):
    """Keep what a request brought, a report in the place of the scan's former one and an answer in
    the place of the one that the request names. Returns the turn that is kept: the former one, if
    the new one was stopped and the former one was not, or was edited or reviewed by a reader."""
    if turn.kind == REPORT:
        former = _reportNode(scene, volumeNode)
    else:
        former = _nodeOf(scene, request.formerId)
    if former:
        known = _read(former)
        isWorthMore = known.finishReason != STOPPED or known.isEdited or known.reviewedAt
        if turn.finishReason == STOPPED and isWorthMore:
            return known
        turn = replace(turn, isContinued=known.isContinued)
    else:
        turn = replace(turn, isContinued=request.isContinued)
    textNode = former or _newTextNode(scene, volumeNode, turn)
    _writeText(textNode, turn)
    scoresNode = _tableNode(textNode, SCORES_ROLE, _("{name} scores"))
    _writeScores(scoresNode, turn)
    nodes = [textNode, scoresNode]
    if turn.sentences or textNode.GetNodeReference(SENTENCES_ROLE):
        sentencesNode = _tableNode(textNode, SENTENCES_ROLE, _("{name} sentences"))
        _writeSentences(sentencesNode, turn)
        nodes.append(sentencesNode)
    for node in nodes:
        putInFolder(scene, volumeNode, node)
    return _read(textNode)


def storeReview(scene, turn, editedText, reviewer="", reviewedAt=""):
    """Keep what a reader made of a turn: the text, None for the model's own, and the review.

    Returns the turn as it is now, None if it is no longer in the scene."""
    textNode = _nodeOf(scene, turn.nodeId)
    if textNode is None:
        return None
    turn = replace(turn, editedText=editedText, reviewer=reviewer, reviewedAt=reviewedAt)
    _writeText(textNode, turn)
    draft, reviewed = _draftName(), _("reviewed report")
    former, present = (draft, reviewed) if reviewedAt else (reviewed, draft)
    textNode.SetName(textNode.GetName().replace(former, present))
    return turn


def turnsOf(scene, volumeNode):
    """The turns about a scan that the scene holds, in the order in which they were made."""
    return [_read(node) for node in _turnNodes(scene, volumeNode)]


def _turnNodes(scene, volumeNode):
    return [
        node
        for node in slicer.util.getNodesByClass("vtkMRMLTextNode", scene)
        if isTurnNode(node) and node.GetNodeReferenceID(VOLUME_ROLE) == volumeNode.GetID()
    ]


def rememberShown(volumeNode, turn):
    """Keep which turn the reader looked at last."""
    volumeNode.SetNodeReferenceID(_SHOWN_ROLE, turn.nodeId)


def shownLast(volumeNode, turns):
    """The turn that the reader looked at last, or else the newest; None if there is none."""
    nodeId = volumeNode.GetNodeReferenceID(_SHOWN_ROLE) if volumeNode else None
    newest = turns[-1] if turns else None
    return next((turn for turn in turns if turn.nodeId == nodeId), newest)


def isTurnNode(node):
    """Whether a node keeps a turn."""
    return bool(node.GetAttribute(_TURN) and node.GetNodeReference(SCORES_ROLE))


def _nodeOf(scene, nodeId):
    node = scene.GetNodeByID(nodeId) if nodeId else None
    return node if node and isTurnNode(node) else None


def _reportNode(scene, volumeNode):
    for node in _turnNodes(scene, volumeNode):
        if json.loads(node.GetAttribute(_TURN))["kind"] == REPORT:
            return node
    return None


# -- nodes -------------------------------------------------------------------------------------


def _newTextNode(scene, volumeNode, turn):
    answers = sum(known.kind == ANSWER for known in turnsOf(scene, volumeNode))
    node = scene.AddNewNodeByClass(
        "vtkMRMLTextNode", _nodeName(turn).format(volume=volumeNode.GetName(), number=answers + 1)
    )
    node.SetForceCreateStorageNode(slicer.vtkMRMLTextNode.CreateStorageNodeAlways)
    node.SetNodeReferenceID(VOLUME_ROLE, volumeNode.GetID())
    return node


def _nodeName(turn):
    # The name goes where the text goes, into the files of a saved scene too. So it says what the
    # text is, and holds no word of the question.
    if turn.kind == ANSWER:
        return _("{volume} Med2E3 AI draft answer {number}")
    return "{volume} Med2E3 " + _draftName()


def _draftName():
    return _("AI draft report")


def _tableNode(textNode, role, name):
    node = textNode.GetNodeReference(role)
    if node is None:
        node = textNode.GetScene().AddNewNodeByClass(
            "vtkMRMLTableNode", name.format(name=textNode.GetName())
        )
        node.SetNodeReferenceID(VOLUME_ROLE, textNode.GetNodeReferenceID(VOLUME_ROLE))
        textNode.SetNodeReferenceID(role, node.GetID())
    return node


# -- writing -----------------------------------------------------------------------------------


def _writeText(textNode, turn):
    about = {name: getattr(turn, name) for name in _ABOUT}
    about[_MODEL_TEXT] = turn.text
    with slicer.util.NodeModify(textNode):
        textNode.SetText(turn.presentText)
        textNode.SetAttribute(_TURN, json.dumps(about))


def _writeScores(tableNode, turn):
    rows = [(s.number, s.index, *s.ijk, s.score) for s in turn.slices]
    with slicer.util.NodeModify(tableNode):
        tableNode.RemoveAllColumns()
        columns = zip(*rows, strict=True) if rows else [()] * len(_NUMBERS)
        for name, values in zip(_NUMBERS, columns, strict=True):
            tableNode.AddColumn(_numberColumn(name, values))
        tableNode.AddColumn(_arrayColumn(_SHARES, turn.patchShares))
        grid = {"shape": turn.patchShares.shape, "matrix": turn.heatmapToIjk.ravel().tolist()}
        tableNode.SetAttribute(_GRID, json.dumps(grid))


def _writeSentences(tableNode, turn):
    with slicer.util.NodeModify(tableNode):
        tableNode.RemoveAllColumns()
        for name in _SENTENCE_NUMBERS:
            values = [getattr(sentence, name) for sentence in turn.sentences]
            tableNode.AddColumn(_numberColumn(name, values))
        attentions = [sentence.attention for sentence in turn.sentences]
        if all(attentions):
            scores = [[slice_.score for slice_ in found.slices] for found in attentions]
            tableNode.AddColumn(_arrayColumn(_SENTENCE_SCORES, scores))
            tableNode.AddColumn(_arrayColumn(_SHARES, [found.patchShares for found in attentions]))


def _numberColumn(name, values):
    column = vtk.vtkDoubleArray()
    column.SetName(name)
    for value in values:
        column.InsertNextValue(value)
    return column


def _arrayColumn(name, arrays):
    column = vtk.vtkStringArray()
    column.SetName(name)
    for values in arrays:
        data = np.ascontiguousarray(values, "<f4").tobytes()
        column.InsertNextValue(base64.b64encode(data).decode("ascii"))
    return column


# -- reading -----------------------------------------------------------------------------------


def _read(textNode):
    about = json.loads(textNode.GetAttribute(_TURN))
    volumeNode = textNode.GetNodeReference(VOLUME_ROLE)
    attention = replace(
        _readAttention(textNode.GetNodeReference(SCORES_ROLE)),
        isStale=volumeNode is not None and not isSameScan(volumeNode, about["scan"]),
    )
    presentText = textNode.GetText() or ""
    modelText = about.pop(_MODEL_TEXT)
    return Turn(
        **{**about, "warnings": tuple(about["warnings"])},
        text=modelText,
        editedText=None if presentText == modelText else presentText,
        slices=attention.slices,
        patchShares=attention.patchShares,
        heatmapToIjk=attention.heatmapToIjk,
        sentences=_readSentences(textNode.GetNodeReference(SENTENCES_ROLE), attention),
        isStale=attention.isStale,
        nodeId=textNode.GetID(),
    )


def _readAttention(tableNode):
    grid = json.loads(tableNode.GetAttribute(_GRID))
    table = tableNode.GetTable()
    numbers = [table.GetColumnByName(name) for name in _NUMBERS]
    rows = [[column.GetValue(row) for column in numbers] for row in range(table.GetNumberOfRows())]
    shares = [_readArray(table, _SHARES, row) for row in range(len(rows))] or [np.empty(0, "<f4")]
    return Attention(
        slices=tuple(
            ScoredSlice(int(number), index, (i, j, k), score)
            for number, index, i, j, k, score in rows
        ),
        patchShares=np.concatenate(shares).reshape(grid["shape"]),
        heatmapToIjk=np.array(grid["matrix"]).reshape(4, 4),
    )


def _readSentences(tableNode, whole):
    if tableNode is None:
        return ()
    table = tableNode.GetTable()
    numbers = [table.GetColumnByName(name) for name in _SENTENCE_NUMBERS]
    hasAttention = table.GetColumnByName(_SENTENCE_SCORES) is not None
    sentences = []
    for row in range(table.GetNumberOfRows()):
        start, end, confidence = (column.GetValue(row) for column in numbers)
        attention = _readSentenceAttention(table, row, whole) if hasAttention else None
        sentences.append(Sentence(int(start), int(end), confidence, attention))
    return tuple(sentences)


def _readSentenceAttention(table, row, whole):
    scores = _readArray(table, _SENTENCE_SCORES, row).tolist()
    shares = _readArray(table, _SHARES, row)
    return Attention(
        slices=tuple(
            ScoredSlice(slice_.number, slice_.index, slice_.ijk, score)
            for slice_, score in zip(whole.slices, scores, strict=True)
        ),
        patchShares=shares.reshape(whole.patchShares.shape),
        heatmapToIjk=whole.heatmapToIjk,
        isStale=whole.isStale,
    )


def _readArray(table, name, row):
    return np.frombuffer(base64.b64decode(table.GetColumnByName(name).GetValue(row)), "<f4")
