"""What atheris runs: any line is a message, or an error that the other side can read.

Its bytes choose among hypothesis's lines, guided by the parts of the wire that they reach.
"""

from __future__ import annotations

import sys

import atheris
from hypothesis import given

with atheris.instrument_imports(include=["med2e3.wire"]):
    from med2e3.wire import jsonrpc
from reliability.wire_lines import lines


@given(lines)
def read(line: bytes) -> None:
    try:
        request = jsonrpc.read_request(line)
    except jsonrpc.RpcError as error:
        reply = jsonrpc.read_reply(jsonrpc.error_line(error))
        assert isinstance(reply, jsonrpc.Response)
        assert reply.error is not None
        assert reply.error.code == error.code
    else:
        again = jsonrpc.request_line(request.id, request.method, request.params)
        assert jsonrpc.read_request(again) == request
    try:
        jsonrpc.read_reply(line)
    except jsonrpc.RpcError as error:
        jsonrpc.error_line(error)


if __name__ == "__main__":
    atheris.Setup(sys.argv, atheris.instrument_func(read.hypothesis.fuzz_one_input))
    atheris.Fuzz()
