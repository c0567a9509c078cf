"""Pretraining a CLIP of the size of ViT-B/16: photos per second, utilisation and memory against the batch size.

    python benchmarks/large_batches.py [--batches 1024,2048,4096,8192,16384] [--mini-batch-size 256] [--out FOLDER]
    python benchmarks/large_batches.py --width 64 --batches 8,16 --mini-batch-size 8 --float32    # on a CPU

Cost        about 6 minutes expected on a data-centre GPU of 80 GB, on which it has not run; 2 minutes for the second
            line on 2 cores; no data, no network.
Writes      large_batches.json in --out; a table goes to stdout.
Expected    photos per second hardly depend on the batch size; cached gradients cost a quarter of them, one more
            forward pass; memory beyond the vectors and the scores of a block of listings does not grow.

A step is the forward pass of `ListingEncoder` over two photos and two texts of each listing, the loss of
`wares pretrain` with its defaults, the backward pass and AdamW, in bfloat16 as with `--bf16`. Weights are random.
Photos and texts are in memory; throughput.py measures the cost of loading them.

Plain       keeps the activations of all views; "too large" if they do not fit into memory
Cached      encodes mini-batches of views, and again in the backward pass (`--mini-batch-size`)
Utilisation operations that the model needs for the step, counted by PyTorch on one listing without recomputation, per
            second, as a fraction of the rate of a matrix product of 8,192 rows in the same precision and run
Memory      peak allocated on the accelerator; on a CPU the peak resident memory so far, so cells run in the order in
            which memory should grow
"""

from __future__ import annotations

import json
import platform
import resource
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cyclopts
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from sentence_transformers import SentenceTransformer
from torch.utils.flop_counter import FlopCounterMode

from wares.encoders.backbones import unfreeze_backbone
from wares.encoders.listing_encoder import ListingEncoder
from wares.encoders.registry import build_towers
from wares.encoders.towers import Towers
from wares.training.end_to_end import pretraining_loss
from wares.training.settings import PretrainSettings
from wares.training.trainer import ListingLoss

SIZE, PATCH, TOKENS, WORDS = 224, 16, 77, 49_408  # as in CLIP
VIEWS = 2  # of each modality
WARM_UP, STEPS = 2, 5
SQUARE = 8192  # rows of the matrix product of which utilisation is a fraction
SEED = 0


def main(
    batches: str = "1024,2048,4096,8192,16384",
    mini_batch_size: int = 256,
    width: int = 768,
    float32: bool = False,
    out: Path = Path("benchmarks/results"),
) -> None:
    """Measure, print and write. width: of the vision transformer, with heads of 64; the text side has 2/3 of it"""
    device = torch.accelerator.current_accelerator() or torch.device("cpu")
    kind = torch.float32 if float32 else torch.bfloat16
    towers = clip(width).to(device)
    for tower in (towers.image, towers.text):
        unfreeze_backbone(tower, "all")
    work = operations(towers)
    reached = matrix_product(device, kind)
    cells = [
        {"batch": int(batch), "gradients": name} | step_cost(towers, int(batch), at_once, kind, work / reached)
        for name, at_once in (("cached", mini_batch_size), ("plain", None))
        for batch in batches.split(",")
    ]
    found = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"device": name_of(device), "system": platform.platform(), "torch": torch.__version__},
        "settings": {"width": width, "mini-batch size": mini_batch_size, "precision": str(kind).removeprefix("torch.")},
        "operations a listing": work,
        "operations a second of a matrix product": reached,
        "steps": cells,
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "large_batches.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    show(found)


def clip(width: int) -> Towers:
    """Towers around a CLIP of random weights."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    text_width = 2 * width // 3 // 64 * 64 or 64
    vision = {"hidden_size": width, "num_attention_heads": width // 64, "patch_size": PATCH, "image_size": SIZE}
    text = {"hidden_size": text_width, "num_attention_heads": text_width // 64, "vocab_size": WORDS}
    sizes = [{**side, "intermediate_size": 4 * side["hidden_size"]} for side in (vision, text)]
    ends = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    torch.manual_seed(SEED)
    model = CLIPModel(CLIPConfig(vision_config=sizes[0], text_config=sizes[1] | ends, projection_dim=text_width))
    with TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        tokenizer().save_pretrained(folder)
        CLIPImageProcessor().save_pretrained(folder)
        return build_towers(folder, SEED)


def tokenizer() -> Any:
    """A tokenizer whose words are numbers."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {word: index for index, word in enumerate(["<pad>", "<s>", "</s>", *map(str, range(WORDS - 3))])}
    plain = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="<pad>", eos_token="</s>", bos_token="<s>")


def batch_of(towers: Towers, listings: int) -> dict[str, Any]:
    """Random photos, and texts as long as the model reads, on the towers' device."""
    random, device = torch.Generator().manual_seed(SEED), towers.logit_scale.device
    photos = torch.randint(256, (VIEWS * listings, SIZE, SIZE, 3), dtype=torch.uint8, generator=random)
    ids = torch.randint(3, WORDS, (VIEWS * listings, TOKENS), generator=random)
    ids[:, -1] = 2  # CLIP reads the text's vector at the end token
    weights = torch.full((listings, VIEWS), 1 / VIEWS)
    return {
        "photos": {"photos": photos.to(device)},
        "photo_weights": weights.to(device),
        "texts": {"input_ids": ids.to(device), "attention_mask": torch.ones_like(ids).to(device)},
        "text_weights": weights.to(device),
        "duplicate_labels": torch.arange(listings)[:, None].expand(-1, 2).to(device),
    }


def operations(towers: Towers) -> float:
    """Floating-point operations of the forward and backward pass over the views of a listing."""
    model = SentenceTransformer(modules=[ListingEncoder(towers)])
    with FlopCounterMode(display=False) as counter:
        batch_loss(model)([batch_of(towers, 2)]).backward()
    towers.zero_grad()
    return float(counter.get_total_flops()) / 2


def batch_loss(model: SentenceTransformer) -> ListingLoss:
    """The loss of pretraining with its defaults."""
    return ListingLoss(model, partial(pretraining_loss, PretrainSettings()))


def matrix_product(device: torch.device, kind: torch.dtype) -> float:
    """Operations a second of a large product."""
    rows = SQUARE if device.type != "cpu" else SQUARE // 4
    square = torch.randn(rows, rows, device=device, dtype=kind)
    return 2.0 * rows**3 / float(np.median(timed(lambda: square @ square, device)))


def step_cost(
    towers: Towers, listings: int, at_once: int | None, kind: torch.dtype, seconds_needed: float
) -> dict[str, Any]:
    """Seconds per step, photos per second, utilisation and memory of a batch size, or that it is too large."""
    device = towers.logit_scale.device
    compute = batch_loss(SentenceTransformer(modules=[ListingEncoder(towers, at_once)]))
    optimiser = torch.optim.AdamW([p for p in towers.parameters() if p.requires_grad], fused=True)
    batch = batch_of(towers, listings)

    def step() -> None:
        with torch.autocast(device.type, kind, enabled=kind != torch.float32):
            encoded = compute.model(batch)
        compute.loss_function(encoded).backward()
        optimiser.step()
        optimiser.zero_grad()

    clear_memory(device)
    try:
        seconds = float(np.median(timed(step, device)))
    except torch.OutOfMemoryError:
        optimiser.zero_grad()
        return {"too large": True}
    return {
        "seconds": seconds,
        "photos a second": VIEWS * listings / seconds,
        "utilisation": seconds_needed * listings / seconds,
        "GiB": highest_memory(device) / 2**30,
    }


def timed(work: Callable[[], Any], device: torch.device) -> list[float]:
    """Seconds of each run, after the warm-up."""
    times = []
    for _ in range(WARM_UP + STEPS):
        began = time.monotonic()
        work()
        if device.type != "cpu":
            torch.accelerator.synchronize()
        times.append(time.monotonic() - began)
    return times[WARM_UP:]


def clear_memory(device: torch.device) -> None:
    """Free cached memory and reset the peak."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def highest_memory(device: torch.device) -> float:
    """Peak memory in bytes."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def name_of(device: torch.device) -> str:
    """Name of the device."""
    return torch.cuda.get_device_name() if device.type == "cuda" else platform.processor() or device.type


def show(found: dict[str, Any]) -> None:
    """The cells as a table."""
    columns = ("seconds", "photos a second", "utilisation", "GiB")
    title = f"{found['machine']['device']}, width {found['settings']['width']}, {found['settings']['precision']}"
    table = Table("batch", "gradients", *columns, title=title)
    for cell in found["steps"]:
        values = ["too large", "", "", ""] if "too large" in cell else [f"{cell[name]:.3g}" for name in columns]
        table.add_row(f"{cell['batch']:,}", cell["gradients"], *values)
    Console().print(table)


if __name__ == "__main__":
    cyclopts.run(main)
