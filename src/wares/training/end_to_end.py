"""Recipe: pretraining that trains the backbones too, on photos and texts that are read in every step.

    towers = build_towers("google/siglip2-base-patch16-224")
    features = catalogue_features(catalogue, towers)
    trainer = TrainerSettings(image_backbone="last-2", text_backbone="lora", bf16=True)
    record = pretrain_end_to_end(catalogue, features, towers, PretrainSettings(epochs=5), trainer, out)

Under torchrun or accelerate every process runs this recipe; each encodes its part of a batch and contrasts it with
the whole batch.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from wares.core.errors import SettingsError
from wares.data.duplicates import duplicate_mask
from wares.encoders.marginals import ViewBatch
from wares.training.datasets import ListingDataset
from wares.training.pretraining import (
    ModalityFeatures,
    batch_loss,
    check_trainable,
    mark_trained,
    photo_dropout,
    sample_views,
)
from wares.training.records import digest_views, new_record, save_trained_model
from wares.training.trainer import CHECKPOINT_FOLDER, train_towers

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from wares.data.listings import Catalogue
    from wares.encoders.features import CatalogueFeatures
    from wares.encoders.marginals import SampledViews
    from wares.encoders.towers import Towers
    from wares.training.records import TrainingRecord
    from wares.training.settings import PretrainSettings, TrainerSettings


def pretrain_end_to_end(
    catalogue: Catalogue,
    features: CatalogueFeatures,
    towers: Towers,
    settings: PretrainSettings,
    trainer: TrainerSettings,
    out: Path,
    resume: bool = False,
) -> TrainingRecord:
    """Train the towers and their backbones in place, and save them in `out` with the training record.

    features: features of the catalogue from these towers; a modality with a frozen backbone is trained on them, and
        they know which photos cannot be read
    resume: continue from the checkpoint in `out`, to the same weights as an uninterrupted run

    Raises SettingsError if there is nothing to align or a setting does not apply, ModelError if the checkpoint belongs
    to another run.

    Example:
        >>> from pathlib import Path
        >>> from wares import Catalogue, Listing, PretrainSettings, build_towers
        >>> from wares.encoders import catalogue_features
        >>> from wares.training import TrainerSettings, pretrain_end_to_end
        >>> listings = Listing("1", "Red boots", description="Leather"), Listing("2", "Blue scarf", description="Wool")
        >>> catalogue = Catalogue(Path("."), listings)
        >>> towers = build_towers("small")
        >>> features = catalogue_features(catalogue, towers)
        >>> settings = PretrainSettings(epochs=1)
        >>> pretrain_end_to_end(catalogue, features, towers, settings, TrainerSettings(), Path("model")).steps
        1
    """
    if settings.seconds is not None:
        raise SettingsError("--seconds does not work with trained backbones. Use --epochs.")
    photos = ModalityFeatures.from_views(features.photo_views, features.photos)
    texts = ModalityFeatures.from_views(features.text_views, features.texts)
    check_trainable(photos, texts, settings)
    record = new_record(features, settings)
    record.settings["trainer"] = asdict(trainer)
    towers.photo_attention.requires_grad_(settings.fusion.marginals.kind == "learned")
    sample, dropout = partial(sample_method_views, settings), photo_dropout(towers, settings)
    dataset = ListingDataset.from_catalogue(catalogue, features, towers, trainer, sample, dropout)
    run = {
        "towers": [towers.image.key, towers.text.key],
        "settings": record.settings,
        "listings": len(dataset),
        "photos and texts": digest_views(catalogue, features),
    }
    result = train_towers(
        towers,
        dataset,
        partial(pretraining_loss, settings),
        trainer,
        description=f"pretraining ({settings.method})",
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        seed=settings.seed,
        checkpoint_folder=out / CHECKPOINT_FOLDER,
        run_settings=run,
        resume=resume,
    )
    record.steps, record.seconds, record.losses = result.steps, result.seconds, result.losses
    mark_trained(towers, settings, photos, texts)
    if result.is_first_process:
        save_trained_model(out, towers, record)
    return record


def sample_method_views(
    settings: PretrainSettings, photos: Tensor, photo_draws: Tensor, texts: Tensor, text_draws: Tensor
) -> tuple[SampledViews, SampledViews]:
    """Sample the photos and texts that a step encodes.

    photos, texts: (B,) number of views of each listing
    photo_draws, text_draws: (B,) uniform random numbers in [0, 1)
    """
    marginals = settings.fusion.marginals
    return (
        sample_views(settings.method, photos, marginals.alpha, photo_draws),
        sample_views(settings.method, texts, marginals.beta, text_draws),
    )


def pretraining_loss(settings: PretrainSettings, batch: dict[str, Any]) -> Tensor:
    """The loss that a step minimises, over the listings of all processes."""
    photos, texts = (ViewBatch(batch[f"{side}s"], batch[f"{side}_weights"]) for side in ("photo", "text"))
    return batch_loss(
        photos, texts, duplicate_mask(batch["duplicate_labels"]), batch["scale"], settings, batch["photo_attention"]
    )
