"""Commands that train towers: pretrain and finetune."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from processes import done, environment, refused, wares
from story import Shop, goods

MEASURES = ["nDCG@10", "R@10", "R@100", "R@500", "AP", "RR"]


def test_what_is_somebody_elses_is_not_written_over(shop: Shop, lamps: Path) -> None:
    small = ("--towers", "small", "--epochs", 1, "--no-select-weights", "--overwrite")
    for out in (lamps, shop.path):
        before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
        assert "is not empty and is not a model" in refused("pretrain", shop.catalogue, "--out", out, *small)
        run = ("supervise", lamps, "--queries", lamps / "queries.jsonl", "--out", out)
        (lamps / "queries.jsonl").write_text('{"id": "1", "text": "oak"}\n')
        before |= {lamps / "queries.jsonl": (lamps / "queries.jsonl").read_bytes()} if out == lamps else {}
        assert "is not empty and is not a supervision run" in refused(*run)
        assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_pretrain_leaves_a_complete_record(shop: Shop) -> None:
    record = json.loads((shop.model / "pretrain.json").read_text(encoding="utf-8"))
    assert record == shop.pretrain.json
    assert record["settings"]["method"] == "factorized"
    assert record["settings"]["seed"] == 0
    assert record["settings"]["fusion"]["marginals"]["kind"] == "agreement"
    assert (record["listings"], record["skipped_photos"], record["resumed"]) == (40, 0, 0)
    tried = {int(epochs): value for epochs, value in record["early_stopping"]["log_probs"].items()}
    epochs = max(tried, key=tried.__getitem__)
    assert list(tried) == [1, 2, 3]
    assert len(record["losses"]) == record["settings"]["epochs"] == record["steps"] == epochs
    assert record["seconds"] > 0
    assert {"python", "torch", "wares", "numpy"} <= record["versions"].keys()
    assert not (shop.model / "checkpoint.pt").exists()


def test_pretrain_chooses_the_weights_that_are_not_given(shop: Shop, tmp_path: Path) -> None:
    train = ("pretrain", shop.catalogue, "--towers", "small", "--epochs", 1, "--out")
    record = done(*train, tmp_path / "one", "--alpha", 0.6, "--json").json
    marginals, choice = record["settings"]["fusion"]["marginals"], record["choice"]
    chosen = {"alpha": 0.6, "beta": marginals["beta"], "intra_modal": record["settings"]["intra_modal"]}
    assert choice["chosen"] == chosen
    assert len(choice["candidates"]) > 1
    assert chosen in [{name: each[name] for name in chosen} for each in choice["candidates"]]
    assert json.loads((tmp_path / "one" / "pretrain.json").read_text(encoding="utf-8"))["choice"] == choice
    assert "Weights selected without labels" in done(*train, tmp_path / "two", "--beta", 1, "--intra-modal", 0).out
    given = done(*train, tmp_path / "three", "--no-select-weights", "--beta", 0.7, "--json").json["choice"]
    assert given["chosen"] == {"alpha": 0.5, "beta": 0.7, "intra_modal": 0.25}
    assert given["candidates"] == []


def test_a_model_is_replaced_only_on_purpose(tmp_path: Path) -> None:
    catalogue, model = goods(tmp_path / "c"), tmp_path / "model"
    train = ("pretrain", catalogue, "--towers", "small", "--epochs", 1, "--no-select-weights", "--out", model)
    assert f"{model} has no checkpoint to resume" in refused(*train, "--resume")
    done(*train)
    before = (model / "towers.safetensors").read_bytes()
    assert "already holds a model" in refused(*train, "--seed", 5)
    assert "is finished; there is nothing to resume" in refused(*train, "--resume")
    assert (model / "towers.safetensors").read_bytes() == before
    done(*train, "--seed", 5, "--overwrite")
    assert (model / "towers.safetensors").read_bytes() != before
    assert json.loads((model / "pretrain.json").read_text())["settings"]["seed"] == 5


def test_finetune_measures_what_it_gained_on_later_interactions(shop: Shop, tmp_path: Path) -> None:
    tune = ("finetune", shop.catalogue, "--interactions", shop.catalogue / "interactions.jsonl", "--model", shop.model)
    said = done(*tune, "--out", tmp_path / "tuned", "--epochs", 1, "--json", tmp_path / "gain.json").out
    measured = json.loads((tmp_path / "gain.json").read_text())
    assert set(measured) == {"new", "learned"}
    assert "not together in training" in said and "were together in training" in said
    found = measured["new"]
    assert set(found["systems"]) == {"pretrained", "fine-tuned"}
    assert all(set(means) == set(MEASURES) for means in found["systems"].values())
    assert f"wares index {shop.catalogue} --model {tmp_path / 'tuned'} --out SHOP" in " ".join(said.split())
    record = json.loads((tmp_path / "tuned" / "finetune.json").read_text())
    assert record["settings"]["interactions"] > 100
    card = (tmp_path / "tuned" / "README.md").read_text()
    assert f"| fine-tuned | {found['systems']['fine-tuned']['nDCG@10']:.3f} |" in card
    done("index", shop.catalogue, "--model", tmp_path / "tuned", "--out", tmp_path / "shop")
    assert "already holds a model" in refused(*tune, "--out", tmp_path / "tuned")
    assert "Write it as purchase=5" in refused(*tune, "--out", tmp_path / "other", "--kind-weight", "purchase=much")
    misused = wares(*tune, "--out", tmp_path / "other", "--test-fraction", 1)
    assert misused.code == 2 and "Must be < 1" in misused.err


def test_interactions_of_unknown_listings_are_named_or_left_out(shop: Shop, tmp_path: Path) -> None:
    rows = (shop.catalogue / "interactions.jsonl").read_text().splitlines()
    (tmp_path / "clicks.jsonl").write_text("\n".join([*rows[:60], '{"query": "mug", "listing": "gone", "time": 0}']))
    tune = (
        "finetune",
        shop.catalogue,
        "--interactions",
        tmp_path / "clicks.jsonl",
        "--model",
        shop.model,
        "--epochs",
        1,
    )
    assert "clicks.jsonl, line 61" in refused(*tune, "--out", tmp_path / "tuned")
    answer = done(*tune, "--out", tmp_path / "tuned", "--on-error", "skip")
    assert "'gone' is not in the catalogue" in answer.err


def test_backbones_are_trained_and_the_shop_is_built_of_them(shop: Shop, shelf: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    train = (
        "pretrain",
        shop.catalogue,
        "--towers",
        shelf / "clip",
        "--epochs",
        1,
        "--num-workers",
        0,
        "--no-select-weights",
    )
    answer = done(*train, "--image-backbone", "last-1", "--text-backbone", "lora", "--out", model, "--json").json
    assert answer["settings"]["trainer"]["text_backbone"] == "lora"
    assert json.loads((model / "towers.json").read_text())["trained"] == ["image", "text"]
    made = done("index", shop.catalogue, "--model", model, "--out", tmp_path / "shop", "--json").json
    assert made["listings"] == 40
    assert done("search", tmp_path / "shop", "red boots", "--json").json
    clicks = ("--interactions", shop.catalogue / "interactions.jsonl", "--text-backbone", "last-1", "--epochs", 1)
    how = (
        "--bf16",
        "--gradient-accumulation-steps",
        2,
        "--mini-batch-size",
        16,
        "--num-workers",
        0,
        "--checkpoint-steps",
        5,
        "--no-augment",
    )
    done("finetune", shop.catalogue, "--model", model, *clicks, *how, "--out", tmp_path / "tuned")
    trainer = json.loads((tmp_path / "tuned" / "finetune.json").read_text())["settings"]["trainer"]
    assert (
        trainer["bf16"],
        trainer["gradient_accumulation_steps"],
        trainer["mini_batch_size"],
        trainer["augment"],
    ) == (
        True,
        2,
        16,
        False,
    )
    assert "last-N" in refused(*train, "--image-backbone", "some", "--out", tmp_path / "other")
    assert "epochs" in refused(*train, "--image-backbone", "all", "--seconds", 3, "--out", tmp_path / "other")


@pytest.mark.slow
def test_torchrun_trains_on_two_processes(shop: Shop, shelf: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    code = "from wares.cli.main import main\nif __name__ == '__main__':\n    main()\n"
    (tmp_path / "run.py").write_text(code)
    train = ["pretrain", shop.catalogue, "--towers", shelf / "clip", "--epochs", 1, "--out", tmp_path / "model"]
    options = ["--image-backbone", "last-1", "--num-workers", 0]
    environ = environment() | {"OMP_NUM_THREADS": "1"}
    run = [*command, tmp_path / "run.py", *train]
    answer = subprocess.run([*map(str, [*run, *options])], capture_output=True, text=True, env=environ)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.count("Next: wares index") == 1
    done("index", shop.catalogue, "--model", tmp_path / "model", "--out", tmp_path / "shop")
    heads = subprocess.run([*map(str, [*run, "--overwrite"])], capture_output=True, text=True, env=environ)
    assert heads.returncode != 0
    assert "train in one process, in seconds" in heads.stderr


SLOW = """
from wares.cli.main import main
from wares.training import pretraining

pretraining.CHECKPOINT_SECONDS = 0.0
main()
"""


def test_a_killed_run_is_resumed_from_the_command_line(tmp_path: Path) -> None:
    """SIGKILL in the middle of training; --resume goes on where the last checkpoint was."""
    catalogue, model = goods(tmp_path / "c"), tmp_path / "model"
    train = ["pretrain", catalogue, "--towers", "small", "--seed", 3, "--no-select-weights", "--out", model]
    child = [sys.executable, "-c", SLOW, *map(str, [*train, "--epochs", 100_000])]
    with subprocess.Popen(child, env=environment(), stderr=subprocess.DEVNULL) as killed:
        deadline = time.monotonic() + 100
        while not (model / "checkpoint.pt").exists() and killed.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        killed.send_signal(signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL
    assert (model / "checkpoint.pt").exists() and not (model / "towers.json").exists()

    assert "an interrupted run" in refused(*train, "--epochs", 7), "it is not begun anew unasked"
    assert "belongs to a run with other settings" in refused(*train, "--epochs", 7, "--resume")
    assert "is not a model" in refused("index", catalogue, "--model", model, "--out", tmp_path / "shop")
    state = torch.load(model / "checkpoint.pt", weights_only=True)
    passed = len(state["record"]["losses"])
    assert passed >= 1
    state["record"]["settings"]["epochs"] = state["run"]["settings"]["epochs"] = passed + 2  # so that the end is near
    torch.save(state, model / "checkpoint.pt")
    photo, other = sorted(path for path in catalogue.rglob("*") if path.suffix in {".png", ".jpg"})[:2]
    before = photo.read_bytes()
    photo.write_bytes(other.read_bytes())
    resumed = (*train, "--epochs", passed + 2, "--resume")
    assert "belongs to a run with other photos and texts" in refused(*resumed)
    photo.write_bytes(before)
    record = done(*resumed, "--json").json
    assert (record["resumed"], record["steps"], len(record["losses"])) == (1, passed + 2, passed + 2)
    assert record["losses"][:passed] == state["record"]["losses"]
    assert not (model / "checkpoint.pt").exists()
    done("index", catalogue, "--model", model, "--out", tmp_path / "shop")
