"""``med2e3 serve``: the engine over HTTP, for several users of one machine or department."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from med2e3.command.options import (
    AsJson,
    Device,
    DeviceOption,
    Dtype,
    DtypeOption,
    ModelFolder,
)
from med2e3.command.told import Debug, told

if TYPE_CHECKING:
    from med2e3.server.run import Ready


@told
def serve(
    model: ModelFolder = None,
    host: Annotated[
        str, typer.Option("--host", help="Where to listen; anything but loopback needs tokens.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free one.")] = 8484,
    tokens: Annotated[
        Path | None,
        typer.Option(
            "--tokens",
            metavar="FILE",
            show_default=False,
            help="Who may use the server: a token a line; else MED2E3_SERVER_TOKENS is read.",
        ),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option("--tls-certificate", metavar="PEM", show_default=False, help="For https."),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option("--tls-key", metavar="PEM", show_default=False, help="For https."),
    ] = None,
    replicas: Annotated[
        int | None,
        typer.Option(
            "--replicas",
            metavar="N",
            min=1,
            show_default=False,
            help="Models that are loaded side by side; else one for each graphics card, or one a "
            "machine.",
        ),
    ] = None,
    ray_address: Annotated[
        str | None,
        typer.Option(
            "--ray-address",
            metavar="HOST:PORT",
            show_default=False,
            help="Keep the replicas on this Ray cluster; else on this machine.",
        ),
    ] = None,
    waiting: Annotated[
        int, typer.Option("--queue", metavar="N", min=0, help="Requests that may wait a replica.")
    ] = 8,
    rate: Annotated[
        int, typer.Option("--rate", metavar="N", min=1, help="Requests a minute from one user.")
    ] = 120,
    volumes: Annotated[
        int, typer.Option("--volumes", metavar="N", min=1, help="Volumes held for one user.")
    ] = 8,
    minutes: Annotated[
        float,
        typer.Option("--expire", metavar="MINUTES", help="How long a volume is kept unused."),
    ] = 30.0,
    upload: Annotated[
        int, typer.Option("--upload", metavar="MB", min=1, help="The largest volume.")
    ] = 2048,
    device: DeviceOption = Device.auto,
    dtype: DtypeOption = Dtype.auto,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Answer over HTTP until Ctrl-C: the messages of the worker, for many users.

    /docs describes the routes. Without tokens, everyone who can reach it may use the server, so it
    then listens on this machine alone.
    """
    from med2e3.server import check_packages

    check_packages()
    from med2e3.cluster import Place
    from med2e3.server.settings import Limits, ServerSettings
    from med2e3.server.tokens import read_tokens

    settings = ServerSettings(
        host=host,
        port=port,
        place=Place(model, device.value, replicas, ray_address),
        dtype=dtype.value,
        tokens=read_tokens(tokens),
        certificate=certificate,
        key=key,
        limits=Limits(waiting, rate, volumes, minutes, upload * 2**20),
    )
    if settings.is_in_the_clear:
        print(
            f"Scans travel to {host} unencrypted; give --tls-certificate and --tls-key, or let a "
            "proxy with TLS stand before the server.",
            file=sys.stderr,
        )

    from med2e3.server.run import run_server

    def on_ready(ready: Ready) -> None:
        print(json.dumps(dataclasses.asdict(ready)) if as_json else _line(ready), flush=True)

    run_server(settings, on_ready)


def _line(ready: Ready) -> str:
    count = "1 replica" if ready.replicas == 1 else f"{ready.replicas} replicas"
    return (
        f"{ready.url} answers with the model {ready.model.name} on {ready.model.device} ({count}). "
        "Ctrl-C ends it."
    )
