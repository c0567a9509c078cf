"""The command that serves shops: its options from the command line, a file and the environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from processes import wares

from wares.serve.settings import ServeSettings


def test_options_come_from_the_command_line_the_file_and_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[ServeSettings, str, int, int]] = []
    monkeypatch.setattr("wares.serve.running.run", lambda *arguments: calls.append(arguments))
    for name, value in {"PORT": "80", "WORKERS": "3", "CORS_ORIGIN": "https://a,https://b"}.items():
        monkeypatch.setenv(f"WARES_{name}", value)
    (tmp_path / "run.toml").write_text('[serve]\nrate-limit = "20/second"\nworkers = 4\n')
    assert wares("serve", "june=shops/june", "--port", 90, "--config", tmp_path / "run.toml").code == 0
    [(settings, host, port, workers)] = calls
    assert (host, port, workers) == ("127.0.0.1", 90, 3), "the environment wins over the file"
    assert settings.shops == (("june", str(Path("shops/june").absolute())),)
    assert (settings.cors_origin, settings.rate_limit) == (("https://a", "https://b"), "20/second")


def test_a_short_key_is_refused() -> None:
    answer = wares("serve", "shop", "--api-key", "short")
    assert answer.code == 1 and "API key has 5 characters" in answer.err
