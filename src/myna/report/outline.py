"""What a report consists of: the sections on one study, or on several, put together into one whole."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from myna.report.birds.sections import SECTIONS as BIRDS_SECTIONS
from myna.report.document import Block, Chapter, Command, Missing, Notes, Paragraph, Report, Section
from myna.report.grid.sections import SECTIONS as SEARCH_SECTIONS
from myna.report.math.sections import SECTIONS as MATH_SECTIONS
from myna.report.plots import slug
from myna.report.results import Results, as_mapping, as_text, is_search, join_words, runs_of, trainings_of
from myna.report.scope import scope, scope_block

SECTIONS: dict[str, tuple[Callable[[Results], Section | None], ...]] = {"math": MATH_SECTIONS, "birds": BIRDS_SECTIONS}
SUMMARY, REPRODUCTION = "summary", "reproduce"
"""Ids of the sections that stand first and last in a report, whatever it is made from."""
SHARED = ("data", "metrics", "published")
"""Ids of the sections that studies of one half may have in common."""
OF_RUNS = ("curves", "comparisons", "settings", "mistakes", "attention", "observations")
"""Ids of the sections on runs as such, which a study that is made of some of another's runs need not tell again."""


@dataclass(frozen=True)
class Half:
    """One half of the assignment.

    Attributes:
        part: what the assignment calls it, and its name.
        name: what it is about.
        first_study: the study to begin with where there is none.
    """

    part: str
    name: str
    first_study: str


HALVES = {
    "birds": Half("Part 1: birds", "Birds", "configs/studies/quick-birds.toml"),
    "math": Half("Part 2: word problems", "Word problems", "configs/studies/quick-math.toml"),
}
"""In the order of the assignment."""


@dataclass(frozen=True)
class Story:
    """What there is to say of one study, or of one search over settings.

    Attributes:
        results: of it.
        prefix: before every id of its sections; "" in a report of one study.
        sections: by id, in order.
    """

    results: Results
    prefix: str
    sections: dict[str, Section]

    @property
    def kind(self) -> str:
        """Return the half that it belongs to."""
        return kind_of(self.results)

    @property
    def run_names(self) -> set[str]:
        """Return the names of its runs."""
        return {as_text(run.get("name")) for run in runs_of(self.results)}

    @property
    def title(self) -> str:
        """Return its headline."""
        return as_text(self.results.get("title")) or f"Study {as_text(self.results.get('name'))}".strip()


def build_report(studies: Sequence[Results]) -> Report:
    """Build the report of one study or search, or of several of either half.

    Raises:
        ValueError: there is no study, or one of a kind that has no sections.
    """
    if not studies:
        raise ValueError("studies: none; expected one or more")
    stories = _tell(studies)
    first, last = _merge_summaries(stories), _merge_reproductions(stories)
    parts = [chapter for kind, half in HALVES.items() for chapter in _build_part(stories, kind, half)]
    if len(stories) == 1:
        # The sections of a single study need no heading over them.
        parts = [Chapter("", "", "", (first, *(each for part in parts for each in part.sections), last))]
    else:
        parts = [Chapter("", "", "", (first,)), *parts, Chapter("", "", "", (last,))]
    title = stories[0].title if len(stories) == 1 else _name_whole(stories)
    return Report(title, _describe_making(stories), _warn(stories), tuple(parts))


def kind_of(results: Results) -> str:
    """Return the half that a study belongs to.

    Raises:
        ValueError: it is none.
    """
    kind = as_text(results.get("study")) or "math"
    if kind not in SECTIONS:
        raise ValueError(f"study: {kind!r}; choices: {', '.join(SECTIONS)}")
    return kind


def _tell(studies: Sequence[Results]) -> list[Story]:
    """Build the sections of each study."""
    stories: list[Story] = []
    for results in studies:
        prefix = ""
        if len(studies) > 1:
            name = slug(as_text(results.get("name")) or kind_of(results))
            taken = {story.prefix for story in stories}
            choices = (f"{name}-", *(f"{name}-{i}-" for i in range(2, len(studies) + 1)))
            prefix = next(choice for choice in choices if choice not in taken)
        builders = SEARCH_SECTIONS if is_search(results) else SECTIONS[kind_of(results)]
        built = [section for build in builders if (section := build(results)) is not None]
        stories.append(Story(results, prefix, {section.section_id: section for section in built}))
    return stories


def _build_part(stories: Sequence[Story], kind: str, half: Half) -> list[Chapter]:
    """Return the chapters on one half: what its studies have in common, then each of them."""
    own = [story for story in stories if story.kind == kind]
    if not own:
        command = f"myna study run {half.first_study}"
        missing = Missing(f"a study of {half.name.lower()}, or runs", command)
        section = Section(f"{kind}-missing", "Studies", (missing,))
        return [Chapter(f"part-{kind}", "No study yet", half.part, (section,))] if len(stories) > 1 else []
    shared = _find_shared(own) if len(own) > 1 else {}
    chapters = []
    if shared:
        common = tuple(scope(section, f"{kind}-") for section in shared.values())
        chapters.append(Chapter(f"part-{kind}", "What its studies share", half.part, common))
    for story in own:
        whole = next((other for other in own if set() < story.run_names < other.run_names), None)
        told = {*shared, SUMMARY, REPRODUCTION, *(OF_RUNS if whole else ())}
        sections = [each for key, each in story.sections.items() if key not in told]
        sections += _refer(story, whole) if whole else []
        scoped = tuple(scope(each, story.prefix) for each in sections)
        chapters.append(Chapter(f"{story.prefix}study", story.title, half.part, scoped))
    return chapters


def _refer(story: Story, whole: Story) -> list[Section]:
    """Say where more is told of the runs of a study that are another's too."""
    titles = [story.sections[key].title for key in OF_RUNS if key in story.sections]
    if not titles:
        return []
    text = f"These runs belong to the study “{whole.title}” too; there stand: {', '.join(titles)}."
    return [Section("elsewhere", "More on these runs", (Paragraph(text),))]


def _find_shared(stories: Sequence[Story]) -> dict[str, Section]:
    """Return the sections on the data that are the same, word for word, in all of the studies that have them."""
    found = {key: [story.sections[key] for story in stories if key in story.sections] for key in SHARED}
    return {key: same[0] for key, same in found.items() if len(same) > 1 and all(each == same[0] for each in same)}


def _merge_summaries(stories: Sequence[Story]) -> Section:
    """Return what all studies come to, in short."""
    if len(stories) == 1:
        return stories[0].sections[SUMMARY]
    blocks: list[Block] = []
    told: set[str] = set()
    for story in _in_order(stories):
        blocks.append(Notes(story.title, ()))
        for block in story.sections[SUMMARY].blocks:
            if isinstance(block, Notes):
                # Studies of the same data say the same of it.
                new = tuple(sentence for sentence in block.sentences if sentence not in told)
                told.update(new)
                blocks.append(Notes("", new))
            else:
                blocks.append(block)
    return Section(SUMMARY, "In short", tuple(blocks))


def _merge_reproductions(stories: Sequence[Story]) -> Section:
    """Return all commands, and versions and machines, which are told once where they are the same."""
    if len(stories) == 1:
        return stories[0].sections[REPRODUCTION]
    blocks: list[Block] = [Paragraph("This report is made from studies and runs that are finished by:")]
    blocks.append(Command(_report_command(stories)))
    told: set[Block] = set()
    for story in _in_order(stories):
        blocks.append(Notes(story.title, ()))
        new = [block for block in story.sections[REPRODUCTION].blocks if block not in told]
        told.update(new)
        blocks += [scope_block(block, story.prefix) for block in new]
    return Section(REPRODUCTION, "How to reproduce", tuple(blocks))


def _in_order(stories: Iterable[Story]) -> list[Story]:
    """Return stories in the order of their parts."""
    return sorted(stories, key=lambda story: list(HALVES).index(story.kind))


def _report_command(stories: Iterable[Story]) -> str:
    """Return the command that makes a report of several studies and runs."""
    names = []
    for results in (story.results for story in stories):
        loose = [as_text(run.get("name")) for run in runs_of(results)] if results.get("is_loose") else []
        names += loose or [as_text(results.get("name"))]
    return shlex.join(["myna", "report", "make", *names])


def _name_whole(stories: Sequence[Story]) -> str:
    """Return the headline of a report of several studies."""
    names = [half.name for kind, half in HALVES.items() if any(story.kind == kind for story in stories)]
    return f"{join_words(names)}: {len(stories)} studies" if len(names) == 1 else f"{names[0]} and {names[1].lower()}"


def _describe_making(stories: Sequence[Story]) -> str:
    """Return one line on what a report was made from."""
    minutes = {name: value for story in stories for name, value in trainings_of(story.results).items()}
    environments = [as_mapping(story.results.get("environment")) for story in stories]
    commits = list(dict.fromkeys(text for each in environments if (text := as_text(each.get("commit")))))
    sources = dict.fromkeys(as_text(story.results.get("source")) for story in _in_order(stories))
    parts = (
        *sources,
        f"{sum(minutes.values()):,.0f} minutes of training" if minutes else "",
        f"commit{'s' if len(commits) > 1 else ''} {join_words(commits)}" if commits else "",
    )
    return " · ".join(filter(None, parts))


def _warn(stories: Sequence[Story]) -> str:
    """Say which studies are of a generated sample."""
    generated = [story.title for story in stories if story.results.get("is_generated")]
    if not generated:
        return ""
    what = f"{join_words(generated)}: made" if len(generated) < len(stories) else "Made"
    return (
        f"{what} from a GENERATED sample, not the real data. The figures show that every part works; they say nothing"
        " about the task, and cannot be compared with published ones."
    )
