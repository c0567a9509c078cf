"""Start a server: one process, or several worker processes that share a socket.

Workers are spawned, not forked: Lance does not survive a fork.
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


_SETTINGS_VARIABLE = "WARES_SERVE_SETTINGS"  # how worker processes receive the settings
SHUTDOWN_SECONDS = 30  # that running requests get after SIGTERM
MAX_PENDING_CONNECTIONS = 2048
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
    """Serve until the process receives SIGTERM or SIGINT. Logs requests to stderr, one line of JSON each.

    port: 0 for any free port; workers: number of processes, at least 1

    Raises SettingsError if the address is in use or a library is missing, ShopError if a shop cannot be opened.

    Example:
        >>> from wares.serve import ServeSettings, run
        >>> settings = ServeSettings(shops=(("june", "shops/june"),))
        >>> run(settings, "127.0.0.1", 7700, workers=1)  # doctest: +SKIP
        june at http://127.0.0.1:7700/
    """
    if settings.in_memory:
        import_faiss()
    for _, location in settings.shops:
        _check_shop(location)
    os.environ[DISABLE_BARS_VARIABLE] = "1"  # stderr carries lines of JSON from here on
    listener = _listen(host, port)
    os.environ[_SETTINGS_VARIABLE] = settings.to_json()
    names = ", ".join(name for name, _ in settings.shops)
    print(f"{names} at http://{host}:{listener.getsockname()[1]}/", flush=True)
    _serve(listener, workers)


def _serve(listener: socket.socket, workers: int) -> None:
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    config = uvicorn.Config(
        "wares.serve.running:app" if workers == 1 else "wares.serve.running:worker_app",
        factory=True,
        workers=workers,
        http="h11",  # limits the size of headers; httptools, a little faster, does not
        ws="none",
        log_config=LOGGING,
        access_log=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        timeout_worker_healthcheck=SHUTDOWN_SECONDS,  # a worker that loads a model does not respond for seconds
        server_header=False,
    )
    if workers == 1:
        uvicorn.Server(config).run([listener])
        return
    with tempfile.TemporaryDirectory() as metrics_folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics_folder
        Multiprocess(config, [listener]).run()


def app() -> FastAPI:
    """The app of a single process, with the settings that `run` stored in the environment."""
    from wares.serve.api import create_app

    return create_app(ServeSettings.from_json(os.environ[_SETTINGS_VARIABLE]))


def worker_app() -> FastAPI:
    """The app of a worker process. It leaves requests to the other workers until its shops are open."""
    from wares.serve.api import create_app

    return create_app(ServeSettings.from_json(os.environ[_SETTINGS_VARIABLE]), wait_for_shops=True)


def _check_shop(location: str) -> None:
    """Raise ShopError unless the location is a shop. A replica catches up first, if it can."""
    if not is_url(location):
        open_shop(location)
        return
    replica = Replica(location)
    try:
        replica.catch_up()
    except ShopError:
        if not (replica.folder / CURRENT_FILE).exists():
            raise  # otherwise the server logs the same error, and retries
    open_shop(replica.folder)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(MAX_PENDING_CONNECTIONS)  # clients that connect before the server starts wait for it
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise SettingsError(f"cannot listen on {host}:{port} ({reason}). Choose another --host or --port.") from None
    listener.set_inheritable(True)
    return listener
