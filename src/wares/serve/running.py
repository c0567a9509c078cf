"""Starting servers: one process, or several that share a socket.

Processes are spawned, never forked: Lance does not survive a fork.
"""

from __future__ import annotations

import os
import socket
import tempfile
from typing import TYPE_CHECKING, Any

from wares.core.errors import SettingsError, ShopError
from wares.core.progress import DISABLE_BARS_VARIABLE
from wares.serve.settings import ServeSettings
from wares.shop.layout import CURRENT_FILE
from wares.shop.memory import import_faiss
from wares.shop.replicas import Replica, is_url
from wares.shop.shop import open_shop

if TYPE_CHECKING:
    from fastapi import FastAPI


_SETTINGS_VARIABLE = "WARES_SERVE_SETTINGS"
SHUTDOWN_SECONDS = 30  # seconds that requests under way are given when the server is told to stop
MAX_PENDING_CONNECTIONS = 2048  # connections that wait to be accepted, at most
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "wares.serve.observability.JsonLinesFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "loggers": {
        "wares": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "uvicorn": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
    },
}


def run(settings: ServeSettings, host: str, port: int, workers: int) -> None:
    """Serve until the process is told to stop. Requests are logged to stderr, one line of JSON each.

    Raises SettingsError where the address cannot be had, or a library, and ShopError where there is no shop.
    """
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    if settings.in_memory:
        import_faiss()
    for _, place in settings.shops:
        _check_shop(place)
    os.environ[DISABLE_BARS_VARIABLE] = "1"  # from here on, what goes to stderr is for programs
    listening = _listen(host, port)
    os.environ[_SETTINGS_VARIABLE] = settings.to_json()
    config = uvicorn.Config(
        "wares.serve.running:app" if workers == 1 else "wares.serve.running:worker_app",
        factory=True,
        workers=workers,
        http="h11",  # which limits how long headers may be; httptools, a little faster, does not
        ws="none",
        log_config=LOGGING,
        access_log=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        timeout_worker_healthcheck=SHUTDOWN_SECONDS,  # loading a model may keep a worker from answering for seconds
        server_header=False,
    )
    names = ", ".join(name for name, _ in settings.shops)
    print(f"{names} at http://{host}:{listening.getsockname()[1]}/", flush=True)
    if workers == 1:
        uvicorn.Server(config).run([listening])
        return
    with tempfile.TemporaryDirectory() as counts:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = counts
        Multiprocess(config, [listening]).run()


def app() -> FastAPI:
    """The app, with the settings that were left in the environment."""
    from wares.serve.api import create_app

    return create_app(ServeSettings.from_json(os.environ[_SETTINGS_VARIABLE]))


def worker_app() -> FastAPI:
    """The app of a worker. It leaves requests to the other workers until its shops are open."""
    from wares.serve.api import create_app

    return create_app(ServeSettings.from_json(os.environ[_SETTINGS_VARIABLE]), wait_for_shops=True)


def _check_shop(place: str) -> None:
    """Raises ShopError where there is no shop. A replica is brought up to date, or served as it was left."""
    if not is_url(place):
        open_shop(place)
        return
    replica = Replica(place)
    try:
        replica.catch_up()
    except ShopError:
        if not (replica.folder / CURRENT_FILE).exists():
            raise  # otherwise the server says the same in its log, and tries again
    open_shop(replica.folder)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(
            MAX_PENDING_CONNECTIONS
        )  # from here on clients wait for the server to start, and are not turned away
    except OSError as error:
        listening.close()
        reason = error.strerror or str(error)
        raise SettingsError(
            f"{host}:{port} cannot be listened at ({reason}). Choose another --host or --port."
        ) from None
    listening.set_inheritable(True)
    return listening
