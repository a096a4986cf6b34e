"""Texts that more than one panel shows."""

from datetime import datetime

from slicer.i18n import tr as _

from ..turn import CUT, STOPPED


def draftMark():
    return _("AI draft, not reviewed")


def modelNotice(trainedOn):
    """What has to be known about a model, in a sentence; empty for one that learned from scans."""
    if trainedOn == "nothing":
        return _("Untrained model: its text is nonsense.")
    if trainedOn == "synthetic":
        return _("Demonstration model, trained on synthetic CT: it knows nothing of patients.")
    return ""


def modelRemark(turn):
    """The same about the model of a turn, in two words."""
    if turn.modelTrainedOn == "nothing":
        return _("untrained model")
    if turn.modelTrainedOn == "synthetic":
        return _("demonstration model")
    return ""


def endingOf(turn):
    """A remark on how a turn's text ended, empty if the model ended it itself."""
    if turn.finishReason == STOPPED:
        return _("stopped before its end")
    if turn.finishReason == CUT:
        return _("cut at the length limit")
    return ""


def sliceName(turn, slice_):
    """A slice of the model under the number that Slicer's Data Probe shows for it, with a decimal
    where the model has more slices than the scan and a number alone would name two."""
    first, second = turn.slices[0], turn.slices[1]
    decimals = 0 if abs(second.index - first.index) >= 1 else 1
    return _("slice {number}").format(number=f"{slice_.index:.{decimals}f}")


def bestSlices(attention, count=3):
    """The best slices in words, or that there are none."""
    if not attention.isScored:
        return _("this model scores no slices")
    if not attention.hasPreference:
        return _("no clear preference among the slices")
    best = attention.rankedSlices[:count]
    return ", ".join(sliceName(attention, slice_) for slice_ in best)


def describeSentence(turn, number):
    """What is known about one of the model's sentences."""
    sentence = turn.sentences[number]
    sureness = _("sure of its words: {share} %").format(share=round(100 * sentence.confidence))
    if sentence.attention is None:
        return sureness
    return f"{bestSlices(sentence.attention)}; {sureness}"


def timeOf(iso):
    """A time in ISO 8601 as people read it."""
    return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M}"
