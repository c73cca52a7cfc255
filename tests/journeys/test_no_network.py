"""Nothing that Myna does at run time asks the network: each way into it is closed here, and all goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Python tells an audit hook of each look-up and each connection before it is made, whoever asks for it.
CLOSED = """
import os, sys

def refuse(event, arguments):
    host = str(arguments[0] if event == "socket.getaddrinfo" else arguments[1][0] if event == "socket.connect" else "")
    if event in ("socket.getaddrinfo", "socket.connect") and host not in ("", "localhost", "127.0.0.1", "::1"):
        os.write(2, f"asked the network: {event} {host}\\n".encode())
        os._exit(99)

sys.addaudithook(refuse)
"""
JOURNEY = """
from myna.cli.app import run

for line in sys.stdin.read().splitlines():
    sys.argv = ["myna", *line.split("\\t")]
    status = run()
    if status:
        sys.exit(f"{line}: {status}")
"""
MATH = """
name = "math"
[data]
limit = 20
[model]
glove = "none"
learned_size = 6
encoder_size = 8
decoder_size = 12
token_size = 6
[training]
epochs = 1
"""


def run_closed(code: str, folder: Path, lines: str = "") -> subprocess.CompletedProcess[str]:
    """Run code with the network closed, and without being told that there is none."""
    environment = {name: value for name, value in os.environ.items() if name not in ("HF_HUB_OFFLINE", "MYNA_DATA")}
    environment |= {"MYNA_RUNS": str(folder / "runs"), "HF_HOME": str(folder / "hub")}
    return subprocess.run(
        [sys.executable, "-c", CLOSED + code], input=lines, cwd=folder, env=environment, capture_output=True, text=True
    )


def test_the_door_is_closed(tmp_path: Path) -> None:
    """Else the test below could not fail."""
    for code in (
        "import socket; socket.getaddrinfo('example.org', 80)",
        "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)",
        "import urllib.request; urllib.request.urlopen('http://192.0.2.1/', timeout=1)",
        "from huggingface_hub import model_info; model_info('bert-base-cased')",
    ):
        done = run_closed(code, tmp_path)
        assert done.returncode == 99, code
        assert "asked the network" in done.stderr


@pytest.mark.slow
def test_nothing_asks_the_network(tmp_path: Path, bird_folder: Path, tiny_bert: Path) -> None:
    (tmp_path / "math.toml").write_text(MATH)
    (tmp_path / "birds.toml").write_text('name = "birds"\n[data]\nsize = 8\n[model]\nn = 1\n[training]\nepochs = 1\n')
    photo = next((bird_folder / "birds" / "test").rglob("*.png"))
    bert = ("--set", "model.type=bert_lstm_attn_frozen", "--set", f"model.bert.source={tiny_bert}", "--name", "bert")
    calls: list[tuple[object, ...]] = [
        ("math", "data"),
        ("math", "train", "math.toml"),
        ("math", "train", "math.toml", *bert),
        ("math", "eval", "math", "--beam", 2),
        ("math", "eval", "bert", "--beam", 2),
        ("math", "solve", "what is 2 and 3 ?", "--model", "math"),
        ("birds", "train", "birds.toml", "--data", bird_folder),
        ("birds", "eval", "birds", "--data", bird_folder),
        ("birds", "predict", photo, "--model", "birds"),
        ("report", "make", "math", "birds"),
    ]
    done = run_closed(JOURNEY, tmp_path, "\n".join("\t".join(map(str, call)) for call in calls))
    assert done.returncode == 0, done.stderr
    assert "asked the network" not in done.stderr
