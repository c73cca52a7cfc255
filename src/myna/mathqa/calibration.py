"""What is fitted on dev once a model is trained: what ranks its programs, and how sure one may be of its answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from myna.engine.tracking import progress
from myna.errors import UserError
from myna.mathqa.answers import answer
from myna.mathqa.baselines import NeighbourIndex
from myna.mathqa.certainty import Certainty, Evidence, check, fit
from myna.mathqa.evaluation import FAR_COSINE, judge_problem
from myna.mathqa.problems import Problem, check_scorable
from myna.mathqa.readers import NeighbourReader
from myna.mathqa.splits import Splits
from myna.mathqa.task import MathModel
from myna.mathqa.verification import fit_verifier
from myna.mathqa.wording import separate

BEAM_SIZE = 10


@dataclass(frozen=True)
class _Tried:
    """Evidence for answers, and whether they were right."""

    evidence: list[Evidence]
    right: list[bool]

    @property
    def novel(self) -> _Tried:
        """Those of problems that no training problem reads the same as."""
        return self.where([not each.is_seen for each in self.evidence])

    @property
    def far(self) -> _Tried:
        """Those of problems that no training problem is near."""
        return self.where([(each.likeness or 0) < FAR_COSINE for each in self.evidence])

    @property
    def alone(self) -> _Tried:
        """The same without what is known from the training problems."""
        return _Tried([Evidence(each.probability) for each in self.evidence], self.right)

    def where(self, chosen: Sequence[bool]) -> _Tried:
        """Return those that are chosen."""
        kept = [i for i, is_chosen in enumerate(chosen) if is_chosen]
        return _Tried([self.evidence[i] for i in kept], [self.right[i] for i in kept])


def add_verifier(model: MathModel, problems: Sequence[Problem], title: str) -> tuple[MathModel, list[str]]:
    """Return a model with a verifier, if it looks up neighbours; any other as it is.

    Args:
        model: a trained model.
        problems: of dev.
        title: of the progress bar.

    Returns:
        the model; and the programs that `fit_verifier` chooses for the problems, none for a model without a verifier.

    Raises:
        UserError: a problem cannot be scored against.
    """
    if not isinstance(model.reader, NeighbourReader):
        return model, []
    check_scorable(problems)
    texts = [problem.text for problem in problems]
    with progress(title, len(texts)) as tick:
        found = model.predict(texts, beam_size=BEAM_SIZE, search="execution", n_best=BEAM_SIZE, tick=tick)
    verifier, chosen = fit_verifier(problems, found, model.reader.neighbours(texts))
    return replace(model, verifier=verifier), chosen


def calibrate(model: MathModel, splits: Splits, title: str) -> Certainty:
    """Find out how sure one may be of a model's answers.

    Args:
        model: a trained model.
        splits: the data that it was trained on; the curves are fitted on dev and checked on test.
        title: of the progress bars.

    Raises:
        UserError: no dev problem gets an answer, or a problem cannot be scored against.
    """
    check_scorable([*splits.dev, *splits.test])
    index = NeighbourIndex(splits.train[: model.config.data.limit or None])
    dev, test = (_try(model, index, splits.named(split), f"{title}, {split}") for split in ("dev", "test"))
    if not dev.novel.right:
        raise UserError("no dev problem that training does not hold gets an answer, so that nothing can be fitted")
    certainty = Certainty(
        training_sha256=index.fingerprint(),
        n=len(dev.right),
        beside_training=fit(dev.evidence, dev.right),
        alone=fit(dev.novel.alone.evidence, dev.novel.right),
        checks={},
    )
    groups = {"all": test, "novel": test.novel, "far": test.far, "novel, alone": test.novel.alone}
    checks = {
        name: check([certainty.of(each) for each in tried.evidence], tried.right) for name, tried in groups.items()
    }
    return certainty.model_copy(update={"checks": checks})


def _try(model: MathModel, index: NeighbourIndex, problems: Sequence[Problem], title: str) -> _Tried:
    """Answer problems as the solver does; those without a number or without an answer are left out."""
    texts = [separate(problem.text) for problem in problems]
    model.prepare(texts)
    with progress(title, len(texts)) as tick:
        answers = answer(model, index, texts, beam_size=BEAM_SIZE, tick=tick)
    tried = [
        (each.evidence, judge_problem(problem, each.predictions[0].text).executes)
        for problem, each in zip(problems, answers, strict=True)
        if each.numbers and each.value is not None
    ]
    return _Tried([evidence for evidence, _ in tried], [right for _, right in tried])
