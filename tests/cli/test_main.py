"""Errors, help, usage and configuration of the command line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from processes import done, environment, process, refused, wares
from story import Shop, goods

from wares.cli.main import app, commands
from wares.cli.options import INTEGERS, shown_default
from wares.core.errors import SettingsError
from wares.encoders.settings import MARGINAL_KINDS, Marginals
from wares.shop.systems import SYSTEMS
from wares.supervision.settings import SuperviseSettings
from wares.supervision.strategies import STRATEGIES
from wares.training.settings import METHODS, FinetuneSettings, PretrainSettings, TrainerSettings


def test_an_error_is_one_line_and_a_traceback_on_demand(tmp_path: Path) -> None:
    short = process("check", tmp_path / "nowhere")
    assert (short.returncode, short.stdout) == (1, "")
    assert short.stderr == (
        f"wares: {tmp_path}/nowhere does not exist. Name a catalogue's folder or its listings file.\n"
    )
    long = process("--debug", "check", tmp_path / "nowhere")
    assert long.returncode != 0
    assert "Traceback (most recent call last)" in long.stderr and "CatalogueError" in long.stderr


def test_what_the_system_refuses_is_one_line_too(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    out = ("--towers", "small", "--epochs", 1, "--out", tmp_path / "file")
    assert f"{tmp_path}/file" in refused("pretrain", shop.catalogue, *out)
    answer = wares("evaluate", shop.path, *shop.judged, "--json", tmp_path / "none" / "found.json")
    assert answer.code == 1
    assert answer.err == f"wares: {tmp_path}/none/found.json: No such file or directory.\n"


def test_usage_errors_are_one_line_and_exit_with_2(tmp_path: Path) -> None:
    assert "--out is missing. See `wares pretrain --help`" in misused("pretrain", tmp_path)
    assert "SHOP is missing" in misused("search")
    assert 'Unknown command "sell"' in misused("sell")
    run = ("pretrain", tmp_path, "--out", "model")
    assert "Did you mean --epochs?" in misused(*run, "--epoch", 3)
    assert 'Choose from: "stop", "skip"' in misused("index", tmp_path, "--out", "x", "--on-error", "hide")
    assert '--epochs is "few". Give a whole number.' in misused(*run, "--epochs", "few")
    assert "--seed needs a value" in misused(*run, "--seed")
    assert "--hard-negative-ranks needs a value" in misused("finetune", "--hard-negative-ranks", 5)
    assert 'unexpected argument "more"' in misused(*run, "more")
    assert "Must be <= 65535" in misused("serve", "shop", "--port", 70_000)
    assert "epochs must be at least 1, not 0" in refused(*run, "--epochs", 0), "a value out of range exits with 1"


def misused(*arguments: object) -> str:
    """The one line on standard error of a command that was typed wrongly."""
    answer = wares(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("wares: ") and answer.err.count("\n") == 1
    return answer.err


def parsed(*arguments: object) -> dict[str, Any]:
    """What a command would be called with."""
    _, bound, _ = app.parse_args([str(argument) for argument in arguments], exit_on_error=False, print_error=False)
    bound.apply_defaults()
    return bound.arguments


def test_defaults_are_those_of_the_settings() -> None:
    arguments = parsed("pretrain", "goods", "--out", "model")
    assert arguments["catalogue"] == Path("goods")
    assert arguments["settings"] == PretrainSettings()
    assert arguments["trainer"] == TrainerSettings()


def test_options_fill_nested_settings() -> None:
    options = ("--epsilon", 0.3, "--marginals", "fixed", "--seconds", "2.5", "--alpha=1", "--no-augment")
    arguments = parsed("pretrain", "goods", "--out", "model", *options)
    assert arguments["settings"].fusion.marginals == Marginals("fixed", alpha=1.0, epsilon=0.3)
    assert (arguments["settings"].seconds, arguments["trainer"].augment) == (2.5, False)
    assert parsed("supervise", "c", "--queries", "q", "--out", "o", "--epochs", 7)["settings"].training.epochs == 7


def test_lists_repeat_and_those_of_names_split_at_commas() -> None:
    lists = ("--report-to", "wandb,tensorboard", "--report-to", "mlflow", "--text-field", "size, colour")
    arguments = parsed("pretrain", "goods", "--out", "model", *lists)
    assert arguments["trainer"].report_to == ("wandb", "tensorboard", "mlflow")
    assert arguments["reading"].text_field == ["size, colour"]
    run = ("supervise", "goods", "--queries", "q", "--out", "o", "--labelers", "bm25(k1=0.9, b=0.4),rm3")
    assert parsed(*run)["settings"].labelers == ("bm25(k1=0.9, b=0.4)", "rm3")
    assert parsed("serve", "a,b", "--port", 80, "c")["shops"] == ("a,b", "c"), "an argument is never split"


def test_a_file_completes_the_command_line(tmp_path: Path) -> None:
    catalogue, file = goods(tmp_path / "c"), tmp_path / "run.toml"
    file.write_text(
        '[pretrain]\ntowers = "small"\nepochs = 3\nbatch_size = 16\nalpha = 0.7\nselect-weights = false\n'
        "[serve]\nport = 80\n"
    )
    run = ("pretrain", catalogue, "--out", tmp_path / "model", "--config", file, "--epochs", 2, "--json")
    settings = done(*run).json["settings"]
    assert (settings["epochs"], settings["batch_size"]) == (2, 16), "the command line wins"
    assert settings["fusion"]["marginals"]["alpha"] == 0.7
    other = ("pretrain", catalogue, "--out", tmp_path / "other", "--towers", "small", "--epochs", 1, "--json")
    assert done(*other, "--no-select-weights").json["settings"]["batch_size"] == 128, "a file is of one run"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[pretrain]\nepoch = 7\n", r"epoch\W.* from \S*run.toml"),
        ('[pretrain]\nepochs = "many"\n', r'--epochs is "many" in \S*run.toml. Give a whole number'),
        ('[pretrain]\nmethod = "none"\n', r"method\W.* from \S*run.toml.*factorized"),
        ("[pretrain]\ndebug = true\n", r'run.toml: "debug" is no setting of pretrain'),
        ("[pretrian]\nepochs = 7\n", r'run.toml: unknown table "pretrian"'),
        ("[pretrain]\nepochs = 1.5\n", r'--epochs is "1.5" in \S*run.toml. Give a whole number'),
        ("pretrain = 3\n", r'run.toml: "pretrain" is a value. Make it a table, \[pretrain\]'),
        ("epochs = 7\n", r'run.toml: unknown key outside of a table: "epochs"'),
        ("[pretrain\n", r"run.toml is not valid TOML: .*line 1"),
    ],
)
def test_a_wrong_file_is_named_with_its_key(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "run.toml").write_text(text)
    assert re.search(message, misused("pretrain", "c", "--out", "o", "--config", tmp_path / "run.toml"))


@pytest.mark.parametrize("name", commands())
def test_whole_numbers_are_never_rounded(name: str) -> None:
    options = [
        argument.name
        for argument in app[name].assemble_argument_collection(parse_docstring=False)
        if argument.hint in INTEGERS and argument.name.startswith("-")
    ]
    for option in options:
        for value in ("1.5", "0x2", "1e2"):
            typed = [value] * (2 if option == "--hard-negative-ranks" else 1)
            assert f'{option} is "{value}". Give a whole number.' in misused(name, option, *typed)
    assert options or name not in ("pretrain", "finetune", "supervise", "search", "serve", "compare", "queries", "demo")


@pytest.mark.parametrize("settings", [PretrainSettings, FinetuneSettings, SuperviseSettings])
def test_negative_seeds_are_refused(settings: Any) -> None:
    with pytest.raises(SettingsError, match="seed must be at least 0, not -1"):
        settings(seed=-1)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "none.toml: No such file" in refused("check", tmp_path, "--config", tmp_path / "none.toml")


def test_help_of_all_commands_is_light_and_has_a_line_for_each() -> None:
    code = (
        "import sys; sys.argv = ['wares', '--help']\nfrom wares.cli.main import main\ntry: main()\n"
        "except SystemExit: print([m for m in ('torch', 'lancedb', 'pyarrow', 'scipy') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment())
    assert found.stdout.endswith("[]\n"), found.stderr
    for name in commands():
        assert re.search(rf"^  {name} +[A-Z]\w+", found.stdout, re.MULTILINE)
    assert done().out == done("--help").out
    assert re.fullmatch(r"wares \d+\.\d+\.\d+\n", done("--version").out)


@pytest.mark.parametrize("name", commands())
def test_every_option_explains_itself(name: str) -> None:
    text = done(name, "--help-all").out
    assert re.search(rf"^Usage: wares {name}\b", text)
    options = re.split(r"\n  (?=-)", text)[1:]
    assert len(options) > 1
    assert all(re.search(r"\s[A-Z].*\w\S*[.;]", option.replace("\n", " ")) for option in options), name
    assert max(map(len, text.splitlines())) <= 120


def test_help_lists_what_people_type_and_all_on_demand() -> None:
    short, full = (done("pretrain", flag).out for flag in ("--help", "--help-all"))
    assert re.search(r"^  --epochs INT +Passes over the catalogue.*\[default: 60\]", short, re.MULTILINE)
    assert "--weight-decay" not in short and re.search(r"\(\d+ more with --help-all\)", short)
    assert "--weight-decay" in full and "more with" not in full
    assert "--weight-decay" not in done("pretrain", "--help").out, "each call decides for itself"


def test_choices_are_the_literals_of_the_settings() -> None:
    for name, option, choices in (
        ("pretrain", "method", METHODS),
        ("pretrain", "marginals", MARGINAL_KINDS),
        ("supervise", "strategy", STRATEGIES),
        ("search", "system", SYSTEMS),
    ):
        [row] = re.findall(rf"--{option} CHOICE.*?(?=\n  -|\n\n)", done(name, "--help-all").out, re.DOTALL)
        assert f"[{', '.join(choices)}]" in " ".join(row.split())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_completion_scripts_have_all_options(shell: str) -> None:
    script = done("completion", shell).out
    assert "weight-decay" in script and "completion" in script


def test_bash_completes(tmp_path: Path) -> None:
    (tmp_path / "wares.bash").write_text(done("completion", "bash").out)
    script = """
    source wares.bash; COMP_WORDS=(wares pretrain goods --weight-d); COMP_CWORD=3; COMP_LINE="${COMP_WORDS[*]}"
    COMP_POINT=${#COMP_LINE}; $(complete -p wares | sed -E 's/.*-F ([^ ]+).*/\\1/') wares --weight-d goods
    echo "${COMPREPLY[@]}"
    """
    found = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert found.stdout.split() == ["--weight-decay"], found.stderr


def test_defaults_that_go_without_saying() -> None:
    values = (None, False, (), True, ("a", "b"), 3)
    assert [shown_default(value) for value in values] == [None, None, None, "on", "a,b", "3"]
