"""Errors of the API: an HTTP status, a code for programs, and a message of one line."""

from __future__ import annotations

from wares.core.errors import CatalogueError, FilterError, ModelError, PhotoError, SettingsError, ShopError, WaresError

MAX_SHOWN_LENGTH = 80  # characters of a request's value that an error message shows


class ApiError(WaresError):
    """A request that the server rejects.

    status: HTTP status; code: short name of the problem, for programs; headers: added to the response
    """

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers or {}


# The first type that matches decides: subclasses come before their bases.
_CODES: tuple[tuple[type[WaresError], int, str], ...] = (
    (FilterError, 422, "filter"),
    (PhotoError, 422, "photo"),
    (CatalogueError, 422, "listing"),
    (SettingsError, 422, "query"),
    (ShopError, 503, "shop"),
    (ModelError, 503, "model"),
    (WaresError, 500, "error"),
)


def to_api_error(error: WaresError) -> ApiError:
    """The API error for an error of wares. Status 503 asks the client to retry after five seconds."""
    if isinstance(error, ApiError):
        return error
    status, code = next((status, code) for error_type, status, code in _CODES if isinstance(error, error_type))
    return ApiError(status, code, str(error), {"Retry-After": "5"} if status == 503 else {})
