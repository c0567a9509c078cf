"""What can be seen of a server from outside: a line of JSON for every request, and metrics for Prometheus."""

from __future__ import annotations

import json
import logging
import os
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from wares.serve.shops import ShopRegistry


log = logging.getLogger("wares.serve")
BATCH_SIZE_BUCKETS = (1, 2, 4, 8, 16, 32, 64)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class Metrics:
    """Counts of one process; where several serve, of all of them (PROMETHEUS_MULTIPROC_DIR)."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        to = self.registry
        self.requests = Counter("wares_requests", "Requests by route and status", ["route", "status"], registry=to)
        self.seconds = Histogram("wares_request_seconds", "Time to answer", ["route"], registry=to)
        about = "Texts encoded, or queries ranked, together"
        self.batch_sizes = Histogram("wares_batch_size", about, ["what"], buckets=BATCH_SIZE_BUCKETS, registry=to)
        about = "Listings of a shop"
        self.listings = Gauge("wares_listings", about, ["shop"], multiprocess_mode="mostrecent", registry=to)

    def observe_batch(self, kind: str, size: int) -> None:
        """How many were worked on together."""
        self.batch_sizes.labels(kind).observe(size)

    def prometheus_text(self, shops: ShopRegistry) -> bytes:
        """As Prometheus reads it."""
        for opened in shops:
            self.listings.labels(opened.name).set(len(opened.shop))
        registry = self.registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


class RequestLogMiddleware:
    """Gives every request an id, and counts and logs it when it has been answered."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, id = time.perf_counter(), uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = id
        status = 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", id.encode())]
            await send(message)

        try:
            await self.app(scope, receive, sending)
        finally:
            seconds = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", "none")  # never the path itself: it can be anything
            self.metrics.requests.labels(route, status).inc()
            self.metrics.seconds.labels(route).observe(seconds)
            client = scope["client"][0] if scope.get("client") else None
            about = {"request_id": id, "method": scope["method"], "path": scope["path"], "status": status}
            log.info("request", extra=about | {"ms": round(1000 * seconds, 2), "client": client})


class JsonLinesFormatter(logging.Formatter):
    """A log record as one line of JSON, with everything that was given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, logger and message come first."""
        about = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        trace = {"traceback": self.formatException(record.exc_info)} if record.exc_info else {}
        return json.dumps(about | extra | trace, ensure_ascii=False, default=str)
