"""`wares serve`: shops over HTTP."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from wares.cli.options import Count, group
from wares.serve.settings import ServeOptions, ServeSettings, parse_shops

Serving = Annotated[ServeOptions, group("Serving", "api-key", "cors-origin", "rate-limit", "in-memory")]


def serve(
    *shops: Annotated[str, Parameter(required=True)],
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(validator=Number(gte=0, lte=65535))] = 7700,
    workers: Count = 1,
    options: Serving = ServeOptions(),
) -> None:
    """Serve shops over HTTP, with a search page.

    Args:
        shops: Shops that `wares index` built: FOLDER, NAME=FOLDER, or the URL that `wares publish` copied one to.
        host: Address to listen on; 0.0.0.0 for all.
        port: Port to listen on; 0 for a free one.
        workers: Number of processes that answer requests.
    """
    from wares.serve.running import run

    run(ServeSettings(shops=parse_shops(shops), **vars(options)), host, port, workers)
