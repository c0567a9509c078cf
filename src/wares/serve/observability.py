"""Metrics for Prometheus, and a log of requests as lines of JSON."""

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
_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class Metrics:
    """Metrics of this process; with PROMETHEUS_MULTIPROC_DIR, of all worker processes."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "wares_requests", "Requests by route and status", ["route", "status"], registry=self.registry
        )
        self.seconds = Histogram("wares_request_seconds", "Response time", ["route"], registry=self.registry)
        self.batch_sizes = Histogram(
            "wares_batch_size",
            "Texts encoded, or queries ranked, in one batch",
            ["kind"],
            buckets=BATCH_SIZE_BUCKETS,
            registry=self.registry,
        )
        self.listings = Gauge(
            "wares_listings", "Listings of a shop", ["shop"], multiprocess_mode="mostrecent", registry=self.registry
        )

    def observe_batch(self, kind: str, size: int) -> None:
        """Record the size of a batch. kind: "texts" or "queries", as in `Searcher`"""
        self.batch_sizes.labels(kind).observe(size)

    def prometheus_text(self, shops: ShopRegistry) -> bytes:
        """The metrics in Prometheus' text format."""
        for opened in shops:
            self.listings.labels(opened.name).set(len(opened.shop))
        registry = self.registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


class RequestLogMiddleware:
    """Gives every request an id, and counts and logs the request after its response."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, request_id = time.perf_counter(), uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            self._record(scope, request_id, status, time.perf_counter() - start)

    def _record(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")  # not the path: clients could create any number of labels
        self.metrics.requests.labels(route, status).inc()
        self.metrics.seconds.labels(route).observe(seconds)
        client = scope["client"][0] if scope.get("client") else None
        fields = {"request_id": request_id, "method": scope["method"], "path": scope["path"], "status": status}
        log.info("request", extra=fields | {"ms": round(1000 * seconds, 2), "client": client})


class JsonLinesFormatter(logging.Formatter):
    """Formats a log record as one line of JSON, including its `extra` fields."""

    def format(self, record: logging.LogRecord) -> str:
        """One line: time, level, logger and message, then the extra fields and the traceback."""
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD_FIELDS}
        trace = {"traceback": self.formatException(record.exc_info)} if record.exc_info else {}
        return json.dumps(fields | extra | trace, ensure_ascii=False, default=str)
