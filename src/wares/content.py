"""What a listing is made of, as a hash: a listing whose hash is the same has the same embedding by the same model."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from wares.cache import photo_digests
from wares.views import photo_views

if TYPE_CHECKING:
    from pathlib import Path

    from wares.catalogue import Catalogue, Listing

BYTES = 16
UNREADABLE = ""  # in place of the digest of a photo that is not there


def content_hashes(catalogue: Catalogue, cache: Path | None = None) -> list[bytes]:
    """16 bytes for each listing: of all its fields, and of the content of its photos.

    cache: where digests of photos are kept (wares.cache)
    """
    photos = photo_views(catalogue)
    found = photo_digests([catalogue.photo(name) for name in photos.items], cache)
    digests = [digest if isinstance(digest, str) else UNREADABLE for digest in found]
    bounds = zip(photos.offsets[:-1], photos.offsets[1:], strict=True)
    parts = [digests[start:end] for start, end in bounds]
    return [_hash(listing, of) for listing, of in zip(catalogue.listings, parts, strict=True)]


def _hash(listing: Listing, digests: list[str]) -> bytes:
    fields = [
        listing.id, listing.title, listing.description, listing.tags, listing.images, listing.price, listing.product,
        dict(listing.attributes), dict(listing.texts), digests,
    ]  # fmt: skip
    written = json.dumps(fields, sort_keys=True, default=list)
    return hashlib.blake2b(written.encode(), digest_size=BYTES).digest()
