"""Training the backbone of a tower: all weights, the last blocks, or low-rank adapters (LoRA).

    train_backbone(towers.image, "last-2")
    train_backbone(towers.text, "lora")
    ...
    merge_adapters(towers.text)

A trained backbone becomes part of the tower's weights and is saved with them.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from wares.core.errors import SettingsError
from wares.encoders.base import ImageTower
from wares.encoders.settings import FROZEN, check_backbone_mode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import TrainingArguments

    from wares.encoders.base import Tower


LORA_RANK = 16  # of the adapters


def unfreeze_backbone(tower: Tower, mode: str) -> None:
    """Make the backbone of a tower trainable, in place; "frozen" changes nothing.

    mode: "all"; "last-N", the last N blocks and all layers after them; or "lora", adapters of rank 16 on every
        linear layer (arXiv 2106.09685), which `merge_adapters` adds to the weights after training

    Weights without a gradient, such as an unused pooling layer, stay frozen, because distributed training needs a
    gradient for every trained weight in every step.

    Raises SettingsError if the mode is unknown or does not fit the backbone.
    """
    if check_backbone_mode(mode) == FROZEN:
        return
    backbone = tower.trainable_backbone()
    if backbone is None:
        raise SettingsError(
            f'the tower "{tower.key}" has no backbone: it is always trained completely. Leave its mode at "frozen".'
        )
    backbone.requires_grad_(False)
    if mode == "all":
        backbone.requires_grad_(True)
    elif mode == "lora":
        _add_adapters(backbone)
    else:
        for parameter in _last_blocks(backbone, int(mode.removeprefix("last-"))):
            parameter.requires_grad_(True)
    tower.trained_backbone = backbone
    _freeze_weights_without_gradient(tower)


def compile_backbone(tower: Tower) -> None:
    """Compile a trained backbone in place with torch.compile; a frozen one is left as it is."""
    parts = (
        tower.trained_backbone.values()
        if isinstance(tower.trained_backbone, nn.ModuleDict)
        else [tower.trained_backbone]
    )
    for part in parts:
        if part is not None:
            part.compile()


def merge_adapters(tower: Tower) -> None:
    """Add low-rank adapters to the weights that they adapt, and remove them."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for module in list(tower.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, BaseTunerLayer):
                child.merge()
                setattr(module, name, child.get_base_layer())


def _add_adapters(backbone: nn.Module) -> None:
    from peft import LoraConfig, inject_adapter_in_model

    # A top-level linear layer is a projection, which a joint model also has under a name of its own.
    linear = [name for name, module in backbone.named_modules() if isinstance(module, nn.Linear) and "." in name]
    if not linear:
        raise SettingsError('this backbone has no linear layers for LoRA. Use "last-N" or "all".')
    inject_adapter_in_model(LoraConfig(r=LORA_RANK, lora_alpha=2 * LORA_RANK, target_modules=linear), backbone)


def _last_blocks(backbone: nn.Module, count: int) -> Iterator[nn.Parameter]:
    """Weights of the last blocks of the longest list of blocks, and of all layers after them."""
    blocks = max(map(_similar_children, backbone.modules()), key=len)
    if count > len(blocks):
        raise SettingsError(f'this backbone has {len(blocks)} blocks, fewer than "last-{count}" needs. Use "all".')
    first = next(blocks[-count].parameters())
    parameters = iter(backbone.parameters())
    for parameter in parameters:
        if parameter is first:
            yield parameter
            break
    yield from parameters


def _similar_children(module: nn.Module) -> list[nn.Module]:
    """Children with weights of the commonest class in a list of modules; empty for other modules."""
    if not isinstance(module, nn.ModuleList | nn.Sequential):
        return []
    with_weights = [child for child in module if next(child.parameters(), None) is not None]
    classes = Counter(type(child) for child in with_weights).most_common(1)
    return [child for child in with_weights if type(child) is classes[0][0]] if classes else []


def _freeze_weights_without_gradient(tower: Tower) -> None:
    item = np.full((tower.size, tower.size, 3), 99, dtype=np.uint8) if isinstance(tower, ImageTower) else "a text"
    with torch.enable_grad():
        inputs = {name: value.to(tower.device) for name, value in tower.preprocess([item]).items()}
        tower(tower.encode(inputs)).sum().backward()
    for parameter in tower.parameters():
        parameter.requires_grad_(parameter.requires_grad and parameter.grad is not None)
        parameter.grad = None


def use_one_gpu(arguments: TrainingArguments) -> None:
    """Train on one GPU per process, in place of transformers' copies of the model on all GPUs that a process sees.

    Those copies (DataParallel) receive parts of the tensors of a batch, but all of its texts: the scores of a row would
    belong to other queries. torchrun starts a process per GPU instead.
    """
    arguments._n_gpu = min(arguments.n_gpu, 1)
