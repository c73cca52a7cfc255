"""Making a net to ship from a finished run: its weights, and a card that says what they can do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from myna import runs
from myna.birds.assessment import assess
from myna.birds.calibration import calibrate
from myna.birds.splits import SPLITS, BirdSplits
from myna.birds.task import BirdModel
from myna.config import save
from myna.engine.checkpoint import WEIGHTS, check_replaceable, replace_folder, save_weights
from myna.files import write_json, write_text

CARD = "README.md"


def ship(run: Path, destination: Path, splits: BirdSplits) -> None:
    """Write the best net of a finished run as a model folder, measure what was written, and write its card.

    Args:
        run: folder of a finished run.
        destination: the model folder; replaced as a whole.
        splits: the data on which the card's figures are measured.

    Raises:
        UserError: the destination holds something else than a model; the run is not finished.
    """
    check_replaceable(destination, WEIGHTS, "a model")
    making = runs.describe_making(run)
    model = BirdModel.load(run)

    def write(folder: Path) -> None:
        save(model.config, folder / runs.CONFIG)
        model.labels.save(folder)
        save_weights(folder / WEIGHTS, model.net.state_dict())
        shipped = BirdModel.load(folder)
        outputs = {split: runs.predictions_folder() / f"{destination.name}-shipped-{split}.json" for split in SPLITS}
        scores = {split: assess(shipped, splits, split, outputs[split]) for split in SPLITS}
        write_json(folder / runs.SCORES, scores)
        runs.copy_record(run, folder)
        write_text(folder / CARD, _card(making, destination, model, splits, scores))
        calibrate(folder, splits)

    replace_folder(destination, write)


def _card(
    making: list[str], destination: Path, model: BirdModel, splits: BirdSplits, scores: dict[str, dict[str, Any]]
) -> str:
    """Write the card: what the net is, what made it, what it scores."""
    section, training = model.config.model, model.config.training
    size = model.config.data.size
    limit = f"the first {model.config.data.limit} of each class" if model.config.data.limit else "all"
    lines = [
        f"# ResNet-{model.net.n_layers}, norm {section.norm}",
        "",
        f"Names one of {len(model.labels.classes)} species of birds on a photo, seen at {size} x {size} pixels "
        f"({model.net.multiply_adds(size, size) / 1e6:.0f} million multiply-adds).",
        "",
        *making,
        f"- Data: {splits.source}; trained on {limit}; epoch chosen on val",
        f"- Seed: {training.seed}; epochs: {training.epochs}, batches of {training.batch_size}",
        "",
        "Scores in percent, loss in nats, without augmentation (ECE: expected calibration error; 95 % bootstrap "
        "interval over photos in brackets):",
        "",
        "| split | photos | accuracy = micro F1 | macro F1 | top 5 | loss | ECE |",
        "|---|---|---|---|---|---|---|",
        *(_row(split, score) for split, score in scores.items()),
        "",
        f"The same figures again: `myna birds eval {destination} --split test --json`",
        "",
    ]
    return "\n".join(lines)


def _row(split: str, score: dict[str, Any]) -> str:
    """Return one row of the card's table."""

    def with_interval(key: str) -> str:
        low, high = score["intervals"][key]
        return f"{100 * score[key]:.1f} ({100 * low:.1f} to {100 * high:.1f})"

    cells = [
        split,
        f"{score['n']:,}",
        with_interval("accuracy"),
        with_interval("macro_f1"),
        f"{100 * score['top5']:.1f}",
        f"{score['loss']:.3f}",
        f"{100 * score['calibration_error']:.1f}",
    ]
    return f"| {' | '.join(cells)} |"
