"""Encoders of a shop: towers that embed listings and queries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from wares.shop.table import Vectors, round_to_float16

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wares.data.listings import Catalogue, OnError
    from wares.encoders.features import Embeddings
    from wares.encoders.fusion import FusedEmbeddings
    from wares.encoders.towers import Towers


class Encoder(Protocol):
    """What a shop asks of its towers."""

    @property
    def dimension(self) -> int: ...
    @property
    def identity(self) -> str: ...
    def save(self, folder: Path) -> None:
        """Keep the towers that encode listings in a new folder."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """(n, d) unit vectors of queries."""
        ...

    def encode_photos(self, paths: Sequence[Path]) -> Vectors:
        """(n, d) unit vectors of queries. Raises PhotoError."""
        ...

    def encode_listings(self, catalogue: Catalogue, on_error: OnError) -> tuple[Embeddings, FusedEmbeddings]:
        """The views of listings as the table keeps them, and what they fuse to. Raises PhotoError."""
        ...


class TowersEncoder:
    """Towers as the encoder of a shop.

    queries: towers that encode queries, where they are not those that encode listings
    cache: of features of listings (wares.encoders.features)
    """

    def __init__(self, towers: Towers, query_towers: Towers | None = None, cache: Path | None = None) -> None:
        self._towers, self._queries, self._cache = towers, query_towers or towers, cache
        self.identity, self.dimension = towers.identity, towers.dimension

    def save(self, folder: Path) -> None:
        self._towers.save(folder)

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        from wares.encoders.features import embed_texts

        return embed_texts(texts, self._queries)

    def encode_photos(self, paths: Sequence[Path]) -> Vectors:
        from wares.encoders.features import embed_photo_files

        return embed_photo_files(paths, self._queries)

    def __reduce__(self) -> tuple[Any, ...]:
        """Sent to other processes as what `Towers.save` writes; what is frozen they load by its name."""
        import torch

        from wares.encoders.registry import pack_towers

        queries = None if self._queries is self._towers else pack_towers(self._queries)
        return _unpacked, (pack_towers(self._towers), queries, self._cache, torch.get_num_threads())

    def encode_listings(self, catalogue: Catalogue, on_error: OnError) -> tuple[Embeddings, FusedEmbeddings]:
        from wares.encoders.features import embed
        from wares.encoders.fusion import fuse

        embeddings = round_to_float16(embed(catalogue, self._towers, self._cache, on_error))
        return embeddings, fuse(embeddings, self._towers.fusion)


def _unpacked(
    towers: dict[str, bytes], queries: dict[str, bytes] | None, cache: Path | None, threads: int
) -> TowersEncoder:
    """threads: of torch, where this was packed"""
    import torch

    from wares.encoders.registry import unpack_towers

    # With one thread, convolutions are computed another way and differ in the last bits; with more, all are the same.
    torch.set_num_threads(min(threads, max(2, torch.get_num_threads())))
    return TowersEncoder(unpack_towers(towers), None if queries is None else unpack_towers(queries), cache)
