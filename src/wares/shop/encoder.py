"""Encoders of a shop: towers that embed listings and queries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from wares.core.errors import SettingsError
from wares.shop.table import Vectors, round_to_float16

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wares.data.listings import Catalogue, OnError
    from wares.encoders.features import Embeddings
    from wares.encoders.fusion import FusedEmbeddings
    from wares.encoders.towers import Towers


class Encoder(Protocol):
    """Encodes the listings and the queries of a shop."""

    @property
    def dimension(self) -> int: ...
    @property
    def identity(self) -> str: ...
    def save(self, folder: Path) -> None:
        """Save the towers that encode listings to a new folder."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """(n, d) unit vectors of query texts."""
        ...

    def encode_photos(self, paths: Sequence[Path]) -> Vectors:
        """(n, d) unit vectors of query photos. Raises PhotoError."""
        ...

    def encode_listings(self, catalogue: Catalogue, on_error: OnError) -> tuple[Embeddings, FusedEmbeddings]:
        """Embeddings of all views, rounded as the table stores them, and fused embeddings. Raises PhotoError."""
        ...


class TowersEncoder:
    """Towers as the encoder of a shop.

    query_towers: encode queries, if other towers than those for listings do
    cache: folder of cached features of listings (wares.encoders.features)
    """

    def __init__(self, towers: Towers, query_towers: Towers | None = None, cache: Path | None = None) -> None:
        self._towers, self._query_towers, self._cache = towers, query_towers or towers, cache
        self.identity, self.dimension = towers.identity, towers.dimension

    def save(self, folder: Path) -> None:
        self._towers.save(folder)

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        from wares.encoders.features import embed_texts

        return embed_texts(texts, self._query_towers)

    def encode_photos(self, paths: Sequence[Path]) -> Vectors:
        """See `Encoder`. Raises SettingsError if photos and texts share no space."""
        from wares.encoders.features import embed_photo_files

        if not self._towers.aligned:
            raise SettingsError(
                "this shop finds nothing by photo: its image tower is untrained. Train one with `wares pretrain`."
            )
        return embed_photo_files(paths, self._query_towers)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what `Towers.save` writes. The other process loads frozen parts by name."""
        import torch

        from wares.encoders.registry import pack_towers

        queries = None if self._query_towers is self._towers else pack_towers(self._query_towers)
        return _unpickle, (pack_towers(self._towers), queries, self._cache, torch.get_num_threads())

    def encode_listings(self, catalogue: Catalogue, on_error: OnError) -> tuple[Embeddings, FusedEmbeddings]:
        from wares.encoders.features import embed
        from wares.encoders.fusion import fuse

        embeddings = round_to_float16(embed(catalogue, self._towers, self._cache, on_error))
        return embeddings, fuse(embeddings, self._towers.fusion)


def _unpickle(
    towers: dict[str, bytes], queries: dict[str, bytes] | None, cache: Path | None, threads: int
) -> TowersEncoder:
    """An encoder from its pickled parts. threads: of torch in the process that pickled it"""
    import torch

    from wares.encoders.registry import unpack_towers

    # With a single thread, convolutions differ in the last bits; with two or more they are equal.
    torch.set_num_threads(min(threads, max(2, torch.get_num_threads())))
    return TowersEncoder(unpack_towers(towers), None if queries is None else unpack_towers(queries), cache)
