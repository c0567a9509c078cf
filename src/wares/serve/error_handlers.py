"""Middleware and error handlers of the HTTP API."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from wares.core.errors import WaresError
from wares.serve.errors import ApiError, to_api_error
from wares.serve.routes import get_server

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


log = logging.getLogger("wares.serve")


class PageFiles(StaticFiles):
    """Files of the page, which browsers ask for again: those of two versions do not go together."""

    def file_response(self, *arguments: Any, **more: Any) -> Response:
        """With a header that says so; what has not changed is answered with 304."""
        response = super().file_response(*arguments, **more)
        response.headers["Cache-Control"] = "no-cache"
        return response


# What went wrong


class UnhandledErrorMiddleware:
    """Turns any other exception into an answer, inside of what adds headers to answers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except Exception as error:
            if begun or scope["type"] != "http":
                raise
            answer = await error_response(Request(scope), error)
            await answer(scope, receive, send)


# What pydantic says in words of Python.
PYDANTIC_MESSAGES = {
    "model_attributes_type": "this is no JSON object. Send one, with Content-Type: application/json",
    "json_invalid": "this is broken JSON",
    "extra_forbidden": "there is no such field or parameter",
}


async def error_response(request: Request, error: Exception) -> Response:
    """Any error as an answer: one line, and nothing of the server's inside."""
    refused = _to_api_error(error)
    id = request.scope.get("state", {}).get("request_id", "")
    if refused.status >= 500 and not isinstance(error, ApiError):
        log.error("request failed", exc_info=error, extra={"request_id": id})
    message = str(refused)
    for name, folder in get_server(request).shops.folders.items():
        message = message.replace(str(folder), name)
    content = {"error": {"code": refused.code, "message": message, "request_id": id}}
    return JSONResponse(content, refused.status, refused.headers)


def _to_api_error(error: Exception) -> ApiError:
    if isinstance(error, HTTPException) and isinstance(error.__cause__, WaresError):
        error = error.__cause__  # what stopped the reading of a body
    if isinstance(error, WaresError):
        return to_api_error(error)
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "the body"
        where = f"the body, character {where}" if first["type"] == "json_invalid" else where
        return ApiError(422, "request", f"{where}: {PYDANTIC_MESSAGES.get(first['type'], first['msg'])}.")
    if isinstance(error, HTTPException):
        code = {404: "not_found", 405: "method"}.get(error.status_code, "request")
        return ApiError(error.status_code, code, f"{error.detail}.", dict(error.headers or {}))
    return ApiError(500, "error", "something went wrong here. The server's log has more under this request id.")
