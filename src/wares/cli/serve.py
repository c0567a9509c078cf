"""`wares serve`: shops over HTTP."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from wares.cli.options import Count, group
from wares.serve.settings import ServeOptions, ServeSettings, named_shops

Serving = Annotated[ServeOptions, group("Serving", "api-key", "cors-origin", "rate-limit", "in-memory")]


def serve(
<<<<<<< HEAD
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

    run(ServeSettings(shops=named_shops(shops), **vars(options)), host, port, workers)
=======
    shops: Annotated[
        list[str],
        typer.Argument(help="Shops: FOLDER or NAME=FOLDER; or the URL of a published shop."),
    ],
    host: Annotated[
        str, typer.Option(envvar="WARES_HOST", help="Address to listen on; 0.0.0.0 for all.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="WARES_PORT", min=0, max=65535, help="Port; 0 for any free one.")] = 7700,
    workers: Annotated[int, typer.Option(envvar="WARES_WORKERS", min=1, help="Number of worker processes.")] = 1,
    api_key: Annotated[
        str | None,
        typer.Option(envvar="WARES_API_KEY", help="API key for write requests. Without it the server is read-only."),
    ] = None,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(envvar="WARES_CORS_ORIGIN", help="Other site whose pages may read responses (CORS); repeatable."),
    ] = None,
    rate_limit: Annotated[
        str | None,
        typer.Option(envvar="WARES_RATE_LIMIT", help="Requests of an address to each worker, such as 20/second."),
    ] = None,
    max_upload_bytes: Annotated[
        int, typer.Option(envvar="WARES_MAX_UPLOAD_BYTES", min=1, help="Maximum size of a request body, in bytes.")
    ] = 20_000_000,
    max_upload_pixels: Annotated[
        int, typer.Option(envvar="WARES_MAX_UPLOAD_PIXELS", min=1, help="Maximum size of an uploaded photo, in pixels.")
    ] = 50_000_000,
    in_memory: Annotated[
        bool,
        typer.Option(
            "--in-memory", envvar="WARES_IN_MEMORY", help="Search fused vectors in memory; requires `wares[memory]`."
        ),
    ] = False,
) -> None:
    """Serve shops over HTTP, with a search page."""
    from wares.serve.running import run
    from wares.serve.settings import ServeSettings, parse_shops

    settings = ServeSettings(
        shops=parse_shops(shops),
        api_key=api_key,
        cors_origin=tuple(cors_origin or ()),
        rate_limit=rate_limit,
        max_upload_bytes=max_upload_bytes,
        max_upload_pixels=max_upload_pixels,
        in_memory=in_memory,
    )
    run(settings, host, port, workers)
>>>>>>> main
