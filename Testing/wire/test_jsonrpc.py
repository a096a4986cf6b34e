"""Lines to messages and back: what goes in comes out, and nothing else gets in."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from med2e3.wire import jsonrpc, messages

MESSAGE_KINDS = sorted(
    {kind for pair in messages.METHODS.values() for kind in pair}
    | set(messages.NOTIFICATIONS.values()),
    key=lambda kind: kind.__name__,
)
finite = st.floats(allow_nan=False, allow_infinity=False)
st.register_type_strategy(float, finite)


@given(st.data())
def test_a_message_survives_its_way_over_the_wire(data):
    kind = data.draw(st.sampled_from(MESSAGE_KINDS))
    message = data.draw(st.builds(kind))
    line = jsonrpc.result_line(7, message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    reply = jsonrpc.read_reply(line)
    assert reply.id == 7
    assert jsonrpc.decode(kind, reply.result) == message


@given(st.data(), st.integers(min_value=-(2**53), max_value=2**53))
def test_a_request_survives_its_way_over_the_wire(data, request_id):
    method = data.draw(st.sampled_from(sorted(messages.METHODS)))
    params = data.draw(st.builds(messages.METHODS[method][0]))
    request = jsonrpc.read_request(jsonrpc.request_line(request_id, method, params))
    assert request == jsonrpc.Request(request_id, method, params)


@given(st.binary())
def test_any_bytes_are_a_request_or_an_rpc_error(line):
    try:
        jsonrpc.read_request(line)
    except jsonrpc.RpcError as error:
        jsonrpc.read_reply(jsonrpc.error_line(error))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values, st.sampled_from(sorted(messages.METHODS)))
def test_any_params_are_a_message_or_an_rpc_error(params, method):
    line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    try:
        request = jsonrpc.read_request(line)
    except jsonrpc.RpcError as error:
        assert error.code == jsonrpc.INVALID_PARAMS
        assert error.request_id == 1
    else:
        assert dataclasses.is_dataclass(request.params)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"not json", jsonrpc.PARSE_ERROR),
        (b"\xff\xfe", jsonrpc.PARSE_ERROR),
        (b"[" * 100_000, jsonrpc.PARSE_ERROR),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "attend", "params": NaN}', jsonrpc.PARSE_ERROR),
        (b"[]", jsonrpc.INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "method": "shutdown"}', jsonrpc.INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "id": true, "method": "shutdown"}', jsonrpc.INVALID_REQUEST),
        (b'{"jsonrpc": "1.0", "id": 1, "method": "shutdown"}', jsonrpc.INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "no_such"}', jsonrpc.METHOD_NOT_FOUND),
        (
            b'{"jsonrpc": "2.0", "id": 1, "method": "cancel", "params": {"request_id": "1"}}',
            jsonrpc.INVALID_PARAMS,
        ),
        (
            b'{"jsonrpc": "2.0", "id": 1, "method": "cancel", "params": {"request_id": true}}',
            jsonrpc.INVALID_PARAMS,
        ),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "cancel"}', jsonrpc.INVALID_PARAMS),
    ],
)
def test_a_line_that_is_no_request_is_refused_by_its_kind(line, code):
    with pytest.raises(jsonrpc.RpcError) as caught:
        jsonrpc.read_request(line)
    assert caught.value.code == code


@pytest.mark.parametrize("method", ["[]", "{}", "null", "1", '"no such"'])
def test_a_notification_without_a_known_name_is_refused(method):
    line = f'{{"jsonrpc": "2.0", "method": {method}, "params": {{}}}}'.encode()
    with pytest.raises(jsonrpc.RpcError) as caught:
        jsonrpc.read_reply(line)
    assert caught.value.code == jsonrpc.METHOD_NOT_FOUND


def test_a_choice_is_one_of_its_words():
    loaded = {"name": "a", "sha256": "b", "trained_on": "scans", "description": "c",
              "device": "cpu", "dtype": "float32"}  # fmt: skip
    assert jsonrpc.decode(messages.ModelLoaded, loaded).trained_on == "scans"
    for wrong in ("hearsay", None, ["scans"], 1):
        with pytest.raises(ValueError, match="trained_on must be one of nothing, synthetic, scans"):
            jsonrpc.decode(messages.ModelLoaded, {**loaded, "trained_on": wrong})


def test_a_wrong_field_is_named():
    line = b'{"jsonrpc":"2.0","id":1,"method":"attend","params":{"volume_id":"1","txt":"a"}}'
    with pytest.raises(jsonrpc.RpcError, match="'txt'"):
        jsonrpc.read_request(line)


def test_a_line_over_the_limit_is_refused():
    with pytest.raises(jsonrpc.RpcError, match="bytes"):
        jsonrpc.read_request(b" " * (jsonrpc.MAX_LINE_BYTES + 1))


def modules_after(imports: str) -> set[str]:
    """What a fresh interpreter has loaded after some imports, outside the standard library."""
    script = (
        f"import sys, {imports}\n"
        "names = {name.partition('.')[0] for name in sys.modules}\n"
        "print(*sorted(names - set(sys.stdlib_module_names)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(ended.stdout.split())


def test_the_wire_needs_the_standard_library_alone():
    wire = "med2e3.wire.messages, med2e3.wire.jsonrpc, med2e3.wire.exchange, med2e3.errors"
    # .pth files of the environment may import their own finders before any script begins.
    assert modules_after(wire) - modules_after("json") == {"med2e3"}
