"""Lines that nobody should send to the worker, for hypothesis and for atheris."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from med2e3.wire import jsonrpc, messages

numbers = st.floats(allow_nan=False, allow_infinity=False)
st.register_type_strategy(float, numbers)

plain = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(10**400), 10**400), numbers,
    st.text(max_size=20), st.just("x" * 20_000), st.just("a\0b\ud800"),
)  # fmt: skip
anything = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
methods = st.sampled_from(sorted(messages.METHODS))
ids = st.one_of(st.integers(-3, 3), st.integers(), plain)


@st.composite
def requests(draw: st.DrawFn) -> dict:
    """A request that is right, or wrong in one or several places."""
    method = draw(methods)
    request = json.loads(
        jsonrpc.request_line(1, method, draw(st.builds(messages.METHODS[method][0])))
    )
    request["id"] = draw(st.integers(1, 5) | ids)
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.sampled_from([request, request.get("params")]))
        if not isinstance(place, dict):
            continue
        name = draw(st.sampled_from([*place, "of its own"]))
        if draw(st.booleans()):
            place.pop(name, None)
        else:
            place[name] = draw(anything)
    return request


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """The line of a request, cut short or with changed bytes."""
    line = bytearray(json.dumps(draw(requests())).encode())
    if draw(st.booleans()):
        return bytes(line[: draw(st.integers(0, len(line)))])
    for _ in range(draw(st.integers(1, 4))):
        line[draw(st.integers(0, len(line) - 1))] = draw(st.integers(0, 255))
    return bytes(line)


deep = st.builds(
    lambda opening, depth: opening * depth,
    st.sampled_from([b"[", b'{"a":', b'{"jsonrpc":"2.0","id":1,"method":"attend","params":[']),
    st.sampled_from([10, 990, 20_000]),
)


def would_do_something(line: bytes) -> bool:
    """Whether a line ends the worker or keeps it busy for seconds, as it should."""
    for part in line.split(b"\n"):
        try:
            request = jsonrpc.read_request(part)
        except jsonrpc.RpcError:
            continue
        if request.method in ("shutdown", "load_model", "describe_machine"):
            return True
    return False


lines = st.one_of(
    requests().map(lambda request: json.dumps(request).encode()),
    damaged(),
    st.binary(max_size=200),
    deep,
    anything.map(lambda value: json.dumps(value).encode()),
).filter(lambda line: not would_do_something(line))
