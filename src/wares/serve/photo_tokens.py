"""Photo tokens: the vector of a photo as text, for links to a search by photo.

The server stores no photo, and every process that serves the same model can decode a token. A token is the first eight
hexadecimal digits of the model's identity and the vector in 16-bit floats, as URL-safe base64: 512 numbers take 1,371
characters. Tokens of one photo by several models, joined by dots, are a token for shops of any of these models.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

import numpy as np

from wares.serve.errors import ApiError

if TYPE_CHECKING:
    from wares.shop.table import Vectors


MODEL_DIGITS = 8  # of the model's identity
MIN_NORM = 1e-3  # a shorter vector has no direction


def encode_photo_token(vector: Vectors, model: str) -> str:
    """The token of a photo. vector: (d,) unit vector; model: identity of the towers"""
    content = _prefix(model) + vector.astype("<f2").tobytes()
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def decode_photo_token(token: str, model: str, dimension: int) -> Vectors:
    """The (d,) unit vector of a token. Raises ApiError if the token is not valid, or is of other models."""
    contents = [_decode(part) for part in token.split(".")]
    prefix = _prefix(model)
    [content, *_] = [content for content in contents if content[:MODEL_DIGITS] == prefix] or contents
    if len(content) >= MODEL_DIGITS and content[:MODEL_DIGITS] != prefix:
        raise ApiError(422, "photo_token", "another model encoded this link's photo. Upload the photo again.")
    vector = content[MODEL_DIGITS:]
    numbers = np.frombuffer(vector, dtype="<f2").astype(np.float32) if len(vector) == 2 * dimension else np.zeros(1)
    norm = float(np.linalg.norm(numbers))
    if not MIN_NORM < norm < np.inf:
        raise ApiError(422, "photo_token", "not a valid photo token. Copy all of `photo` from a search response.")
    return np.asarray(numbers / norm, dtype=np.float32)


def _prefix(model: str) -> bytes:
    return model[:MODEL_DIGITS].ljust(MODEL_DIGITS, "_").encode()


def _decode(token: str) -> bytes:
    """The bytes of a token; none if it is not base64."""
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
