"""The tables of a birds study, built from its results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import mean

from myna.report.birds.measures import (
    CONFIDENCE,
    SHARES,
    SPLITS,
    Confusion,
    Variant,
    epochs_of,
    floors_of,
    per_class,
    score_of,
    variants_of,
)
from myna.report.birds.published import BIN_ACCURACIES, CIFAR_ERRORS, IMAGENET_ERRORS, PUBLISHED, STUDENTS, Published
from myna.report.document import NOTHING, Cell, Column, Row, Table, number_cell, percent_cell, text_cell
from myna.report.results import (
    Results,
    Run,
    Score,
    as_mapping,
    as_mappings,
    as_number,
    as_text,
    curve_of,
    interval,
    join_values,
    titled_runs,
)
from myna.report.significance import SIGNIFICANT, TEST_COLUMNS, cells_of
from myna.report.tables import (
    MARKS_CAPTION,
    Config,
    drop_empty_columns,
    finish,
    loss_cell,
    make_point_table,
    mark_best,
    minutes_cell,
    rate_cell,
)

FACT_TITLES = {
    "aspect_ratio": "Width over height",
    "portrait_share": "Higher than wide (%)",
    "median_shorter_side": "Shorter side, median (pixels)",
    "distinct": "Distinct sizes",
    "commonest": "Commonest sizes (width, height, photos)",
    "copies": "Copies of one photo",
    "max_hamming": "Near copies: bits of 64 that may differ, at most",
    "min_correlation": "Near copies: correlation of thumbnails, at least",
    "leaked": "Photos with a copy in train",
    "exact": "Exact",
    "near": "Near",
    "label_conflicts": "Copies under two labels",
    "source_bias": "Class told from the file alone (%)",
    "chance": "Always the commonest class (%)",
    "accuracy": "Accuracy on val by what is told (%)",
    "recall": "Recall on val (%)",
    "all": "Everything below",
}
"""Names of what the audit counts."""
_N_MISTAKES = 12
_CURVES = {
    "Training loss": ("train", "loss"),
    "Train loss, not augmented": ("val", "train_loss"),
    "Val loss": ("val", "loss"),
    "Train accuracy": ("val", "train_accuracy"),
    "Val accuracy": ("val", "accuracy"),
    "Train macro F1": ("val", "train_macro_f1"),
    "Val macro F1": ("val", "macro_f1"),
    "Learning rate": ("train", "learning_rate"),
    "Minutes": ("val", "minutes"),
}
"""Columns of the points of curves: where each is found. Error and micro F1 follow from accuracy."""
_FORMATS: dict[str, Callable[[float | None], Cell]] = {
    "loss": loss_cell,
    "train_loss": loss_cell,
    "learning_rate": rate_cell,
    "minutes": minutes_cell,
}


def make_score_table(results: Results) -> Table | None:
    """Return accuracy, micro and macro F1 on each split: settings, floors, and what others report for these norms."""
    ours = _scored(results)
    if not ours:
        return None
    columns = [_SYSTEM, _SEEDS]
    columns += [Column(title, _group_title(ours, s), best="high") for s in SPLITS for title in SHARES.values()]
    rows = [
        Row((*_name_cells(each), *(_share_cell(each, split, m) for split in SPLITS for m in SHARES)), each.kind)
        for each in ours
    ]
    published = [] if results.get("is_generated") else _published_beside(ours)
    caption = f"Percent; {_INTERVALS} {MARKS_CAPTION}"
    if published:
        caption += (
            f" Published rows, by {STUDENTS}, are of other photos in a split that leaks (see the note below)"
            " and get no marks."
        )
    table = Table("score-table", "Scores", caption, tuple(columns), (*mark_best(columns, rows), *published))
    return drop_empty_columns(table)


def make_confidence_table(results: Results) -> Table | None:
    """Return top-5 accuracy, calibration error and loss on each split."""
    ours = _scored(results)
    columns = [_SYSTEM, _SEEDS]
    for split in SPLITS:
        group = _group_title(ours, split)
        columns += [Column(title, group, best="high" if m == "top5" else "low") for m, title in CONFIDENCE.items()]
    rows = []
    for each in ours:
        cells = [_confidence_cell(each, split, measure) for split in SPLITS for measure in CONFIDENCE]
        rows.append(Row((*_name_cells(each), *cells), each.kind))
    if all(cell.value is None for row in rows for cell in row.cells[2:]):
        return None
    caption = f"Top 5 and calibration error in percent, loss in nats a photo. {MARKS_CAPTION}"
    return finish(Table("confidence", "Top five, calibration and loss", caption, tuple(columns), tuple(rows)))


def make_seed_table(results: Results) -> Table | None:
    """Return the scores of each single training, where a setting has several."""
    if all(len(variant.runs) == 1 for variant in variants_of(results)):
        return None
    columns = [_SYSTEM, Column("Best epoch"), Column("Epochs")]
    columns += [Column(title, split.capitalize()) for split in SPLITS for title in SHARES.values()]
    rows = []
    for run, title in titled_runs(results):
        scores = [(score_of(run, split), measure) for split in SPLITS for measure in SHARES]
        cells = [percent_cell(as_number(score.get(m)), interval(score, m)) for score, m in scores]
        best, last = epochs_of(run) or (None, None)
        rows.append(Row((text_cell(title), number_cell(best), number_cell(last), *cells), "run"))
    caption = "Percent; small figures are 95 % bootstrap intervals over photos. Best epoch: by val accuracy."
    return finish(Table("seeds", "Each training", caption, tuple(columns), tuple(rows), is_folded=True))


def make_published_table() -> Table:
    """Return every published figure on the 25 birds."""
    columns = [Column("Source", is_number=False), Column("Model", is_number=False)]
    columns += [Column(title, s.capitalize()) for s in SPLITS for title in ("Accuracy", "Macro F1")]
    columns += [Column("Accuracy, rate 1e-4", "Test"), Column("Note", is_number=False)]
    # The last column of test belongs beside the others of it.
    order = [0, 1, 2, 3, 8, 4, 5, 6, 7, 9]
    rows = []
    for each in PUBLISHED:
        cells = [text_cell(each.source), text_cell(each.model)]
        cells += [percent_cell(scores.get(s)) for s in SPLITS for scores in (each.accuracy, each.macro_f1)]
        cells += [percent_cell(each.slow_accuracy), text_cell(each.note)]
        rows.append(Row(tuple(cells[i] for i in order), "published"))
    caption = "Percent, on the course's own split at 256 x 256 pixels; 50 epochs of SGD with cosine from 0.1, or 1e-4."
    columns = [columns[i] for i in order]
    return Table("published", "All published figures on these birds", caption, tuple(columns), tuple(rows), True)


def make_paper_table() -> Table:
    """Return what the papers behind the nets and the norms measured, on other data."""
    words = [Column(title, is_number=False) for title in ("Paper", "Data and measure", "Net")]
    columns = (*words, Column("%"))
    he = ("He et al. 2015", "CIFAR-10, test error")
    wu = ("Wu and He 2018", "ImageNet, val error")
    nam = "Nam and Kim 2018"
    figures = [(*he, f"ResNet-{n_layers}", error) for n_layers, error in CIFAR_ERRORS.items()]
    figures += [
        (*wu, f"ResNet-50, {norm}, batch {size}", error)
        for norm, errors in IMAGENET_ERRORS.items()
        for size, error in errors.items()
    ]
    figures += [
        (nam, f"{data}, test accuracy", norm, accuracy)
        for data, both in BIN_ACCURACIES.items()
        for norm, accuracy in zip(("bn", "bin"), both, strict=True)
    ]
    rows = [Row((*map(text_cell, figure[:3]), _exact_percent(figure[3]))) for figure in figures]
    caption = "Other photos, other sizes: they say what to expect of a norm, not of these birds."
    return Table("papers", "The papers' own figures, on other data", caption, columns, tuple(rows), is_folded=True)


def make_comparison_table(results: Results) -> Table | None:
    """Return the paired differences of accuracy between settings, and whether they are more than noise."""
    columns = (
        Column("First", is_number=False),
        Column("Second", is_number=False),
        Column("Split", is_number=False),
        *TEST_COLUMNS,
    )
    rows = []
    for each in as_mappings(results.get("comparisons")):
        names = [text_cell(as_text(each.get(key))) for key in ("a", "b", "split")]
        rows.append(Row((*names, *cells_of(each))))
    if not rows:
        return None
    caption = (
        "Accuracy in points, on the same photos and seeds, with a 95 % bootstrap interval over photos; p is the exact"
        f" sign-flip test (one seed: McNemar's), adjusted by Holm's method so that in all {len(rows)} comparisons"
        f" together a false alarm has a chance of at most {100 * SIGNIFICANT:.0f} %. Interval and p are about other"
        " photos for these very trainings; where the mean of many seeds may lie is said by the intervals over seeds."
    )
    return finish(Table("comparison-table", "Paired comparisons", caption, columns, tuple(rows)))


def make_class_table(score: Score, title: str) -> Table | None:
    """Return precision, recall and F1 of each class, the hardest first."""
    classes = sorted(per_class(score), key=lambda each: as_number(each.get("f1")) or 0.0)
    columns = (Column("Class", is_number=False), Column("Photos"), *map(Column, ("Precision", "Recall", "F1")))
    rows = tuple(
        Row(
            (
                text_cell(as_text(each.get("name"))),
                number_cell(as_number(each.get("n"))),
                *(percent_cell(as_number(each.get(measure))) for measure in ("precision", "recall", "f1")),
            )
        )
        for each in classes
    )
    caption = f"Percent; of {title}. The hardest first."
    return Table("class-table", "Each class", caption, columns, rows, is_folded=True) if rows else None


def make_mistake_table(confusion: Confusion, title: str) -> Table | None:
    """Return the pairs that are confused most often."""
    words = [Column(title, is_number=False) for title in ("Class", "Taken for")]
    columns = (*words, *map(Column, ("Photos", "% of the class", "The other way round")))
    rows = []
    for truth, said in confusion.mistakes()[:_N_MISTAKES]:
        names = text_cell(confusion.names[truth]), text_cell(confusion.names[said])
        counts = number_cell(confusion.counts[truth][said]), percent_cell(confusion.share(truth, said))
        rows.append(Row((*names, *counts, number_cell(confusion.counts[said][truth]))))
    caption = f"Of {title}."
    return Table("mistakes", "Most confused pairs", caption, columns, tuple(rows)) if rows else None


def make_cost_table(results: Results) -> Table | None:
    """Return what each setting costs: size of the net, time to train and to classify."""
    columns = (
        _SYSTEM,
        _SEEDS,
        Column("Layers"),
        Column("Parameters"),
        Column("Multiply-adds a photo (millions)"),
        Column("Minutes to train"),
        Column("Photos/s, training"),
        Column("Photos/s, classifying"),
    )
    rows = []
    for variant in variants_of(results):
        multiply_adds = variant.cost("multiply_adds")
        speeds = [speed for run in variant.runs if (speed := _training_speed(run)) is not None]
        cells = (
            number_cell(variant.cost("n_layers")),
            number_cell(variant.cost("n_parameters")),
            number_cell(None if multiply_adds is None else multiply_adds / 1e6, 1),
            minutes_cell(variant.cost("minutes")),
            number_cell(mean(speeds) if speeds else None),
            number_cell(variant.value("test", "photos_per_second")),
        )
        rows.append(Row((*_name_cells(variant), *cells), "run"))
    if all(cell.value is None for row in rows for cell in row.cells[2:]):
        return None
    caption = (
        "Means over seeds; whatever else the machine did is in them. Photos a second of training are steps times"
        " batch size over all minutes, evaluation included."
    )
    return finish(Table("costs", "Size and time", caption, columns, tuple(rows)))


def make_curve_table(results: Results) -> Table | None:
    """Return the points of all curves, a row for each setting and epoch."""
    titled = [
        (variant.title, {name: variant.curve(*where) for name, where in _CURVES.items()})
        for variant in variants_of(results)
    ]
    formats = {name: _FORMATS.get(where[1], percent_cell) for name, where in _CURVES.items()}
    return make_point_table(titled, formats, "Losses in nats a photo, scores in percent; means over seeds.")


def configs_of(results: Results) -> list[tuple[str, Config]]:
    """Return one config for each setting: what its seeds do not share is listed."""
    configs: list[tuple[str, Config]] = []
    for variant in variants_of(results):
        known = [config for run in variant.runs if (config := as_mapping(run.get("config")))]
        keys = dict.fromkeys(key for config in known for key in config)
        if known:
            configs.append((variant.title, {key: join_values([config.get(key) for config in known]) for key in keys}))
    return configs


_SYSTEM = Column("System", is_number=False)
_SEEDS = Column("Seeds")
_INTERVALS = (
    "a mean over seeds with its 95 % interval over seeds (Student's t), or with one seed the 95 % bootstrap interval"
    " over photos."
)


def _scored(results: Results) -> list[Variant]:
    """Return the settings and floors that have scores on some split."""
    entries = [*variants_of(results), *floors_of(results)]
    return [each for each in entries if any(each.value(split, "accuracy") is not None for split in SPLITS)]


def _name_cells(variant: Variant) -> tuple[Cell, Cell]:
    """Return the title of a setting, and how many seeds it has; a floor has none."""
    return text_cell(variant.title), number_cell(len(variant.runs)) if variant.kind == "run" else Cell(NOTHING)


def _share_cell(variant: Variant, split: str, measure: str) -> Cell:
    return percent_cell(variant.value(split, measure), variant.interval(split, measure))


def _confidence_cell(variant: Variant, split: str, measure: str) -> Cell:
    value = variant.value(split, measure)
    return loss_cell(value) if measure == "loss" else percent_cell(value)


def _group_title(variants: Sequence[Variant], split: str) -> str:
    """Return a split's name, with its size where the scores agree on it."""
    sizes = {as_number(score_of(run, split).get("n")) for variant in variants for run in variant.runs} - {None}
    return split.capitalize() + (f", n = {sizes.pop():,.0f}" if len(sizes) == 1 else "")


def _published_beside(ours: Sequence[Variant]) -> list[Row]:
    """Return published rows for the norms that a study has."""
    norms = {variant.norm for variant in ours}
    return [_published_row(each) for each in PUBLISHED if each.norm in norms and each.norm]


def _published_row(published: Published) -> Row:
    """Return a published figure as a row of the score table; with one class a photo, micro F1 is accuracy."""
    by_measure = {"accuracy": published.accuracy, "micro_f1": published.accuracy, "macro_f1": published.macro_f1}
    cells = [percent_cell(by_measure[measure].get(split)) for split in SPLITS for measure in SHARES]
    return Row((text_cell(published.norm, published.note), Cell(NOTHING), *cells), "published")


def _exact_percent(share: float) -> Cell:
    """Return a share with the decimals that its source gives."""
    return Cell(f"{100 * share:.2f}".removesuffix("0"), 100 * share)


def _training_speed(run: Run) -> float | None:
    """Return how many photos a second a training took, from its steps."""
    steps, minutes = curve_of(run, "train", "step"), as_number(run.get("minutes"))
    batch_size = as_number(as_mapping(run.get("config")).get("training.batch_size"))
    return steps[-1][1] * batch_size / (60 * minutes) if steps and minutes and batch_size else None
