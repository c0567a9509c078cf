"""What a request can be refused for: a status, a code for programs, and one line for people."""

from __future__ import annotations

from wares.core.errors import CatalogueError, FilterError, ModelError, PhotoError, SettingsError, ShopError, WaresError


class ApiError(WaresError):
    """A request that cannot be answered as it is."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers or {}


# The first that fits, subclasses before their bases.
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
    """How an error of wares is told to a client."""
    if isinstance(error, ApiError):
        return error
    status, code = next((status, code) for kind, status, code in _CODES if isinstance(error, kind))
    return ApiError(status, code, str(error), {"Retry-After": "5"} if status == 503 else {})
