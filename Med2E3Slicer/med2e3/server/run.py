"""The whole story of a server: Ray, the replicas of the model, the front door, and their end."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from med2e3.cluster import Shares
from med2e3.errors import InputError, Med2E3Error
from med2e3.model import EMBEDDED, model_identity, read_configuration
from med2e3.server.settings import ServerSettings
from med2e3.wire import messages
from med2e3.wire.exchange import (
    create_exchange_folder,
    remove_exchange_folder,
    remove_stale_exchange_folders,
)

_ROOM_FOR_STOPS = 32
"""Requests that a replica takes beside those that wait for the model: they end or close others."""

_SECONDS_TO_END = 5


@dataclass(frozen=True)
class Ready:
    """What is told as soon as a server answers."""

    url: str
    model: messages.ModelLoaded
    replicas: int


def run_server(settings: ServerSettings, on_ready: Callable[[Ready], None]) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Raises :class:`~med2e3.errors.InputError` for a model, an address or a cluster that cannot be
    used, and :class:`~med2e3.errors.Med2E3Error` where a replica cannot load the model.
    """
    # What is cheap and may be wrong comes before Ray, which takes its time.
    model_identity(settings.place.model_folder)
    listening = _listen(settings)
    remove_stale_exchange_folders()
    folder = create_exchange_folder()
    try:
        with listening, settings.place.ray() as shares:
            from ray import serve

            logging.getLogger("ray.serve").setLevel(logging.ERROR)
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            try:
                handle = _start_replicas(settings, shares)
                asyncio.run(_serve(settings, shares, handle, folder, listening, on_ready))
            except KeyboardInterrupt:
                # It is how a server ends.
                return
            finally:
                serve.shutdown()
    finally:
        remove_exchange_folder(folder)


def _listen(settings: ServerSettings) -> socket.socket:
    try:
        family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host, settings.port))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"The server cannot listen on {settings.host}, port {settings.port} ({reason}); choose "
            "another --port or --host."
        ) from error
    return listening


def _start_replicas(settings: ServerSettings, shares: Shares) -> object:
    from ray import serve
    from ray.serve.schema import LoggingConfig

    from med2e3.server.replica import Replica

    quiet = LoggingConfig(log_level=logging.ERROR, enable_access_log=False)
    serve.start(proxy_location="Disabled", logging_config=quiet)
    deployment = serve.deployment(
        Replica,
        name="model",
        num_replicas=shares.workers,
        max_ongoing_requests=1 + settings.limits.waiting + _ROOM_FOR_STOPS,
        max_queued_requests=_ROOM_FOR_STOPS,
        max_constructor_retry_count=1,
        graceful_shutdown_timeout_s=_SECONDS_TO_END,
        ray_actor_options={"num_cpus": shares.threads, "num_gpus": shares.cards},
        logging_config=quiet,
    )
    place = settings.place
    folder = place.model_folder and place.model_folder.absolute()
    application = deployment.bind(folder, place.device, settings.dtype, shares.threads)
    try:
        return serve.run(application, name="med2e3", route_prefix=None, logging_config=quiet)
    except RuntimeError as error:
        raise Med2E3Error(
            "The processes with the model could not be started, perhaps for want of memory; choose "
            "fewer --replicas or --dtype bfloat16."
        ) from error


async def _serve(
    settings: ServerSettings,
    shares: Shares,
    handle: object,
    folder: Path,
    listening: socket.socket,
    on_ready: Callable[[Ready], None],
) -> None:
    import uvicorn

    from med2e3.server.app import FrontDoor, make_app
    from med2e3.server.replicas import Replicas

    replicas = Replicas(handle)
    model = await replicas.describe()
    size = read_configuration(settings.place.model_folder or EMBEDDED).vision3d.volume_size
    most_at_once = shares.workers * (1 + settings.limits.waiting)
    door = FrontDoor(settings, replicas, size, folder, most_at_once)
    server = uvicorn.Server(
        uvicorn.Config(
            make_app(door),
            log_level="critical",
            access_log=False,
            server_header=False,
            ssl_certfile=settings.certificate,
            ssl_keyfile=settings.key,
            timeout_graceful_shutdown=_SECONDS_TO_END,
        )
    )
    listening.listen(128)
    on_ready(Ready(_url(settings, listening), model, shares.workers))
    await server.serve(sockets=[listening])


def _url(settings: ServerSettings, listening: socket.socket) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    scheme = "http" if settings.certificate is None else "https"
    return f"{scheme}://{host}:{listening.getsockname()[1]}"
