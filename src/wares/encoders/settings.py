"""Settings of the encoders: how views become one embedding, and which part of a backbone is trained."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, get_args

from wares.core.errors import SettingsError

FROZEN = "frozen"
MarginalKind = Literal["fixed", "agreement", "learned"]
MARGINAL_KINDS: tuple[MarginalKind, ...] = get_args(MarginalKind)


@dataclass(frozen=True)
class Marginals:
    """How a listing weighs its own views of one modality.

    alpha (photos) and beta (texts) are the weight of the primary view against one other view: of the two views that a
    training step samples, the primary one weighs alpha. The fused embedding has all views, and the primary one weighs
    alpha : (1 - alpha) against each other one: .5 gives all views equal shares. That is "fixed"; the other kinds
    multiply the weight of each photo: "agreement" by exp(<photo, texts> / epsilon), "learned" by exp(√d <u, photo>),
    where u is learned in pretraining.

    Source: primary emphasis is arXiv 2512.18117; everything else is our reading.

    Raises SettingsError if a value is out of range.
    """

    kind: MarginalKind = "agreement"
    """How a listing weighs its own views: fixed, agreement or learned."""
    alpha: float = 0.5
    """Weight of the first photo against one other photo of a listing, 0 to 1."""
    beta: float = 0.5
    """Weight of the title against one other text of a listing, 0 to 1."""
    epsilon: float = 0.2
    """Temperature of agreement marginals, above 0; large values approach the fixed marginals."""

    def __post_init__(self) -> None:
        if self.kind not in MARGINAL_KINDS:
            raise SettingsError(f"unknown marginals {self.kind!r}. Choose one of {', '.join(MARGINAL_KINDS)}.")
        for name in ("alpha", "beta"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise SettingsError(f"{name} must be a weight in [0, 1], not {getattr(self, name)}.")
        if not self.epsilon > 0.0:
            raise SettingsError(f"epsilon must be a temperature above 0, not {self.epsilon}.")

    def primary_weight(self, modality: str) -> float:
        """Weight of the primary view against one other view, before any reweighing.

        modality: "photo" or "text"
        """
        return self.alpha if modality == "photo" else self.beta


@dataclass(frozen=True)
class Fusion:
    """How the views of a listing become one embedding: marginals within a modality, gamma between modalities.

    Raises SettingsError if gamma is out of range.

    Example:
        >>> from wares.encoders import Fusion, Marginals
        >>> Fusion(Marginals("fixed", alpha=0.7), gamma=0.6)
        Fusion(marginals=Marginals(kind='fixed', alpha=0.7, beta=0.5, epsilon=0.2), gamma=0.6)
    """

    marginals: Marginals = field(default_factory=Marginals)
    """Weights of a listing's views within each modality."""
    gamma: float = 0.5
    """Weight of the photos against the texts in the fused embedding, 0 to 1."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.gamma <= 1.0:
            raise SettingsError(f"gamma must be a weight in [0, 1], not {self.gamma}.")


def check_backbone_mode(mode: str) -> str:
    """The mode itself if it is "frozen", "all", "lora" or "last-N"; otherwise raise SettingsError."""
    if mode in (FROZEN, "all", "lora") or re.fullmatch(r"last-[1-9]\d*", mode):
        return mode
    raise SettingsError(
        f'unknown backbone mode "{mode}". Choose "frozen", "all", "lora" or "last-N" (the last N blocks).'
    )
