from .early_stopping import select_epochs
from .end_to_end import pretrain_end_to_end
from .finetuning import finetune
from .pretraining import pretrain
from .settings import FinetuneSettings, PretrainSettings, TrainerSettings
from .weight_selection import select_weights

__all__ = [
    "FinetuneSettings",
    "PretrainSettings",
    "TrainerSettings",
    "finetune",
    "pretrain",
    "pretrain_end_to_end",
    "select_epochs",
    "select_weights",
]
