"""Settings of pretraining, fine-tuning and the backbone trainer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, get_args

from wares.core.errors import SettingsError
from wares.encoders.backbones import FROZEN, check_backbone_mode
from wares.encoders.marginals import Marginals
from wares.encoders.towers import Fusion

if TYPE_CHECKING:
    from wares.encoders.towers import Fusion


@dataclass(frozen=True)
class FinetuneSettings:
    """Everything that decides a fine-tuning run, apart from the data and how backbones are trained.

    batch_size: interactions in a step, >= 2; epochs: passes over the interactions
    learning_rate: of the heads
    hard_negatives: mined negatives for each query in a step, >= 0
    hard_negative_ranks: ranks among which they are drawn, by the model as it comes, best first; the best few are often right
        answers that nobody clicked
    logq_correction: whether a listing's share of the interactions is taken out of its in-batch scores (logQ correction,
        Yi et al., RecSys 2019), so that what is popular is not pushed away for being met often
    train_image_head: whether the image head learns as well, or only the text tower
    """

    batch_size: int = 128
    epochs: int = 3
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    hard_negatives: int = 2
    hard_negative_ranks: tuple[int, int] = (10, 100)
    logq_correction: bool = True
    train_image_head: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("batch_size", 2), ("epochs", 1), ("hard_negatives", 0), ("weight_decay", 0)):
            if not getattr(self, name) >= least:
                raise SettingsError(f"{name} must be at least {least}, not {getattr(self, name)}.")
        if not self.learning_rate > 0:
            raise SettingsError(f"learning_rate must be above 0, not {self.learning_rate}.")
        if not 0 <= self.hard_negative_ranks[0] < self.hard_negative_ranks[1]:
            raise SettingsError(f"negatives are mined between two ranks, not {self.hard_negative_ranks}.")


Method = Literal[
    "factorized",
    "single-view",
    "random-view",
    "all-pairs",
    "full-transport",
    "low-rank-transport",
    "mean-views",
    "joint-text",
]
Loss = Literal["pairwise", "barycentric"]
METHODS: tuple[Method, ...] = get_args(Method)
MULTI_VIEW_METHODS: tuple[Method, ...] = (
    "factorized",
    "all-pairs",
)  # methods whose losses are of several views a listing


@dataclass(frozen=True)
class PretrainSettings:
    """Everything that decides a pretraining run, apart from the catalogue and the towers.

    method: see the top of this file
    loss: "pairwise" or "barycentric" (wares.training.losses); the transports and mean-views score listings in their own way
    fusion: how views are weighed, in training (marginals) and in the fused embedding (marginals and gamma)
    intra_modal: weight of the losses between views of one modality, >= 0
    batch_size: listings in a step at most, >= 2
    epochs: passes over the catalogue
    seconds: train for this long instead of `epochs`; None counts epochs
    learning_rate: of AdamW at the start; it falls to zero along a cosine
    seed: of the order of listings and the draw of views
    """

    method: Method = "factorized"
    loss: Loss = "pairwise"
    fusion: Fusion = field(default_factory=Fusion)
    intra_modal: float = 0.25
    batch_size: int = 128
    epochs: int = 30
    seconds: float | None = None
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in (("method", METHODS), ("loss", get_args(Loss))):
            if getattr(self, name) not in known:
                raise SettingsError(f"no {name} {getattr(self, name)!r}; there are {', '.join(known)}.")
        kind = self.fusion.marginals.kind
        if kind == "learned" and self.method not in MULTI_VIEW_METHODS:
            raise SettingsError(f"marginals are learned by {' or '.join(MULTI_VIEW_METHODS)}, not by {self.method}.")
        if kind == "uniform" and self.method != "mean-views":
            raise SettingsError(f"uniform marginals are those of mean-views, not of {self.method}.")
        for name, least in (("batch_size", 2), ("epochs", 1), ("intra_modal", 0), ("weight_decay", 0)):
            if not getattr(self, name) >= least:
                raise SettingsError(f"{name} must be at least {least}, not {getattr(self, name)}.")
        for name in ("learning_rate", "seconds"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise SettingsError(f"{name} must be above 0, not {getattr(self, name)}.")


def method_fusion(method: Method, fusion: Fusion) -> Fusion:
    """How a method's views are fused: as it sees them, where it knows no marginals, else as asked."""
    match method:
        case "single-view" | "joint-text":
            return replace(fusion, marginals=Marginals("fixed", alpha=1.0, beta=1.0))
        case "mean-views":
            return replace(fusion, marginals=Marginals("uniform"))
        case _:
            return fusion


@dataclass(frozen=True)
class TrainerSettings:
    """How backbones are trained; what is learned is the recipe's matter.

    image_backbone, text_backbone: "frozen", "last-N", "lora" or "all" (wares.encoders.backbones)
    backbone_learning_rate: learning rate of the backbones; heads have the recipe's
    bf16: compute in bfloat16, keep weights and losses in float32
    gradient_accumulation_steps: batches whose gradients are added up for one step of the optimiser, >= 1
    mini_batch_size: see ListingEncoder; for batches that do not fit into memory
    augment: show photos a little differently each time (wares.data.photos.augment)
    compile: compile the backbones (torch.compile)
    num_workers: processes that decode photos for each that trains, where photos are read at all; 0 decodes in that one,
        None shares out the machine's cores
    checkpoint_steps: steps between checkpoints
    report_to: trackers among those of transformers, as "tensorboard" or "wandb"
    """

    image_backbone: str = FROZEN
    text_backbone: str = FROZEN
    backbone_learning_rate: float = 2e-5
    bf16: bool = False
    gradient_accumulation_steps: int = 1
    mini_batch_size: int | None = None
    augment: bool = True
    compile: bool = False
    num_workers: int | None = None
    checkpoint_steps: int = 200
    report_to: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_backbone_mode(self.image_backbone)
        check_backbone_mode(self.text_backbone)
        for name, least in (
            ("gradient_accumulation_steps", 1),
            ("num_workers", 0),
            ("checkpoint_steps", 1),
            ("mini_batch_size", 1),
        ):
            if getattr(self, name) is not None and not getattr(self, name) >= least:
                raise SettingsError(f"{name} must be at least {least}, not {getattr(self, name)}.")
        if not self.backbone_learning_rate > 0:
            raise SettingsError(f"backbone_rate must be above 0, not {self.backbone_learning_rate}.")

    @property
    def backbones_frozen(self) -> bool:
        """Whether no backbone is trained, so that heads on cached features are all there is to train."""
        return self.image_backbone == self.text_backbone == FROZEN
