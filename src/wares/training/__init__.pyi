from .end_to_end import pretrain_end_to_end
from .finetuning import finetune
from .pretraining import pretrain
from .settings import FinetuneSettings, PretrainSettings, TrainerSettings
from .weight_selection import choose_settings

__all__ = [
    "FinetuneSettings",
    "PretrainSettings",
    "TrainerSettings",
    "choose_settings",
    "finetune",
    "pretrain",
    "pretrain_end_to_end",
]
