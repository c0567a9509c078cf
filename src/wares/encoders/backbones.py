"""Training a tower's backbone: all of it, its last blocks, or adapters of low rank beside its weights (LoRA).

    train_backbone(towers.image, "last-2")
    train_backbone(towers.text, "lora")
    ...
    merge_adapters(towers.text)

A backbone that is trained becomes part of the tower's weights and is saved with them.
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

    from wares.encoders.base import Tower


LORA_RANK = 16  # of the adapters


def unfreeze_backbone(tower: Tower, mode: str) -> None:
    """Let training reach a tower's backbone, in place; "frozen" leaves it as it is.

    mode: "all"; "last-N", the last N blocks and what comes after them; or "lora", adapters of rank 16 on every
        linear layer (arXiv 2106.09685), to be merged into the weights when training is over

    Weights that no gradient reaches, as an unused pooling layer, are left out of training, so that every trained
    weight has a gradient in every step, which distributed training relies on. Raises SettingsError.
    """
    if check_backbone_mode(mode) == FROZEN:
        return
    backbone = tower.trainable_backbone()
    if backbone is None:
        raise SettingsError(f'a tower that starts from scratch ("{tower.key}") is always trained whole.')
    backbone.requires_grad_(False)
    if mode == "all":
        backbone.requires_grad_(True)
    elif mode == "lora":
        _add_adapters(backbone)
    else:
        for parameter in _last_blocks(backbone, int(mode.removeprefix("last-"))):
            parameter.requires_grad_(True)
    tower.trained_backbone = backbone
    _leave_out_unreached(tower)


def compile_backbone(tower: Tower) -> None:
    """Compile a trained backbone in place (torch.compile); nothing where it is frozen."""
    parts = (
        tower.trained_backbone.values()
        if isinstance(tower.trained_backbone, nn.ModuleDict)
        else [tower.trained_backbone]
    )
    for part in parts:
        if part is not None:
            part.compile()


def merge_adapters(tower: Tower) -> None:
    """Add the adapters to the weights they stand beside and remove them; nothing where there are none."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for module in list(tower.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, BaseTunerLayer):
                child.merge()
                setattr(module, name, child.get_base_layer())


def _add_adapters(backbone: nn.Module) -> None:
    from peft import LoraConfig, inject_adapter_in_model

    # A linear layer at the top is a projection, which a joint model also holds under its own name.
    linear = [name for name, module in backbone.named_modules() if isinstance(module, nn.Linear) and "." in name]
    if not linear:
        raise SettingsError('this backbone has no linear layers for LoRA; train it with "last-N" or "all".')
    inject_adapter_in_model(LoraConfig(r=LORA_RANK, lora_alpha=2 * LORA_RANK, target_modules=linear), backbone)


def _last_blocks(backbone: nn.Module, count: int) -> Iterator[nn.Parameter]:
    """Weights of the last blocks of the longest run of like blocks, and of everything after them."""
    blocks = max(map(_alike, backbone.modules()), key=len)
    if count > len(blocks):
        raise SettingsError(f'this backbone has {len(blocks)} blocks, so "last-{count}" is too many. Use "all".')
    first = next(blocks[-count].parameters())
    parameters = iter(backbone.parameters())
    for parameter in parameters:
        if parameter is first:
            yield parameter
            break
    yield from parameters


def _alike(module: nn.Module) -> list[nn.Module]:
    """The children of a list of modules that are of its commonest kind, if they hold weights."""
    if not isinstance(module, nn.ModuleList | nn.Sequential):
        return []
    weighty = [child for child in module if next(child.parameters(), None) is not None]
    kinds = Counter(type(child) for child in weighty).most_common(1)
    return [child for child in weighty if type(child) is kinds[0][0]] if kinds else []


def _leave_out_unreached(tower: Tower) -> None:
    item = np.full((tower.size, tower.size, 3), 99, dtype=np.uint8) if isinstance(tower, ImageTower) else "a text"
    with torch.enable_grad():
        inputs = {name: value.to(tower.device) for name, value in tower.preprocess([item]).items()}
        tower(tower.encode(inputs)).sum().backward()
    for parameter in tower.parameters():
        parameter.requires_grad_(parameter.requires_grad and parameter.grad is not None)
        parameter.grad = None
