"""The command that serves shops over HTTP: serve."""

from __future__ import annotations

from typing import Annotated

import typer

from wares.cli.options import app


@app.command()
def serve(
    shops: Annotated[
        list[str],
        typer.Argument(help="Shops made by `wares index`: FOLDER, or NAME=FOLDER; or where `wares publish` put them."),
    ],
    host: Annotated[
        str, typer.Option(envvar="WARES_HOST", help="Address to listen at; 0.0.0.0 for all.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="WARES_PORT", min=0, max=65535, help="0 for any that is free.")] = 7700,
    workers: Annotated[int, typer.Option(envvar="WARES_WORKERS", min=1, help="Processes that answer.")] = 1,
    key: Annotated[
        str | None,
        typer.Option(envvar="WARES_KEY", help="Opens the write routes to who has it; they are closed without."),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(envvar="WARES_ORIGIN", help="A site whose pages may read answers (CORS); repeatable."),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(envvar="WARES_RATE", help="Requests of an address to each worker, as 20/second.  [default: any]"),
    ] = None,
    upload_bytes: Annotated[
        int, typer.Option(envvar="WARES_UPLOAD_BYTES", min=1, help="Of a request's body, at most.")
    ] = 20_000_000,
    upload_pixels: Annotated[
        int, typer.Option(envvar="WARES_UPLOAD_PIXELS", min=1, help="Of an uploaded photo, at most.")
    ] = 50_000_000,
    in_memory: Annotated[
        bool,
        typer.Option(
            "--in-memory", envvar="WARES_IN_MEMORY", help="Hold the fused vectors in memory; takes `wares[memory]`."
        ),
    ] = False,
) -> None:
    """Shops behind an HTTP API, with a search page."""
    from wares.serve.running import run
    from wares.serve.settings import ServeSettings, named_shops

    settings = ServeSettings(named_shops(shops), key, tuple(origin or ()), rate, upload_bytes, upload_pixels, in_memory)
    run(settings, host, port, workers)
