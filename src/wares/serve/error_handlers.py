"""Conversion of every exception to an error response."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from wares.core.errors import WaresError
from wares.serve.dependencies import get_server
from wares.serve.errors import ApiError, to_api_error

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


log = logging.getLogger("wares.serve")
# Pydantic's own messages for these types of errors use Python's words.
PYDANTIC_MESSAGES = {
    "model_attributes_type": "not a JSON object. Send one, with Content-Type: application/json",
    "json_invalid": "not valid JSON",
    "extra_forbidden": "unknown field or parameter",
}


class UnhandledErrorMiddleware:
    """Converts exceptions without a handler to responses. Middleware that adds headers must run before it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        response_started = False

        async def send_and_note(message: Message) -> None:
            nonlocal response_started
            response_started = True
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        except Exception as error:
            if response_started or scope["type"] != "http":
                raise
            response = await error_response(Request(scope), error)
            await response(scope, receive, send)


async def error_response(request: Request, error: Exception) -> Response:
    """The response for an exception: a message of one line, without paths or internals of the server."""
    api_error = _to_api_error(error)
    request_id = request.scope.get("state", {}).get("request_id", "")
    if api_error.status >= 500 and not isinstance(error, ApiError):
        log.error("request failed", exc_info=error, extra={"request_id": request_id})
    message = str(api_error)
    for name, folder in get_server(request).shops.folders.items():
        message = message.replace(str(folder), name)
    content = {"error": {"code": api_error.code, "message": message, "request_id": request_id}}
    return JSONResponse(content, api_error.status, api_error.headers)


def _to_api_error(error: Exception) -> ApiError:
    if isinstance(error, HTTPException) and isinstance(error.__cause__, WaresError):
        error = error.__cause__  # FastAPI wraps errors that are raised while it reads a body
    if isinstance(error, WaresError):
        return to_api_error(error)
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        location = ".".join(str(part) for part in first["loc"][1:]) or "the body"
        location = f"the body, character {location}" if first["type"] == "json_invalid" else location
        return ApiError(422, "request", f"{location}: {PYDANTIC_MESSAGES.get(first['type'], first['msg'])}.")
    if isinstance(error, HTTPException):
        code = {404: "not_found", 405: "method"}.get(error.status_code, "request")
        return ApiError(error.status_code, code, f"{error.detail}.", dict(error.headers or {}))
    return ApiError(500, "error", "internal error. Look up this request id in the server's log.")
