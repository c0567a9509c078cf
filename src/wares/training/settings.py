"""Settings of pretraining, fine-tuning and the backbone trainer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from wares.core.errors import SettingsError
from wares.encoders.settings import FROZEN, Fusion, Marginals, check_backbone_mode

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
MULTI_VIEW_METHODS: tuple[Method, ...] = ("factorized", "all-pairs")  # their losses use several views per listing


@dataclass(frozen=True)
class PretrainSettings:
    """Everything that decides a pretraining run, apart from the catalogue and the towers.

    The methods are described in wares.training.pretraining, the losses in wares.training.losses. The transport methods
    and mean-views have scores of their own and ignore `loss`.

    Raises SettingsError if a value is unknown, out of range or does not fit the method.

    Example:
        >>> from wares import PretrainSettings
        >>> PretrainSettings(epochs=5, seed=1).batch_size
        128
    """

    method: Method = "factorized"
    """Which views a training step encodes, and how two listings are scored."""
    loss: Loss = "pairwise"
    """Loss between photos and texts: pairwise or barycentric."""
    fusion: Fusion = field(default_factory=Fusion)
    """Weights of the views in training and in the fused embedding."""
    intra_modal: float = 0.25
    """Weight of the losses between views of one modality, at least 0."""
    batch_size: int = 128
    """Largest number of listings in a training step, at least 2."""
    epochs: int = 60
    """Passes over the catalogue, at least 1."""
    seconds: float | None = None
    """Training time in seconds, above 0, instead of a number of epochs."""
    learning_rate: float = 1e-3
    """Learning rate of AdamW at the start, above 0; it falls to zero along a cosine."""
    weight_decay: float = 0.01
    """Weight decay of AdamW, at least 0."""
    photo_dropout: float = 0.3
    """Fraction of the features of a frozen image backbone that a step drops, at least 0 and below 1; joint models keep
    all features."""
    seed: int = 0
    """Seed of the order of listings, of the sampled views and of the dropped features."""

    def __post_init__(self) -> None:
        for name, known in (("method", METHODS), ("loss", get_args(Loss))):
            if getattr(self, name) not in known:
                raise SettingsError(f"unknown {name} {getattr(self, name)!r}. Choose one of {', '.join(known)}.")
        kind = self.fusion.marginals.kind
        if kind == "learned" and self.method not in MULTI_VIEW_METHODS:
            raise SettingsError(
                f"{self.method} does not learn marginals. Use {' or '.join(MULTI_VIEW_METHODS)}, or other marginals."
            )
        _check_minimum(self, batch_size=2, epochs=1, intra_modal=0, weight_decay=0, photo_dropout=0, seed=0)
        _check_positive(self, "learning_rate", "seconds")
        if not self.photo_dropout < 1:
            raise SettingsError(f"photo_dropout must be below 1, not {self.photo_dropout}.")


@dataclass(frozen=True)
class FinetuneSettings:
    """Everything that decides a fine-tuning run, apart from the data and the training of backbones.

    Hard negatives are listings that the model ranks high for a query before fine-tuning. The best few ranks are left
    out by default, because they often hold relevant listings that nobody clicked. The logQ correction (Yi et al.,
    RecSys 2019) keeps popular listings, which are often in-batch negatives, from being pushed away.

    Raises SettingsError if a value is out of range.

    Example:
        >>> from wares.training import FinetuneSettings
        >>> FinetuneSettings(hard_negatives=4).hard_negative_ranks
        (10, 100)
    """

    batch_size: int = 128
    """Interactions in a training step, at least 2."""
    epochs: int = 3
    """Passes over the interactions, at least 1."""
    learning_rate: float = 5e-4
    """Learning rate of the heads at the start, above 0; it falls to zero along a cosine."""
    temperature: float = 0.03
    """Highest temperature of the loss, above 0; a model of a lower one keeps its own. Pretraining has a higher one,
    because it would fit the few pairs of a catalogue by heart; here queries repeat, and are to be learned."""
    weight_decay: float = 0.01
    """Weight decay of AdamW, at least 0."""
    hard_negatives: int = 2
    """Hard negatives for each query in a training step, at least 0."""
    hard_negative_ranks: tuple[int, int] = (10, 100)
    """Ranks that hard negatives are sampled from: the first, counted from 0, and the one after the last."""
    logq_correction: bool = True
    """Correct the scores of in-batch negatives for the popularity of listings (logQ)."""
    train_image_head: bool = True
    """Train the image head as well as the text tower."""
    seed: int = 0
    """Seed of the order of interactions, of the sampled views and of the hard negatives."""

    def __post_init__(self) -> None:
        _check_minimum(self, batch_size=2, epochs=1, hard_negatives=0, weight_decay=0, seed=0)
        _check_positive(self, "learning_rate", "temperature")
        first, last = self.hard_negative_ranks
        if not 0 <= first < last:
            raise SettingsError(f"hard_negative_ranks must be two increasing ranks from 0, not {first} and {last}.")


@dataclass(frozen=True)
class TrainerSettings:
    """How backbones are trained; the settings of the recipe decide the rest.

    A backbone is "frozen", trained in its last N blocks ("last-N"), through low-rank adapters ("lora"), or trained
    completely ("all"); see wares.encoders.backbones.

    Raises SettingsError if a value is unknown or out of range.

    Example:
        >>> from wares.training import TrainerSettings
        >>> TrainerSettings(text_backbone="lora").backbones_frozen
        False
    """

    image_backbone: str = FROZEN
    """Trained part of the image backbone: frozen, last-N (its last N blocks), lora or all."""
    text_backbone: str = FROZEN
    """Trained part of the text backbone: frozen, last-N (its last N blocks), lora or all."""
    backbone_learning_rate: float = 2e-5
    """Learning rate of trained backbones at the start, above 0."""
    bf16: bool = False
    """Compute in bfloat16; weights and losses stay in float32."""
    gradient_accumulation_steps: int = 1
    """Batches whose gradients are added before each optimiser step, at least 1."""
    mini_batch_size: int | None = None
    """Views encoded at once, at least 1, for batches that do not fit in memory; the gradients are the same."""
    augment: bool = True
    """Vary crop, brightness and contrast of the photos that a trained image backbone reads."""
    compile: bool = False
    """Compile trained backbones with torch.compile."""
    num_workers: int | None = None
    """Photo decoding processes per training process, at least 0; by default the cores are shared equally."""
    checkpoint_steps: int = 200
    """Training steps between checkpoints, at least 1."""
    report_to: tuple[str, ...] = ()
    """Experiment trackers supported by transformers, such as tensorboard or wandb."""

    def __post_init__(self) -> None:
        check_backbone_mode(self.image_backbone)
        check_backbone_mode(self.text_backbone)
        _check_minimum(self, gradient_accumulation_steps=1, num_workers=0, checkpoint_steps=1, mini_batch_size=1)
        _check_positive(self, "backbone_learning_rate")

    @property
    def backbones_frozen(self) -> bool:
        """True if no backbone is trained, so that only heads on cached features are."""
        return self.image_backbone == self.text_backbone == FROZEN


def method_fusion(method: Method, fusion: Fusion) -> Fusion:
    """The fusion that fits a method: its own marginals if it has any, otherwise those given."""
    match method:
        case "single-view" | "joint-text":
            return replace(fusion, marginals=Marginals("fixed", alpha=1.0, beta=1.0))
        case "mean-views":
            return replace(fusion, marginals=Marginals("fixed", alpha=0.5, beta=0.5))
        case _:
            return fusion


def _check_minimum(settings: object, **minimums: int) -> None:
    """Raise SettingsError if a setting is below its minimum; None has no minimum."""
    for name, minimum in minimums.items():
        value = getattr(settings, name)
        if value is not None and not value >= minimum:
            raise SettingsError(f"{name} must be at least {minimum}, not {value}.")


def _check_positive(settings: object, *names: str) -> None:
    """Raise SettingsError if a setting is not above 0; None is allowed."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and not value > 0:
            raise SettingsError(f"{name} must be above 0, not {value}.")
