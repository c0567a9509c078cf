"""A photo's place in a model's space as text: what a link to a search by photo carries.

No photo is kept, and every process that serves the same model can read the token. It is url-safe base64 of the first
eight hexadecimal digits of the model's identity and of the vector in 16-bit floats: 512 numbers make 1,371 characters.
Tokens of one photo by several models, joined by dots, are a token too, for shops of any of them.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

import numpy as np

from wares.serve.errors import ApiError

if TYPE_CHECKING:
    from wares.shop.retrieval import Vectors


MODEL_DIGITS = 8  # digits of the model's identity
MIN_NORM = 1e-3  # the least norm of a vector that points anywhere


def encode_photo_token(vector: Vectors, model: str) -> str:
    """vector: (d,) unit vector; model: identity of the towers"""
    content = model[:MODEL_DIGITS].ljust(MODEL_DIGITS, "_").encode() + vector.astype("<f2").tobytes()
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def decode_photo_token(token: str, model: str, dimension: int) -> Vectors:
    """(d,) unit vector. Raises Refused where the token is none, or of other models."""
    contents = [_decoded(part) for part in token.split(".")]
    of = model[:MODEL_DIGITS].ljust(MODEL_DIGITS, "_").encode()
    [content, *_] = [each for each in contents if each[:MODEL_DIGITS] == of] or contents
    if len(content) >= MODEL_DIGITS and content[:MODEL_DIGITS] != of:
        raise ApiError(422, "photo_token", "this link's photo was read by another model. Give the photo again.")
    vector = content[MODEL_DIGITS:]
    numbers = np.frombuffer(vector, dtype="<f2").astype(np.float32) if len(vector) == 2 * dimension else np.zeros(1)
    norm = float(np.linalg.norm(numbers))
    if not MIN_NORM < norm < np.inf:
        raise ApiError(422, "photo_token", "this is no photo token: take it, whole, from the answer to an upload.")
    return np.asarray(numbers / norm, dtype=np.float32)


def _decoded(token: str) -> bytes:
    """Empty where it cannot be."""
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
