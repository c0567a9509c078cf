"""Photo tokens: round trip, other models, broken tokens."""

from __future__ import annotations

import numpy as np
import pytest

from wares.serve.errors import ApiError
from wares.serve.photo_tokens import decode_photo_token, encode_photo_token


def test_a_token_encodes_its_vector_and_model() -> None:
    vector = np.random.default_rng(0).normal(size=64).astype(np.float32)
    vector /= np.linalg.norm(vector)
    token = encode_photo_token(vector, "0123456789")
    np.testing.assert_allclose(decode_photo_token(token, "0123456789", 64), vector, atol=1e-3)
    with pytest.raises(ApiError, match="another model encoded"):
        decode_photo_token(token, "123", 64)
    other = encode_photo_token(vector[:32], "9876543210")
    np.testing.assert_array_equal(
        decode_photo_token(f"{token}.{other}", "9876543210", 32), decode_photo_token(other, "9876543210", 32)
    )
    with pytest.raises(ApiError, match="not a valid photo token"):
        decode_photo_token(token, "0123456789", 32)
    with pytest.raises(ApiError, match="not a valid photo token"):
        decode_photo_token(encode_photo_token(np.full(64, np.nan, np.float32), "0123456789"), "0123456789", 64)
