"""Joey NMT beside our models: the same problems, vocabularies and sizes, in a process of its own.

`Joey` is our side. It writes data and configuration into a folder and starts this file with an interpreter that has
Joey NMT 2.3. There `Measurer` builds the model and measures what it is asked to, a line of JSON for each question:

    python3 -m venv /tmp/joey
    /tmp/joey/bin/pip install --constraint constraints.txt torch==2.13.0 joeynmt==2.3.0 importlib_metadata
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

SIDES = ("src", "trg")


class Joey:
    """A Joey NMT model that decodes and trains batches on demand.

    Args:
        python: an interpreter with joeynmt.
        folder: where data and configuration go; must not exist.
        sizes: encoder_size, encoder_layers, decoder_size, embedding_size, input_feeding and dropout of the model.
        vocabularies: words of problems and tokens of programs, without the special ones.
        examples: words and program tokens of each problem; each `batch_size` of them are a batch.
        batch_size: examples of a batch.
        max_steps: most tokens of a program.
        steering: what is added to the logit of the reference's next token in decoding.
    """

    def __init__(
        self,
        python: Path,
        folder: Path,
        sizes: dict[str, Any],
        vocabularies: tuple[Sequence[str], Sequence[str]],
        examples: Sequence[tuple[Sequence[str], Sequence[str]]],
        *,
        batch_size: int,
        max_steps: int,
        steering: float = 0.0,
    ) -> None:
        folder.mkdir()
        for side, vocabulary, sequences in zip(SIDES, vocabularies, zip(*examples, strict=True), strict=True):
            _write_lines(folder / f"vocabulary.{side}", vocabulary)
            _write_lines(folder / f"data.{side}", map(" ".join, sequences))
        config = make_config(folder, sizes, batch_size)
        settings = {"joey": config, "max_steps": max_steps, "steering": steering}
        (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        # What it says on the way goes to a file: a pipe that nobody reads would stop it once it is full.
        self._log = (folder / "log.txt").open("w+", encoding="utf-8")
        command = [str(python), __file__, str(folder)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        self.n_parameters = int(self._answer())

    def decode(self, batch: int, beam_size: int) -> float:
        """Return the CPU seconds that decoding a batch took."""
        return self._ask("decode", batch, beam_size)

    def train(self, batch: int) -> float:
        """Return the CPU seconds that a training step on a batch took."""
        return self._ask("train", batch)

    def close(self) -> None:
        """End the process."""
        self._process.communicate()
        self._log.close()

    def _ask(self, *question: object) -> float:
        print(json.dumps(question), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> float:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            raise SystemExit(f"Joey NMT stopped: {self._log.read().strip()[-2000:]}")
        return float(line)


def make_config(folder: Path, sizes: dict[str, Any], batch_size: int) -> dict[str, Any]:
    """Return Joey's configuration of a BiLSTM, a decoder with Luong's attention, and Adam."""
    sides = {side: {"lang": side, "level": "word", "voc_file": str(folder / f"vocabulary.{side}")} for side in SIDES}
    common = {
        "type": "recurrent",
        "rnn_type": "lstm",
        "dropout": sizes["dropout"],
        "embeddings": {"embedding_dim": sizes["embedding_size"], "dropout": sizes["dropout"]},
    }
    encoder = {"bidirectional": True, "num_layers": sizes["encoder_layers"], "hidden_size": sizes["encoder_size"]}
    decoder = {
        "attention": "luong",
        "num_layers": 1,
        "hidden_size": sizes["decoder_size"],
        "hidden_dropout": sizes["dropout"],
        "input_feeding": sizes["input_feeding"],
    }
    return {
        "name": "benchmark",
        "model_dir": str(folder / "model"),
        "use_cuda": False,
        "data": {"train": str(folder / "data"), **sides},
        "model": {"encoder": {**common, **encoder}, "decoder": {**common, **decoder}},
        "training": {
            "optimizer": "adam",
            "scheduling": "exponential",  # its other schedulers fail on current torch
            "clip_grad_norm": 1.0,
            "label_smoothing": 0.05,
            "normalization": "tokens",
            "batch_size": batch_size,
        },
        "testing": {},
    }


def _write_lines(path: Path, lines: Any) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


class Measurer:
    """The side inside Joey's interpreter: model, batches and clock.

    A random model would never end its programs. So the logit of the reference's next token is raised, by the same
    amount as in our models; the row of a hypothesis is known by its mask, in which each problem has its own number.
    """

    def __init__(self, folder: Path) -> None:
        import torch
        from joeynmt.config import parse_global_args
        from joeynmt.data import load_data
        from joeynmt.model import build_model
        from joeynmt.training import TrainManager

        torch.set_num_threads(1)
        torch.manual_seed(0)
        self.settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
        args = parse_global_args(self.settings["joey"], mode="train")
        args.model_dir.mkdir()
        source, target, data, *_ = load_data(args.data, datasets=["train"])
        self.model = build_model(args.model, src_vocab=source, trg_vocab=target)
        self.model.loss_function = (args.train.loss, args.train.label_smoothing)
        self.trainer = TrainManager(
            rank=0,
            model=self.model,
            model_dir=args.model_dir,
            device=args.device,
            autocast=args.autocast,
            train_args=args.train,
            dev_args=args.test,
        )
        pads = {"pad_index": self.model.pad_index, "eos_index": self.model.eos_index}
        self.batches = list(data.make_iter(batch_size=args.train.batch_size, shuffle=False, **pads))
        self.n_parameters = sum(parameter.numel() for parameter in self.model.parameters())

    def train(self, index: int) -> None:
        """Take a training step, as TrainManager.train_and_validate does."""
        trainer = self.trainer
        trainer._train_step(self.batches[index])
        trainer.clip_grad_fun(parameters=self.model.parameters())
        trainer.optimizer.step()
        self.model.zero_grad()

    def decode(self, index: int, beam_size: int) -> None:
        """Decode a batch, as joeynmt.prediction.predict does."""
        from joeynmt.search import search

        batch = self.batches[index]
        self.model.eval()
        batch.sort_by_src_length()
        mask, original = batch.src_mask, self.model.forward
        numbers = mask.new_ones(len(mask)).cumsum(0).view(-1, 1, 1)  # 1, 2, ...: a problem each
        batch.src_mask = mask * numbers
        self.model.forward = self._steered(original, batch.trg)
        output, _, _ = search(
            model=self.model,
            batch=batch,
            max_output_length=self.settings["max_steps"],
            beam_size=beam_size,
            beam_alpha=-1,
        )
        self.model.trg_vocab.arrays_to_sentences(arrays=output, cut_at_eos=True)
        self.model.forward, batch.src_mask = original, mask

    def _steered(self, forward: Any, references: Any) -> Any:
        """Return the model's forward function with raised logits of the references (N, T)."""
        import torch

        end = self.model.eos_index
        references = references.where(references != self.model.pad_index, end)
        references = torch.nn.functional.pad(references, (0, self.settings["max_steps"]), value=end)
        position = -1

        def steered(return_type: str, **inputs: Any) -> Any:
            nonlocal position
            logits, *rest = forward(return_type=return_type, **inputs)
            if return_type == "decode":
                position += 1
                rows = inputs["src_mask"][:, 0, 0] - 1
                raised = references[rows, position].view(-1, 1, 1)
                logits.scatter_add_(2, raised, logits.new_full(raised.shape, self.settings["steering"]))
            return logits, *rest

        return steered


def main(folder: Path, questions: IO[str], answers: IO[str]) -> None:
    """Answer with the number of parameters, then with the CPU seconds of each question."""
    measurer = Measurer(folder)
    print(measurer.n_parameters, file=answers, flush=True)
    for line in questions:
        name, *arguments = json.loads(line)
        start = time.process_time()
        getattr(measurer, name)(*arguments)
        print(time.process_time() - start, file=answers, flush=True)


if __name__ == "__main__":
    answers, sys.stdout = sys.stdout, sys.stderr  # what Joey prints goes to the log
    main(Path(sys.argv[1]), sys.stdin, answers)
