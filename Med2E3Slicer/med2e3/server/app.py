"""The front door: the wire's messages over HTTP, who may pass, and how answers are written."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Query, Request, Response
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi_offline import FastAPIOffline
from pydantic import Field
from starlette.exceptions import HTTPException

from med2e3 import __version__
from med2e3.errors import Med2E3Error
from med2e3.server.events import MEDIA_TYPE, Event, Events, EventStream, Failure, as_json
from med2e3.server.limits import BusyError, Queue, RequestRate
from med2e3.server.metrics import Measuring, Metrics
from med2e3.server.replicas import Replicas
from med2e3.server.settings import ServerSettings
from med2e3.server.upload import TooLargeError, prepare_received, receive
from med2e3.server.volumes import HeldVolume, Volumes
from med2e3.service.errors import told
from med2e3.volume import PLANES
from med2e3.wire import PROTOCOL_VERSION, jsonrpc, messages
from med2e3.wire.jsonrpc import RpcError

_SECONDS_BETWEEN_SWEEPS = 15.0
_PREPARED_AT_ONCE = 2
_LONGEST_TEXT = 20_000


@dataclass(frozen=True)
class Health:
    status: str
    engine_version: str
    protocol_version: int


@dataclass(frozen=True)
class Models:
    models: tuple[messages.ModelLoaded, ...]


@dataclass(frozen=True)
class ReportRequest:
    """As the wire's ``Generate``, for a report."""

    max_new_tokens: Annotated[int | None, Field(ge=1, le=100_000)] = None
    history: tuple[messages.Exchange, ...] = ()


@dataclass(frozen=True)
class Question:
    """As the wire's ``Generate``, for an answer."""

    question: Annotated[str, Field(max_length=_LONGEST_TEXT)]
    max_new_tokens: Annotated[int | None, Field(ge=1, le=100_000)] = None
    history: tuple[messages.Exchange, ...] = ()


@dataclass(frozen=True)
class Problem:
    """What every refusal and failure says, with a code of the wire."""

    error: Failure


_STATUS = {
    jsonrpc.INPUT_ERROR: 400,
    jsonrpc.INVALID_PARAMS: 422,
    jsonrpc.NO_ACCESS: 401,
    jsonrpc.NOT_READY: 404,
    jsonrpc.CANCELLED: 409,
    jsonrpc.OUT_OF_MEMORY: 507,
    jsonrpc.BUSY: 503,
}
"""The HTTP status of an error of the wire; all others are 500."""


_TEXT = {"text/plain": {"schema": {"type": "string"}}}


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {
        status: {
            "model": Problem,
            "description": _MEANING[status],
            # What is no HTTP is refused before it comes to a route.
            **({"content": _TEXT} if status == 400 else {}),
        }
        for status in statuses
    }


_MEANING = {
    400: "What was sent cannot be used; the sentence says what to do.",
    401: "The token is missing or not known.",
    404: "There is nothing of this id that is yours.",
    409: "The request was stopped before there was anything to show.",
    413: "More was sent than the server takes.",
    422: "The request is not as described here.",
    429: "You have sent too many requests; Retry-After says when to go on.",
    500: "The server failed; its keeper finds the details in the log.",
    503: "The server has too much to do; Retry-After says when to try again.",
    507: "The server's memory does not suffice.",
}

_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": messages.Answered,
        "description": "The answer; or, if text/event-stream is accepted, the events progress and "
        "token while it is written, and in the end result or error.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
    },
    **_problems(400, 401, 404, 409, 413, 422, 429, 500, 503, 507),
}

_bearer = HTTPBearer(auto_error=False, description="A token of this server, if it has any.")


@dataclass(frozen=True)
class _Running:
    """A request that is being answered: whose it is, what its user calls it, and about what."""

    owner: str
    key: str
    held: HeldVolume


class FrontDoor:
    """What the routes share: the settings, the volumes, the limits, the way to the model."""

    def __init__(
        self,
        settings: ServerSettings,
        replicas: Replicas,
        size: tuple[int, int, int],
        folder: Path,
        most_at_once: int,
    ) -> None:
        self.settings = settings
        self.replicas = replicas
        self.volumes = Volumes(settings.limits.volumes, settings.limits.minutes)
        self.rate = RequestRate(settings.limits.requests_a_minute)
        self.queue = Queue(most_at_once)
        self.metrics = Metrics(lambda: len(self.volumes), lambda: self.queue.length)
        self._size = size
        self._folder = folder
        self._preparing = asyncio.Semaphore(_PREPARED_AT_ONCE)
        self._running: dict[str, _Running] = {}

    # -- who may pass --------------------------------------------------------------------------

    def owner(
        self, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)] = None
    ) -> str:
        """Whose request it is. Raises RpcError for a stranger, BusyError for one too many."""
        owner = self.settings.tokens.owner(given.credentials if given else None)
        if owner is None:
            raise RpcError(
                jsonrpc.NO_ACCESS,
                "The server does not know this token; ask its keeper for one."
                if given
                else "The server wants a token; ask its keeper for one.",
            )
        self.rate.count(owner)
        return owner

    # -- what is done with a volume ------------------------------------------------------------

    async def open(self, owner: str, params: messages.OpenVolume, key: str) -> Events:
        """Prepare and encode a volume that was received. It is held only if all went well."""
        started = time.perf_counter()
        try:
            async with self._preparing:
                prepared, warnings = await asyncio.to_thread(prepare_received, params, self._size)
        except Exception as error:
            yield Event("error", Failure(*told("open_volume", error)))
            return
        held, gone = self.volumes.hold(
            owner, self.replicas.keep(prepared), warnings, time.perf_counter() - started
        )
        del prepared
        is_open = False
        try:
            await self.forget(gone)
            name = self._new_name(owner, key, held)
            async for event in self._known(name, self.replicas.open(held, name)):
                is_open = is_open or event.name == "result"
                yield event
        finally:
            if not is_open:
                self.volumes.close(held)

    async def ask(
        self, owner: str, held: HeldVolume, params: messages.Generate, key: str
    ) -> Events:
        name = self._new_name(owner, key, held)
        async for event in self._known(name, self.replicas.generate(held, name, params)):
            yield event

    async def attend(self, owner: str, held: HeldVolume, text: str, key: str) -> Events:
        name = self._new_name(owner, key, held)
        async for event in self._known(name, self.replicas.attend(held, name, text)):
            yield event

    async def stop(self, owner: str, request_id: str) -> bool:
        """Let a request of this owner's end with what it has. Whether it was found."""
        found = [
            (running.held, name)
            for name, running in self._running.items()
            if (running.owner, running.key) == (owner, request_id)
        ]
        stopped = [await self.replicas.stop(held, name) for held, name in found]
        return any(stopped)

    async def forget(self, gone: list[HeldVolume]) -> None:
        for held in gone:
            await self.replicas.close(held)

    async def sweep(self) -> None:
        """Let volumes go as they expire, for as long as the server runs."""
        while True:
            await asyncio.sleep(_SECONDS_BETWEEN_SWEEPS)
            await self.forget(self.volumes.expired())

    async def receive(self, request: Request, is_packed: bool) -> tuple[Path, ExitStack]:
        """The file of a request's body, and a place in the queue, which is left without the file.

        Raises BusyError before much is sent for nothing, or when it has come."""
        self.queue.enter().close()
        most = self.settings.limits.upload_bytes
        stated = request.headers.get("content-length", "")
        if stated.isdigit() and int(stated) > most:
            raise TooLargeError(
                f"The volume has more than the {most / 2**20:.0f} MB that this server takes; send "
                "it with 16-bit voxels, or cropped."
            )
        path = await receive(request.stream(), self._folder, most, is_packed=is_packed)
        try:
            place = self.queue.enter()
        except BusyError:
            path.unlink()
            raise
        place.callback(path.unlink, missing_ok=True)
        return path, place

    def _new_name(self, owner: str, key: str, held: HeldVolume) -> str:
        """A name for a request that no other has, whatever users call theirs."""
        name = secrets.token_hex(8)
        self._running[name] = _Running(owner, key, held)
        return name

    async def _known(self, name: str, events: Events) -> Events:
        """The events of a request, which can be stopped meanwhile."""
        try:
            async for event in events:
                yield event
        finally:
            del self._running[name]

    # -- how answers are written ---------------------------------------------------------------

    async def reply(
        self, request: Request, events: Events, status: int = 200, place: ExitStack | None = None
    ) -> Response:
        """An answer as its client wants it: a stream of events, or the result alone. It leaves its
        ``place`` in the queue, or one that is taken now."""
        place = place or self.queue.enter()
        if MEDIA_TYPE in request.headers.get("accept", ""):
            return EventStream(self._measured(events), place)
        with place:
            async with aclosing(self._measured(events)) as told_events:
                async for event in told_events:
                    if event.name == "error":
                        raise RpcError(event.data.code, event.data.message)
                    if event.name == "result":
                        return Response(as_json(event.data), status, media_type="application/json")
        raise Med2E3Error("The request ended without an answer; ask again.")

    async def _measured(self, events: Events) -> Events:
        started = time.perf_counter()
        is_first = True
        async for event in events:
            if event.name == "token":
                self.metrics.tokens.inc()
                if is_first:
                    self.metrics.first_token_seconds.observe(time.perf_counter() - started)
                    is_first = False
            yield event


def make_app(door: FrontDoor) -> FastAPI:
    """The HTTP application of a server."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(door.sweep())
        yield
        sweeping.cancel()

    app: FastAPI = FastAPIOffline(
        title="Med2E3",
        version=__version__,
        description=f"Draft reports and answers about 3D scans. {messages.DRAFT_MARK}",
        redoc_url=None,
        lifespan=lifespan,
    )
    _add_routes(app, door)
    _add_errors(app)
    app.add_middleware(Measuring, metrics=door.metrics)
    return app


def _add_routes(app: FastAPI, door: FrontDoor) -> None:
    owner = Annotated[str, Depends(door.owner)]
    volume_id = Annotated[str, InPath(alias="id", max_length=100)]
    request_key = Annotated[
        str,
        Header(
            alias="Med2E3-Request",
            pattern=r"^[A-Za-z0-9_-]{0,64}$",
            description="A name of your choice for this request, by which it can be stopped.",
        ),
    ]

    @app.get("/healthz", response_model=Health, responses=_problems(400))
    async def health() -> Health:
        """Whether the server is there. Needs no token."""
        return Health("ok", __version__, PROTOCOL_VERSION)

    @app.get(
        "/metrics",
        response_class=Response,
        responses={
            200: {"content": _TEXT},
            **_problems(400, 401, 429),
        },
    )
    async def metrics(owner: owner) -> Response:
        """Figures for Prometheus."""
        return Response(door.metrics.text(), media_type=door.metrics.content_type)

    @app.get("/v1/models", response_model=Models, responses=_problems(400, 401, 429, 503))
    async def models(owner: owner) -> Models:
        """The model that answers."""
        return Models((await door.replicas.describe(),))

    @app.post(
        "/v1/volumes",
        status_code=201,
        responses={
            201: {
                "model": messages.VolumeOpened,
                "description": "The volume is encoded and can be asked about; or, if "
                "text/event-stream is accepted, status 200 and the events progress, and in the "
                "end result or error.",
            },
            200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}},
            **_problems(400, 401, 409, 413, 422, 429, 500, 503, 507),
        },
        openapi_extra={
            "requestBody": {
                "required": True,
                "description": "The voxels as a NumPy file (.npy) in (K, J, I) order; may be "
                "packed, with the Content-Encoding gzip.",
                "content": {
                    "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
                },
            }
        },
    )
    async def open_volume(
        request: Request,
        owner: owner,
        ijk_to_ras: Annotated[
            list[float],
            Query(
                min_length=16,
                max_length=16,
                description="From (i, j, k, 1) to millimetres, 16 numbers, row by row.",
            ),
        ],
        modality: Annotated[str, Query(max_length=16, description="DICOM code.")] = "",
        plane: Annotated[str, Query(pattern=f"^({'|'.join(PLANES)})$")] = "axial",
        window: Annotated[str, Query(max_length=40)] = "auto",
        content_encoding: Annotated[str, Header(pattern="^(gzip|identity)$")] = "identity",
        key: request_key = "",
    ) -> Response:
        """Send a scan. It is prepared and encoded; its voxels are not kept."""
        path, place = await door.receive(request, content_encoding == "gzip")
        params = messages.OpenVolume(str(path), tuple(ijk_to_ras), modality, plane, window)
        return await door.reply(request, door.open(owner, params, key), 201, place)

    async def write(
        request: Request, owner: str, volume: str, key: str, kind: str, question: str, body: Any
    ) -> Response:
        held = door.volumes.find(volume, owner)
        params = messages.Generate(volume, kind, question, body.max_new_tokens, body.history)
        return await door.reply(request, door.ask(owner, held, params, key))

    @app.post("/v1/volumes/{id}/report", responses=_ANSWERS)
    async def report(
        request: Request,
        owner: owner,
        volume: volume_id,
        body: ReportRequest,
        key: request_key = "",
    ) -> Response:
        """Write a draft report about a volume."""
        return await write(request, owner, volume, key, messages.REPORT, "", body)

    @app.post("/v1/volumes/{id}/ask", responses=_ANSWERS)
    async def ask(
        request: Request,
        owner: owner,
        volume: volume_id,
        body: Question,
        key: request_key = "",
    ) -> Response:
        """Answer a question about a volume."""
        return await write(request, owner, volume, key, messages.ANSWER, body.question, body)

    @app.get("/v1/volumes/{id}/attention", responses=_ANSWERS)
    async def attention(
        request: Request,
        owner: owner,
        volume: volume_id,
        text: Annotated[str, Query(max_length=_LONGEST_TEXT)],
        key: request_key = "",
    ) -> Response:
        """Score the slices of a volume for a text, and write nothing."""
        held = door.volumes.find(volume, owner)
        return await door.reply(request, door.attend(owner, held, text, key))

    @app.delete(
        "/v1/volumes/{id}",
        status_code=204,
        response_class=Response,
        responses=_problems(400, 401, 404, 422, 429),
    )
    async def close_volume(owner: owner, volume: volume_id) -> None:
        """Let the server forget a volume."""
        held = door.volumes.find(volume, owner)
        door.volumes.close(held)
        await door.forget([held])

    @app.delete(
        "/v1/requests/{id}",
        status_code=204,
        response_class=Response,
        responses=_problems(400, 401, 404, 422, 429),
    )
    async def stop(owner: owner, request_id: volume_id) -> None:
        """Stop a request by the name in its header Med2E3-Request: it ends with what it has."""
        if not await door.stop(owner, request_id):
            raise RpcError(jsonrpc.NOT_READY, "There is no such request to stop.")


def _add_errors(app: FastAPI) -> None:
    def refusal(status: int, failure: Failure, headers: dict[str, str] | None = None) -> Response:
        return Response(as_json(Problem(failure)), status, headers, media_type="application/json")

    @app.exception_handler(RpcError)
    async def on_rpc_error(request: Request, error: RpcError) -> Response:
        status = _STATUS.get(error.code, 500)
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
        if isinstance(error, BusyError):
            status = 429 if error.is_one_users else 503
            headers["Retry-After"] = str(error.seconds)
        elif status == 503:
            headers["Retry-After"] = "5"
        return refusal(status, Failure.of(error), headers)

    @app.exception_handler(Med2E3Error)
    async def on_own_error(request: Request, error: Med2E3Error) -> Response:
        code, sentence = told("request", error)
        status = 413 if isinstance(error, TooLargeError) else _STATUS.get(code, 500)
        return refusal(status, Failure(code, sentence))

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> Response:
        # What was sent is not quoted: it may be a question about somebody.
        where = error.errors()[0]
        place = ".".join(map(str, where["loc"]))
        return refusal(422, Failure(jsonrpc.INVALID_PARAMS, f"{place}: {where['msg']}."))

    @app.exception_handler(HTTPException)
    async def on_http_error(request: Request, error: HTTPException) -> Response:
        failure = Failure(jsonrpc.INVALID_REQUEST, f"{error.detail}.")
        return refusal(error.status_code, failure, dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def on_fault(request: Request, error: Exception) -> Response:
        return refusal(500, Failure(*told("request", error)))
