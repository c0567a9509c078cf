"""Records and checkpoints of a run: complete, and resumed to the same weights after a kill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from processes import environment
from safetensors.torch import load_file
from torch import Tensor
from vector_catalogues import (
    CATALOGUES,
    SHORT,
    equal,
    toy_towers,
    train_weights,
    weights,
)

from wares.core.errors import ModelError
from wares.encoders.features import CatalogueFeatures
from wares.encoders.registry import build_towers
from wares.encoders.settings import Fusion, Marginals
from wares.encoders.towers import Towers
from wares.training.pretraining import pretrain
from wares.training.records import TrainingRecord
from wares.training.settings import METHODS, Method, PretrainSettings

LEARNED_FUSION = Fusion(Marginals("learned"))


@pytest.mark.parametrize("method", METHODS)
def test_the_record_is_complete(method: Method, tmp_path: Path) -> None:
    towers, _, _ = toy_towers()
    settings = replace(SHORT, method=method, fusion=Fusion(Marginals("fixed", 0.7, 0.6), gamma=0.4))
    features = replace(CATALOGUES["many views"], truncated_texts=3)
    record = pretrain(features, towers, settings, out=tmp_path / "deep" / "model")
    written = json.loads((tmp_path / "deep" / "model" / "pretrain.json").read_text())
    assert written == asdict(record)
    assert written["settings"] == asdict(settings)
    assert (written["listings"], written["photos"], written["texts"], written["truncated_texts"]) == (16, 40, 32, 3)
    assert written["steps"] == SHORT.epochs * 2
    assert written["seconds"] > 0
    assert set(written["versions"]) == {"python", "wares", "torch", "numpy"}
    assert sorted(path.name for path in (tmp_path / "deep" / "model").iterdir()) == [
        "README.md",
        "modules.json",
        "pretrain.json",
        "towers.json",
        "towers.safetensors",
    ]
    assert json.loads((tmp_path / "deep" / "model" / "towers.json").read_text())["identity"] == towers.identity


LONG = replace(SHORT, epochs=12)
WORKER = """
import sys, time
from pathlib import Path
import vector_catalogues
from dataclasses import replace
from wares.training import pretraining

out, method = Path(sys.argv[1]), sys.argv[2]
pretraining.CHECKPOINT_SECONDS = 0.0
towers, image, text = vector_catalogues.toy_towers()
forward = image.forward

def stop_in_the_sixth_epoch(features):
    if len(image.rows) == 11:
        (out / "stopped").touch()
        time.sleep(600)
    return forward(features)

image.forward = stop_in_the_sixth_epoch
settings = replace(replace(vector_catalogues.SHORT, epochs=12), method=method)
pretraining.pretrain(vector_catalogues.CATALOGUES["many views"], towers, settings, out=out)
"""


def killed(out: Path, method: Method) -> None:
    """Train in another process, and kill it in the middle of its sixth epoch."""
    command = [sys.executable, "-c", WORKER, str(out), method]
    with subprocess.Popen(command, env=environment(Path(__file__).parent)) as process:
        deadline = time.monotonic() + 100
        while not (out / "stopped").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert (out / "checkpoint.pt").exists()
    assert not (out / "towers.json").exists()


def test_a_killed_run_resumes_to_the_same_weights(tmp_path: Path) -> None:
    killed(tmp_path, "factorized")
    (tmp_path / ".checkpoint.pt.part").write_bytes(b"the beginning of a checkpoi")
    features = CATALOGUES["many views"]
    towers, image, _ = toy_towers(seed=5)  # the weights come from the checkpoint
    record = pretrain(features, towers, LONG, out=tmp_path, resume=True)
    assert len(image.rows) == 2 * (12 - 5)
    assert (record.resumed, record.steps, len(record.losses)) == (1, 24, 12)
    whole, _, _ = toy_towers()
    uninterrupted = pretrain(features, whole, LONG)
    assert equal(weights(towers), weights(whole))
    assert record.losses == uninterrupted.losses
    assert json.loads((tmp_path / "pretrain.json").read_text())["resumed"] == 1
    assert not (tmp_path / "checkpoint.pt").exists()


class Killed(BaseException):
    """Stands for a kill where a second process would prove nothing more."""


def interrupted(out: Path, settings: PretrainSettings, monkeypatch: pytest.MonkeyPatch, passes: int = 5) -> None:
    """Leave the checkpoint of a run that ended in its third epoch."""
    monkeypatch.setattr("wares.training.pretraining.CHECKPOINT_SECONDS", 0.0)
    towers, image, _ = toy_towers()
    forward = image.forward

    def until(features: Tensor) -> Tensor:
        if len(image.rows) == passes:
            raise Killed
        return forward(features)

    monkeypatch.setattr(image, "forward", until)
    with pytest.raises(Killed):
        pretrain(CATALOGUES["many views"], towers, settings, out=out)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_resumes_to_the_same_weights(
    method: Method, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(SHORT, method=method)
    interrupted(tmp_path, settings, monkeypatch)
    towers, _, _ = toy_towers()
    pretrain(CATALOGUES["many views"], towers, settings, out=tmp_path, resume=True)
    assert equal(weights(towers), train_weights(CATALOGUES["many views"], settings))


def test_a_run_may_be_killed_and_resumed_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(tmp_path, SHORT, monkeypatch)
    towers, image, _ = toy_towers()
    forward = image.forward

    def once(features: Tensor) -> Tensor:
        if len(image.rows) == 3:
            raise Killed
        return forward(features)

    monkeypatch.setattr(image, "forward", once)
    with pytest.raises(Killed):
        pretrain(CATALOGUES["many views"], towers, SHORT, out=tmp_path, resume=True)
    towers, _, _ = toy_towers()
    record = pretrain(CATALOGUES["many views"], towers, SHORT, out=tmp_path, resume=True)
    assert record.resumed == 2
    assert equal(weights(towers), train_weights(CATALOGUES["many views"], SHORT))


def refusal(out: Path, features: CatalogueFeatures, settings: PretrainSettings, towers: Towers | None = None) -> str:
    with pytest.raises(ModelError) as caught:
        pretrain(features, towers or toy_towers()[0], settings, out=out, resume=True)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(tmp_path, SHORT, monkeypatch)
    features = CATALOGUES["many views"]
    for other in (replace(SHORT, seed=1), replace(SHORT, epochs=5), replace(SHORT, fusion=Fusion(gamma=0.125))):
        assert "settings" in refusal(tmp_path, features, other)
    assert "listings" in refusal(tmp_path, CATALOGUES["two listings"], SHORT)
    assert "photos" in refusal(tmp_path, CATALOGUES["some without photos"], SHORT)
    towers = build_towers("small")
    assert "towers" in refusal(tmp_path, features, SHORT, towers)
    assert towers.identity == build_towers("small").identity
    pretrain(features, toy_towers()[0], SHORT, out=tmp_path, resume=True)  # refusing left it whole


def test_nothing_to_resume_from_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features = CATALOGUES["many views"]
    assert "no checkpoint" in refusal(tmp_path, features, SHORT)
    for damaged in (b"", b"not a checkpoint"):
        (tmp_path / "checkpoint.pt").write_bytes(damaged)
        assert "checkpoint.pt" in refusal(tmp_path, features, SHORT)
    interrupted(tmp_path, SHORT, monkeypatch)
    whole = (tmp_path / "checkpoint.pt").read_bytes()
    (tmp_path / "checkpoint.pt").write_bytes(whole[: len(whole) // 2])
    assert "checkpoint.pt" in refusal(tmp_path, features, SHORT)


def test_learned_marginals_are_saved_resumed_and_part_of_the_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(SHORT, fusion=LEARNED_FUSION)
    interrupted(tmp_path, settings, monkeypatch)
    towers, _, _ = toy_towers()
    pretrain(CATALOGUES["many views"], towers, settings, out=tmp_path, resume=True)
    assert equal(weights(towers), train_weights(CATALOGUES["many views"], settings))
    assert towers.photo_attention.detach().any()
    saved = load_file(str(tmp_path / "towers.safetensors"))
    assert torch.equal(saved["photo_attention"], towers.photo_attention)
    before = towers.identity
    with torch.no_grad():
        towers.photo_attention[0] += 0.5
    assert towers.identity != before


def test_a_record_says_when_nothing_was_resumed() -> None:
    record = pretrain(CATALOGUES["two listings"], toy_towers()[0], SHORT)
    assert isinstance(record, TrainingRecord)
    assert record.resumed == 0
