"""What Prometheus is told. Nothing of it is about a scan or a person."""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """The figures of one server. ``volumes`` and ``queue`` tell how many there are now."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, volumes: Callable[[], int], queue: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "med2e3_requests",
            "Requests by route and HTTP status.",
            ("route", "status"),
            registry=self._registry,
        )
        self.seconds = Histogram(
            "med2e3_request_seconds",
            "From a request to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.first_token_seconds = Histogram(
            "med2e3_first_token_seconds",
            "From a request to the first token of its text.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.tokens = Counter(
            "med2e3_tokens", "Pieces of text that were sent.", registry=self._registry
        )
        held = Gauge("med2e3_volumes", "Volumes that are held.", registry=self._registry)
        held.set_function(volumes)
        waiting = Gauge(
            "med2e3_queue", "Requests that are answered or wait.", registry=self._registry
        )
        waiting.set_function(queue)

    def text(self) -> bytes:
        return generate_latest(self._registry)


class Measuring:
    """Counts and times every request, to the end of its answer."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = "500"

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            # The template of the path: the path itself may have an id in it.
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.requests.labels(route, status).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - started)
