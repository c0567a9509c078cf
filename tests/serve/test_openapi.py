"""Requests generated from the OpenAPI description: a live server responds as described, and never with a 5xx."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import schemathesis
import uvicorn
from fastapi import FastAPI
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from toys import opened, toy_shop

from wares.serve import listing_schemas, schemas
from wares.serve.api import create_app
from wares.serve.settings import ServeSettings

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
KEY = "a key for the tests"


@contextmanager
def live(app: FastAPI) -> Iterator[str]:
    """The address of a server in a thread."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = toy_shop(tmp_path_factory.mktemp("shop")).path
    with live(create_app(ServeSettings(shops=(("three", str(folder)),), api_key=KEY), opened)) as address:
        while httpx2.get(f"{address}/readyz").status_code != 200:
            pass
        yield address


described = schemathesis.openapi.from_dict(
    create_app(ServeSettings(shops=(("three", "three"),), api_key=KEY)).openapi()
)


@described.parametrize()
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_responses_match_their_description(case: Case[Any], address: str) -> None:
    case.call_and_validate(base_url=address, checks=CHECKS, headers={"Authorization": f"Bearer {KEY}"})


def test_every_route_is_described() -> None:
    paths = described.raw_schema["paths"]
    assert set(paths) >= {"/api/search", "/api/shops", "/api/photos/{name}", "/healthz", "/readyz", "/metrics"}
    locked = {
        (path, method)
        for path, methods in paths.items()
        for method, operation in methods.items()
        if "security" in operation
    }
    listings = [("/api/listings/{id}", "put"), ("/api/listings/{id}", "delete"), ("/api/listings", "post")]
    assert locked == {*listings, ("/api/photos", "post")}


def test_examples_are_valid() -> None:
    models = {
        model.__name__: model
        for model in (vars(schemas) | vars(listing_schemas)).values()
        if hasattr(model, "model_validate_json")
    }
    shown = {
        name: about["examples"]
        for name, about in described.raw_schema["components"]["schemas"].items()
        if "examples" in about
    }
    assert set(shown) >= {"ListingIn", "ListingsIn", "SearchResponse", "ListingOut", "ShopsResponse", "ErrorResponse"}
    for name, examples in shown.items():
        for example in examples:
            models[name].model_validate_json(json.dumps(example))
