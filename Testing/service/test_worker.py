"""The worker as a client meets it: a real process, real lines, a real model."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from med2e3.wire import PROTOCOL_VERSION, jsonrpc, messages


def ended_within(client, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if client.process.poll() is not None:
            return True
        time.sleep(0.02)
    return False


def test_a_report_streams_and_adds_up(ready):
    notifications: list = []
    answered = ready.ask(
        "generate", messages.Generate(ready.volume.volume_id, max_new_tokens=12), notifications
    )
    answer = answered.answer
    tokens = [n.params for n in notifications if n.method == "token"]
    assert "".join(token.text for token in tokens) == answer.text
    assert answer.kind == "report"
    assert answer.finish_reason in ("stop", "length")
    assert len(answer.slice_scores) == len(answer.slices) == len(ready.volume.slices) == 32
    assert sum(answer.slice_scores) == pytest.approx(1, abs=1e-5)
    assert answer.model.sha256 == ready.model.sha256
    assert {"preprocess", "encode", "score", "prefill", "decode"} <= set(answer.timings)


def test_the_same_question_gives_the_same_answer(ready):
    ask = messages.Generate(ready.volume.volume_id, "answer", "Where is the nodule?", 8)
    first = ready.ask("generate", ask).answer
    second = ready.ask("generate", ask).answer
    assert first.text == second.text
    assert first.slice_scores == second.slice_scores


def test_the_choices_of_a_closed_question_are_read_and_do_not_score_the_slices(ready):
    open_question = messages.Generate(ready.volume.volume_id, "answer", "Where is the nodule?", 8)
    closed = replace(open_question, question="Where is the nodule? Choices: A. lung B. liver")
    first, second = (ready.ask("generate", asked).answer for asked in (open_question, closed))
    assert first.slice_scores == second.slice_scores
    assert first.text != second.text


def test_attend_scores_like_generate_and_writes_nothing(ready):
    volume_id = ready.volume.volume_id
    question = "Where is the nodule?"
    attended = ready.ask("attend", messages.Attend(volume_id, question))
    generated = ready.ask("generate", messages.Generate(volume_id, "answer", question, 1))
    assert attended.answer.text == ""
    assert attended.answer.slice_scores == generated.answer.slice_scores
    assert attended.patch_shares == generated.patch_shares


def test_patch_shares_add_up_to_the_slices_logits(ready):
    from med2e3.service.answering import attention_of

    answered = ready.ask("attend", messages.Attend(ready.volume.volume_id, "nodule"))
    shares = attention_of(answered).patch_shares
    assert shares.shape == ready.volume.heatmap_shape
    np.testing.assert_allclose(shares.sum(axis=(1, 2)), answered.slice_logits, atol=1e-5)


def test_a_reports_sentences_have_a_confidence_and_slices_of_their_own(ready):
    answered = ready.ask("generate", messages.Generate(ready.volume.volume_id))
    answer = answered.answer
    assert len(answer.token_probabilities) == len(answer.token_ids)
    assert len(answered.sentence_attention) == len(answer.sentences) > 0
    for sentence, attention in zip(answer.sentences, answered.sentence_attention, strict=True):
        text = answer.text[sentence.start : sentence.end]
        alone = ready.ask("attend", messages.Attend(ready.volume.volume_id, text))
        assert attention.slice_scores == alone.answer.slice_scores
        assert attention.slice_logits == alone.slice_logits
        assert attention.patch_shares == alone.patch_shares
        assert 0 < sentence.confidence <= 1
    if len(answer.sentences) == 1:
        assert answer.sentences[0].confidence == pytest.approx(np.mean(answer.token_probabilities))


def test_an_answers_sentences_have_no_slices_of_their_own(ready):
    ask = messages.Generate(ready.volume.volume_id, "answer", "Where is the nodule?", 8)
    answered = ready.ask("generate", ask)
    assert answered.answer.sentences
    assert answered.sentence_attention == ()


def test_earlier_turns_are_heard_and_do_not_change_the_scores(ready):
    volume_id, question = ready.volume.volume_id, "Where is the nodule?"
    alone = ready.ask("generate", messages.Generate(volume_id, "answer", question, 8)).answer
    past = tuple(
        messages.Exchange("What is it?", "A mass in the left lung. " * 24) for _ in range(3)
    )
    ask = messages.Generate(volume_id, "answer", question, 8, (*past, past[0], past[1]))
    after = ready.ask("generate", ask).answer
    assert alone.history_used == 0
    assert 0 < after.history_used < 5
    assert any("earlier turns" in warning for warning in after.warnings)
    assert after.token_probabilities != alone.token_probabilities
    assert after.slice_scores == alone.slice_scores


def report_message(ready, **changes):
    answered = ready.ask("generate", messages.Generate(ready.volume.volume_id, max_new_tokens=8))
    answer = answered.answer
    to_ras = np.diag([-1.0, -1.0, 3.0, 1.0]) @ np.reshape(ready.volume.heatmap_to_ijk, (4, 4))
    settings = {
        "text": answer.text, "written_at": "2026-11-24T22:00:00+00:00", "model": answer.model,
        "plane": answer.plane, "window": answer.window, "slice_scores": answer.slice_scores,
        "patch_shares": answered.patch_shares, "heatmap_to_ras": tuple(to_ras.ravel()), **changes,
    }  # fmt: skip
    return messages.Report(**settings)


def test_a_pdf_is_written_without_a_model(ready, new_client, chest, tmp_path):
    report = report_message(ready)
    other = new_client()
    matrix = tuple(np.diag([-1.0, -1.0, 3.0, 1.0]).ravel())
    volume = messages.OpenVolume(str(other.write_voxels(chest)), matrix, modality="CT")
    ask = messages.ExportPdf(report, volume, str(tmp_path / "report.pdf"), "CT chest")
    assert other.ask("export_pdf", ask).files == (str(tmp_path / "report.pdf"),)
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    other.ask("shutdown", messages.Shutdown())
    assert ended_within(other, 10)
    assert list(other.temporary_folder.glob("med2e3-*")) == []


def test_what_cannot_be_exported_is_refused_with_a_sentence(ready, chest, tmp_path):
    report = report_message(ready)
    dicom = messages.ExportDicom(report, (), str(tmp_path / "dicom"))
    error = ready.refusal("export_dicom", dicom)
    assert error.code == jsonrpc.INPUT_ERROR
    assert "did not come from DICOM" in error.message
    volume = messages.OpenVolume("gone.npy", (1.0,) * 16)
    pdf = messages.ExportPdf(report, volume, str(tmp_path / "report.pdf"))
    assert ready.refusal("export_pdf", pdf).code == jsonrpc.INPUT_ERROR
    flat = replace(report, patch_shares=messages.Array((4,), ""))
    error = ready.refusal("export_pdf", replace(pdf, report=flat))
    assert error.code == jsonrpc.INPUT_ERROR
    assert not [path for path in tmp_path.iterdir() if "exchange" not in path.name]


def test_the_machine_is_described(ready):
    machine = ready.ask("describe_machine", messages.DescribeMachine())
    processor = machine.devices[0]
    assert processor.kind == processor.name == "cpu"
    assert 0 < processor.memory_free <= processor.memory_total
    assert machine.packages["torch"]
    assert machine.interpreter == sys.executable


def test_cancel_ends_a_text_between_two_tokens(ready):
    request = ready.send("generate", messages.Generate(ready.volume.volume_id))
    while True:
        reply = ready.next_reply()
        if isinstance(reply, jsonrpc.Notification) and reply.method == "token":
            break
    cancel = ready.send("cancel", messages.Cancel(request))
    responses = {}
    while len(responses) < 2:
        reply = ready.next_reply()
        if isinstance(reply, jsonrpc.Response):
            responses[reply.id] = reply
    assert responses[cancel].result == {"found": True}
    answered = jsonrpc.decode(messages.Answered, responses[request].result)
    assert answered.answer.finish_reason == "cancelled"
    again = ready.ask("generate", messages.Generate(ready.volume.volume_id, max_new_tokens=2))
    assert again.answer.finish_reason in ("stop", "length")


def test_a_request_that_waits_can_be_cancelled(ready):
    volume_id = ready.volume.volume_id
    running = ready.send("generate", messages.Generate(volume_id))
    waiting = ready.send("generate", messages.Generate(volume_id))
    ready.send("cancel", messages.Cancel(waiting))
    ready.send("cancel", messages.Cancel(running))
    responses = {}
    while len(responses) < 4:
        reply = ready.next_reply()
        if isinstance(reply, jsonrpc.Response):
            responses[reply.id] = reply
    assert responses[waiting].error.code == jsonrpc.CANCELLED


def test_cancel_of_nothing_says_so(ready):
    assert ready.ask("cancel", messages.Cancel(999)) == messages.Cancelling(found=False)


def test_another_protocol_version_is_refused_naming_both(new_client):
    client = new_client(greet=False)
    error = client.refusal("initialize", messages.Initialize(PROTOCOL_VERSION + 1))
    assert error.code == jsonrpc.WRONG_PROTOCOL
    assert str(PROTOCOL_VERSION) in error.message
    assert str(PROTOCOL_VERSION + 1) in error.message
    assert client.refusal("load_model", messages.LoadModel()).code == jsonrpc.NOT_READY


def test_requests_out_of_order_are_refused(new_client):
    client = new_client(greet=False)
    assert client.refusal("load_model", messages.LoadModel()).code == jsonrpc.NOT_READY
    client.ask("initialize", messages.Initialize(PROTOCOL_VERSION))
    volume = messages.OpenVolume("nowhere.npy", (0.0,) * 16)
    assert client.refusal("open_volume", volume).code == jsonrpc.NOT_READY
    generate = messages.Generate("1")
    assert client.refusal("generate", generate).code == jsonrpc.NOT_READY


@pytest.mark.parametrize(
    "line",
    [
        b"rubbish\n",
        b"\xff\xfe\x00\n",
        b"[1, 2]\n",
        b"[" * 50_000 + b"\n",
        b'{"jsonrpc": "2.0", "id": 5, "method": "no_such", "params": {}}\n',
        b'{"jsonrpc": "2.0", "id": 5, "method": "load_model", "params": {"folder": 3}}\n',
        b'{"jsonrpc": "2.0", "id": {}, "method": "load_model"}\n',
        b'{"jsonrpc": "2.0", "id": 5, "method": "open_volume", "params": []}\n',
        b'"' + b"x" * (jsonrpc.MAX_LINE_BYTES + 10) + b'"\n',
    ],
    ids=lambda line: line[:40].decode("latin-1"),
)
def test_a_bad_line_is_answered_and_the_worker_goes_on(ready, line):
    ready.send_line(line)
    response = ready.next_reply()
    assert response.error is not None
    ready.ask("initialize", messages.Initialize(PROTOCOL_VERSION))


@pytest.mark.parametrize(
    ("voxels", "said"),
    [
        (np.zeros((20, 16, 16), np.int16), "every voxel is 0"),
        (np.full((20, 16, 16), np.nan, np.float32), "not a number"),
        (np.ones((1, 16, 16), np.int16), "slice"),
        (np.zeros((16, 16), np.int16), "2D"),
    ],
)
def test_a_volume_that_cannot_be_used_is_refused_with_a_sentence(ready, voxels, said):
    path = ready.write_voxels(voxels)
    matrix = tuple(np.eye(4).ravel())
    error = ready.refusal("open_volume", messages.OpenVolume(str(path), matrix, "CT"))
    assert error.code == jsonrpc.INPUT_ERROR
    assert said in error.message


def test_voxels_that_are_gone_or_pickled_are_refused(ready, tmp_path):
    matrix = tuple(np.eye(4).ravel())
    gone = messages.OpenVolume(str(tmp_path / "gone.npy"), matrix)
    assert ready.refusal("open_volume", gone).code == jsonrpc.INPUT_ERROR
    np.save(tmp_path / "pickled.npy", np.array([{"a": 1}]), allow_pickle=True)
    pickled = messages.OpenVolume(str(tmp_path / "pickled.npy"), matrix)
    assert ready.refusal("open_volume", pickled).code == jsonrpc.INPUT_ERROR


def test_an_empty_question_is_refused(ready):
    for params in (
        ("generate", messages.Generate(ready.volume.volume_id, "answer", "  ")),
        ("attend", messages.Attend(ready.volume.volume_id, "")),
        ("generate", messages.Generate(ready.volume.volume_id, "poem", "a")),
    ):
        assert ready.refusal(*params).code == jsonrpc.INPUT_ERROR


def test_a_closed_volume_cannot_be_asked(ready, chest):
    volume = ready.open_volume(chest)
    ready.ask("close_volume", messages.CloseVolume(volume.volume_id))
    error = ready.refusal("attend", messages.Attend(volume.volume_id, "nodule"))
    assert error.code == jsonrpc.NOT_READY
    ready.ask("attend", messages.Attend(ready.volume.volume_id, "nodule"))


def test_shutdown_ends_the_worker_and_removes_its_files(ready_to_end):
    ready_to_end.ask("shutdown", messages.Shutdown())
    assert ended_within(ready_to_end, 10)
    assert ready_to_end.process.returncode == 0
    assert list(ready_to_end.temporary_folder.glob("med2e3-*")) == []


def test_a_closed_stdin_ends_the_worker_even_in_mid_text(ready_to_end):
    ready_to_end.send("generate", messages.Generate(ready_to_end.volume.volume_id))
    ready_to_end.process.stdin.close()
    assert ended_within(ready_to_end, 5)
    assert list(ready_to_end.temporary_folder.glob("med2e3-*")) == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_in_the_terminal_leaves_the_worker_to_its_client(new_client):
    client = new_client()
    os.kill(client.process.pid, signal.SIGINT)
    client.ask("initialize", messages.Initialize(PROTOCOL_VERSION))


def test_what_libraries_print_never_reaches_the_wire(new_client):
    client = new_client(greet=False)
    client.send("initialize", messages.Initialize(PROTOCOL_VERSION))
    line = json.dumps(client.next_reply().result)
    assert "protocol_version" in line
