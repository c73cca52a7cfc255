"""Wrong input for whatever reads what people give: no crash, no hang, no memory over a bound.

    python benchmarks/fuzz.py --cases 1000000 --record fuzz.json       # goes on where the record ends
    python benchmarks/fuzz.py --cases 800 --only photo weights
    python benchmarks/fuzz.py --atheris 120 --only parser              # guided by coverage, for so many seconds

Cases are numbered, and a case is drawn from its number alone, so that each can be had again. Blocks of them run in
forked processes: what kills one is found by running its cases one by one. A case fails if anything but the errors that
its reader promises comes out, if an error is not one line, if it computes for longer than `SECONDS`, or if its process
grows by more than `MEGABYTES`.
"""

import argparse
import gc
import io
import json
import math
import os
import random
import signal
import string
import struct
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import FunctionType

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # a process with threads cannot be forked well

import numpy as np
import psutil
import torch
from PIL import Image
from torch import nn

from myna.birds.photos import MAX_PIXELS, read_photo
from myna.config import BirdsConfig, MathConfig, load, save
from myna.engine.checkpoint import load_state, load_weights, save_state, save_weights
from myna.errors import UserError
from myna.mathqa.language.execute import Result, check_answer, execute_text
from myna.mathqa.language.operations import OPERATIONS
from myna.mathqa.language.program import ProgramError, from_tokens, parse, split_tokens
from myna.mathqa.language.score import judge, summarise
from myna.mathqa.problems import mask, program_tokens, read_problems
from myna.mathqa.splits import generate_splits
from myna.studies.plan import StudyConfig

SECONDS = 20
"""Of a processor, for one case."""
MEGABYTES = 1600
"""By which a process may grow: two photos of the most pixels allowed, one after the other, take 1,430."""
BLOCK = 250
GUIDING = (
    "myna",
    "tomllib",
    "json",
    "PIL",
    "zipfile",
    "pickle",
    "torch.serialization",
    "torch._weights_only_unpickler",
)
"""Modules whose branches atheris watches."""

ROOT = Path(__file__).parents[1]
NASTY = (
    "",
    "\0",
    "\n",
    "\x1b[2J",
    "\ud800",
    "٣",
    "𝟛",
    "½",
    "é",
    "ß",
    "\u2028",
    "|",
    "(",
    ")",
    ",",
    "#",
    "%s",
    "{}",
    "n",
    "_",
)
NUMBERS = ("0", "-1", "1", "2", "0.5", "1e309", "-1e-400", "9" * 40, "9" * 5000, "nan", "inf", "1_000", "٣", "0x10")


class Reader:
    """Something that reads what people give.

    Args:
        make: draws a case from a random generator.
        read: reads it and returns in a word what came of it; all that it raises is a fault.
        share: of all cases.
    """

    def __init__(self, make, read, share):
        self.make, self.read, self.share = make, read, share


def scratch(suffix):
    """Return the path of this process's file for cases."""
    return SCRATCH / f"{os.getpid()}{suffix}"


SCRATCH = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else Path(tempfile.gettempdir())


def one_line(error):
    """Return what an error of the user's is called in the count, once it is seen to be one line."""
    assert str(error).isprintable(), f"not one line of print: {str(error)!r}"
    return "refused"


# Programs


def draw_text(rng):
    """Draw a text that has little to do with anything."""
    pieces = (*NASTY, *NUMBERS, *string.printable)
    times = 1 if rng.random() < 0.95 else rng.choice((2, 50, 500))
    return "".join(rng.choices(pieces, k=rng.choice((0, 1, 5, 20, 100)))) * times


def draw_argument(rng):
    """Draw an argument, right or wrong."""
    start = rng.choice(("n", "#", "const_", "const_", "", "x", "#-", "n ", "##"))
    return start + rng.choice(("0", "1", "2", "3", "pi", "100", "3_6", "-1", "", *NUMBERS))


def draw_program(rng):
    """Draw a program: right, nearly right, or mangled."""
    names = (*OPERATIONS, "foo", "")
    wrong = rng.random() < 0.3
    steps = []
    for index in range(rng.choice((0, 1, 2, 3, 8, 8, 100))):
        name = rng.choice(names if wrong else tuple(OPERATIONS))
        n_args = rng.randrange(5) if wrong else OPERATIONS[name].n_args
        choices = (
            "n0",
            "n1",
            "const_2",
            "const_100",
            "const_pi",
            *(f"#{step}" for step in range(max(0, index - 4), index)),
        )
        arguments = [draw_argument(rng) if wrong else rng.choice(choices) for _ in range(n_args)]
        steps.append(f"{name}({','.join(arguments)})")
    text = "|".join(steps) + rng.choice(("|", "", "||"))
    return mangle(rng, text) if wrong else text


def mangle(rng, text):
    """Change a text in a few places, half of the time."""
    for _ in range(rng.choice((0, 0, 0, 1, 2, 5))):
        place = rng.randrange(len(text) + 1)
        text = text[:place] + rng.choice((*NASTY, text[place : place + 9] * 3)) + text[place + rng.choice((0, 1, 9)) :]
    return text if rng.random() < 0.98 else draw_text(rng)


def read_program(text):
    """Parse a program: it comes back as it was, or is told not to be one."""
    split_tokens(text)
    try:
        program = parse(text)
    except ProgramError:
        return "refused"
    assert str(program) == text
    with suppress(ProgramError):
        assert from_tokens(program.tokens).tokens == program.tokens
    return "read with remarks" if program.ignored else "read"


def draw_numbers(rng):
    """Draw the numbers of a problem."""
    special = (0.0, -0.0, 1e308, -1e308, 5e-324, math.inf, math.nan, 10**400, 2**62)
    return [
        rng.choice(special) if rng.random() < 0.3 else rng.uniform(-100, 100)
        for _ in range(rng.choice((0, 1, 2, 2, 2, 3, 9)))
    ]


def run_program(case):
    """Run a program: it has a value or a reason why it has none."""
    result = execute_text(*case)
    check_result(result)
    return result.failure.value if result.failure else "value"


def check_result(result: Result):
    """Refuse a result that is neither."""
    assert (result.value is None) == (result.failure is not None) == bool(result.message)
    assert result.value is None or check_answer(result.value) is None
    repr(result)


def draw_judgement(rng):
    """Draw a problem, an answer, a reference and a prediction."""
    problem = rng.choice(PROBLEMS)
    answer = rng.choice((problem.answer, 0, 0.0, -1, math.nan, math.inf, 10**400, -(10**400), 5e-324))
    predicted = rng.choice((problem.formula, draw_program(rng)))
    return mangle(rng, problem.text), answer, rng.choice((problem.formula, draw_program(rng))), predicted


def read_judgement(case):
    """Score a prediction: shares are shares, and what is exact is seen to be."""
    verdict = judge(*case)
    scores = summarise([verdict, judge(case[0], case[1], case[2], case[2])])
    assert all(0 <= share <= 1 for share in (verdict.token_match, scores.exact_match, scores.execution_accuracy))
    assert not verdict.raw_exact or verdict.exact
    return "executes" if verdict.executes else "fails" if verdict.failure else "runs to another value"


# Files of text


def draw_config(rng):
    """Draw a file of settings and some `--set`: a shipped one with lines and values changed, or any text."""
    lines = rng.choice(CONFIGS).splitlines()
    values = (
        "true",
        "-1",
        "0",
        "1e400",
        "nan",
        "0x" + "f" * 5000,
        '"x"',
        '""',
        "[]",
        "[[1]]",
        "{}",
        "2020-01-01",
        "1.0",
    )
    for _ in range(rng.choice((0, 1, 1, 2, 6))):
        place = rng.randrange(len(lines))
        key = lines[place].partition("=")[0]
        depth = rng.choice((2, 3, 30, 300)) if rng.random() < 0.997 else 4000
        lines[place] = rng.choice(
            (
                f"{key}= {rng.choice(values)}",
                mangle(rng, lines[place]),
                lines[place] * 2,
                f"{mangle(rng, key)} = 1",
                f"a = {rng.choice(('[', '{a=')) * depth}",
                f"{'a.' * depth}b = 1",
                f"extends = {json.dumps(rng.choice((*NASTY, '.', 'case.toml', 'a' * 300, '/dev/null')))}",
                f"[{key.strip() or 'x'}]",
                "",
            )
        )
    content = "\n".join(lines).encode("utf-8", "surrogatepass")
    keys = ("training.epochs", "name", "model", "training.optimizer.learning_rate", "a.b", "")
    override = f"{rng.choice(keys)}={rng.choice((*values, *NASTY, '3', '0.5'))}"
    content = content if rng.random() < 0.6 else flip(rng, content)
    return content, rng.choice(([], [], [override], [mangle(rng, override)]))


def read_config(case):
    """Read settings of each kind: they are valid, or one line says what is wrong."""
    content, overrides = case
    path = scratch(".toml")
    path.write_bytes(content)
    words = Counter()
    for schema in (MathConfig, BirdsConfig, StudyConfig):
        try:
            load(schema, path, overrides)
            words["valid"] += 1
        except UserError as error:
            words[one_line(error)] += 1
    return "valid" if words["valid"] else "refused"


def draw_json(rng, depth=0):
    """Draw any JSON."""
    kind = rng.randrange(7 if depth < 3 else 5)
    if kind < 5:
        return (None, True, rng.choice((0, -1, 1.5, 10**400, math.nan, -math.inf)), draw_text(rng)[:99], "n0")[kind]
    children = [draw_json(rng, depth + 1) for _ in range(rng.randrange(4))]
    return children if kind == 5 else {rng.choice(("Problem", "answer", "x", "linear_formula")): c for c in children}


def draw_problems(rng):
    """Draw a file of problems: right with some fields changed, any JSON, deep brackets, or changed bytes."""
    items = [
        {"Problem": mangle(rng, p.text), "linear_formula": mangle(rng, p.formula), "answer": p.answer}
        for p in rng.choices(PROBLEMS, k=rng.randrange(4))
    ]
    for item in items:
        if rng.random() < 0.4:
            item[rng.choice(("Problem", "linear_formula", "answer", "x"))] = draw_json(rng)
    text = json.dumps(draw_json(rng) if rng.random() < 0.1 else items, ensure_ascii=rng.random() < 0.5)
    if rng.random() < 0.05:
        text = rng.choice(("[", '{"a":', "9", "-")) * rng.choice((10, 5000, 200_000))
    return flip(rng, text.encode("utf-8", "surrogatepass"))


def read_problem_file(content):
    """Read a file of problems, and then what a training does with each."""
    path = scratch(".json")
    path.write_bytes(content)
    try:
        problems = read_problems(path)
        for problem in problems:
            mask(problem.text)
            judge(problem.text, problem.answer or 0.0, problem.formula or "", problem.formula or "")
            program_tokens(problem)
    except UserError as error:
        return one_line(error)
    return "read"


# Files of bytes


def flip(rng, content):
    """Change some bytes, half of the time, most near the start, where sizes and kinds stand; or cut; or repeat some."""
    content = bytearray(content)
    for _ in range(rng.choice((0, 0, 1, 2, 8))):
        if content:
            end = min(len(content), rng.choice((16, 64, 512, len(content))))
            content[rng.randrange(end)] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
    if content and rng.random() < 0.1:
        del content[rng.randrange(len(content)) :]
    if content and rng.random() < 0.05:
        place = rng.randrange(len(content))
        content[place:place] = content[: rng.choice((4, 100, 1000))]
    return bytes(content)


def draw_photo(rng):
    """Draw the bytes of a photo of some format, changed; now and then one as large as is allowed."""
    chance = rng.random()
    if chance < 0.0002:
        return write_large(rng)
    return flip(rng, rng.choice(PHOTOS)) if chance < 0.98 else rng.randbytes(rng.choice((0, 10, 1000)))


def write_large(rng):
    """Return a photo of a few kB that unpacks to 64 million pixels."""
    mode, kind = rng.choice(
        (("RGBA", "PNG"), ("I;16", "PNG"), ("P", "GIF"), ("RGBA", "WEBP"), ("RGB", "JPEG2000"), ("F", "TIFF"))
    )
    written = io.BytesIO()
    options = {"compression": "tiff_deflate"} if kind == "TIFF" else {}
    Image.new(mode, (8000, MAX_PIXELS // 8000)).save(written, kind, **options)
    return written.getvalue()


def read_photo_file(content):
    """Read a photo, whole and as a thumbnail: an upright RGB picture of bounded size, or one line."""
    path = scratch(".jpg")
    path.write_bytes(content)
    try:
        for least_side in (None, 8):
            image = read_photo(path, least_side)
            assert image.mode == "RGB"
            assert 0 < image.width * image.height <= MAX_PIXELS
    except UserError as error:
        return one_line(error)
    return "read"


def draw_weights(rng):
    """Draw a file of weights: changed bytes, or a header that lies."""
    if rng.random() < 0.5:
        return flip(rng, rng.choice((WEIGHTS, STATE, PHOTOS[0])))
    length = struct.unpack("<Q", WEIGHTS[:8])[0]
    header, data = json.loads(WEIGHTS[8 : 8 + length]), WEIGHTS[8 + length :]
    sizes = (-1, 0, 1, 3, 2**31, 2**62, 2**64, 1.5, None, "3", [3])
    for _ in range(rng.choice((1, 1, 2))):
        name = rng.choice([name for name in header if name != "__metadata__"])
        lie = rng.choice(("shape", "dtype", "data_offsets", "name", "sha256", "drop"))
        if lie == "shape":
            header[name]["shape"] = rng.choices(sizes, k=rng.randrange(4))
        elif lie == "dtype":
            header[name]["dtype"] = rng.choice(("F16", "F64", "I32", "BOOL", "C64", "F4", "F8_E8M0", "U16", "x", 3))
        elif lie == "data_offsets":
            header[name]["data_offsets"] = rng.choices(sizes, k=rng.choice((1, 2, 2, 2, 3)))
        elif lie == "name":
            header[rng.choice((*NASTY[:4], "0.weight"))] = header.pop(name)
        elif lie == "sha256":
            header["__metadata__"] = rng.choice((None, {}, {"sha256": "0"}, {"sha256": 3}, []))
        else:
            del header[name]
        if len(header) < 2:
            break
    text = json.dumps(header).encode()
    return struct.pack("<Q", rng.choice((len(text), len(text), len(text), len(text) + 8, 2**40))) + text + data


def read_weights(content):
    """Load weights into a model: they fit, or one line says why not."""
    path = scratch(".safetensors")
    path.write_bytes(content)
    model = small_model()
    try:
        load_weights(model, path)
    except UserError as error:
        return one_line(error)
    return "loaded"


def draw_state(rng):
    """Draw a training's state: changed bytes; or changed within, with checksums that are right again."""
    if rng.random() < 0.3:
        return flip(rng, STATE)
    packed = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if rng.random() < 0.1 else zipfile.ZIP_STORED
    with zipfile.ZipFile(io.BytesIO(STATE)) as old, zipfile.ZipFile(packed, "w", kind) as new:
        for part in old.infolist():
            content = old.read(part)
            if rng.random() < (0.8 if part.filename.endswith(".pkl") else 0.1):
                content = flip(rng, content)
            if rng.random() < 0.02:
                content = bytes(5_000_000)
            new.writestr(part.filename, content)
    return packed.getvalue()


def read_state(content):
    """Read a training's state: a dictionary, or one line."""
    path = scratch(".pt")
    path.write_bytes(content)
    try:
        assert isinstance(load_state(path), dict)
    except UserError as error:
        return one_line(error)
    return "read"


# What cases are drawn from


def small_model():
    """Return a model with weights of two kinds."""
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def write_photos():
    """Return small photos in every format that can be written, with transparency, EXIF, palettes, 16 bits."""
    rng = np.random.default_rng(0)
    rgb = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    wide = Image.fromarray(rng.integers(0, 65536, (24, 32), dtype=np.uint16))
    exif = Image.Exif()
    exif[0x0112] = 6
    ways = [(rgb, "JPEG", {"exif": exif}), (rgb.convert("CMYK"), "JPEG", {}), (rgb, "JPEG", {"progressive": True})]
    ways += [
        (rgb, "PNG", {}),
        (rgb.convert("RGBA"), "PNG", {}),
        (wide, "PNG", {}),
        (rgb.quantize(16), "PNG", {"transparency": 0}),
    ]
    ways += [
        (rgb, "GIF", {"save_all": True, "append_images": [rgb.rotate(90)]}),
        (rgb.convert("LA"), "WEBP", {}),
        (rgb, "WEBP", {}),
    ]
    ways += [(rgb, "BMP", {}), (rgb, "TIFF", {"compression": "tiff_lzw"}), (wide, "TIFF", {}), (rgb, "PPM", {})]
    ways += [(rgb, "JPEG2000", {}), (rgb, "AVIF", {}), (rgb.convert("F"), "TIFF", {})]
    photos = []
    for image, kind, options in ways:
        written = io.BytesIO()
        with suppress(OSError, KeyError):  # of a Pillow that has not all formats
            image.save(written, kind, **options)
            photos.append(written.getvalue())
    return photos


def write_configs():
    """Return the text of the shipped configs, with what they extend, and of the studies."""
    texts = [path.read_text() for path in sorted((ROOT / "configs" / "studies").glob("*.toml"))]
    path = scratch(".toml")
    for folder, schema in (("math", MathConfig), ("birds", BirdsConfig)):
        for shipped in sorted((ROOT / "configs" / folder).rglob("*.toml")):
            save(load(schema, shipped), path)
            texts.append(path.read_text())
    path.unlink()
    return texts


def write_model():
    """Return the bytes of a file of weights and of one of state."""
    weights, state = scratch(".safetensors"), scratch(".pt")
    save_weights(weights, small_model().state_dict())
    tensors = {"a": torch.arange(9.0), "b": torch.arange(4)}
    save_state(state, {"position": {"epoch": 1, "best": -math.inf}, "tensors": tensors, "random": [1, "x", None]})
    content = weights.read_bytes(), state.read_bytes()
    weights.unlink()
    state.unlink()
    return content


PROBLEMS = generate_splits().train[:200]
CONFIGS = write_configs()
PHOTOS = write_photos()
WEIGHTS, STATE = write_model()
READERS = {
    "parser": Reader(draw_program, read_program, 0.2),
    "executor": Reader(lambda rng: (draw_program(rng), draw_numbers(rng)), run_program, 0.2),
    "scorer": Reader(draw_judgement, read_judgement, 0.2),
    "config": Reader(draw_config, read_config, 0.1),
    "problems": Reader(draw_problems, read_problem_file, 0.1),
    "photo": Reader(draw_photo, read_photo_file, 0.1),
    "weights": Reader(draw_weights, read_weights, 0.05),
    "state": Reader(draw_state, read_state, 0.05),
}


# Running cases


class Hang(BaseException):
    """A case computes for too long."""


def stop(number, frame):
    """Stop a case."""
    raise Hang


def run_case(name, case):
    """Read a case, and return what came of it and the seconds that it took, of a processor."""
    begun = time.process_time()
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        word = READERS[name].read(case)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return word, time.process_time() - begun


def run_block(name, numbers):
    """Run cases in a process of its own; return counts, the slowest case's seconds, megabytes, and what failed."""
    # Drawn here, since to write a photo of 64 million pixels takes more memory than to read it.
    cases = [READERS[name].make(random.Random(f"{name} {number}")) for number in numbers]
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        # Its own, since it does not begin with all of its parent's: pages of files come as they are read.
        before = psutil.Process().memory_info().rss
        os.close(reading)
        signal.signal(signal.SIGVTALRM, stop)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # where libraries in C complain
        words, slowest, failed = Counter(), 0.0, []
        for number, case in zip(numbers, cases, strict=True):
            try:
                word, seconds = run_case(name, case)
                words[word] += 1
                slowest = max(slowest, seconds)
            except BaseException:
                failed.append([number, traceback.format_exc(limit=-3)])
        with os.fdopen(writing, "w") as answer:
            json.dump([words, slowest, failed, before], answer)
        for path in SCRATCH.glob(f"{os.getpid()}.*"):
            path.unlink()
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    _, status, usage = os.wait4(child, 0)
    if status or not text:
        if len(numbers) > 1:
            return merge([run_block(name, [number]) for number in numbers])
        return Counter(), 0.0, 0.0, [[numbers[0], f"the process died: {os.waitstatus_to_exitcode(status)}"]]
    words, slowest, failed, before = json.loads(text)
    megabytes = max(0, usage.ru_maxrss / 1024 - before / 2**20)
    if megabytes > MEGABYTES:
        failed.append([numbers[0], f"{megabytes:.0f} MB more, in this case or one of the {len(numbers) - 1} after it"])
    return Counter(words), slowest, megabytes, failed


def merge(blocks):
    """Put together what blocks gave."""
    words, slowest, megabytes, failed = zip(*blocks, strict=True)
    return sum(words, Counter()), max(slowest), max(megabytes), [one for some in failed for one in some]


AS_BYTES = {
    "parser": (str, lambda text: text),
    "executor": (lambda case: case[0], lambda text: (text, [2.0, 0.5, 100.0])),
    "scorer": (lambda case: case[3], lambda text: ("2 and 3", 5.0, "add(n0,n1)|", text)),
    "config": (lambda case: case[0], lambda content: (content, [])),
}
"""For atheris, whose cases are bytes: what of a case is text or bytes, and how such make a case. Others are bytes."""


def run_guided(name, seconds):
    """Let atheris look for cases that reach new branches, for so many seconds."""
    import atheris

    reader = READERS[name]
    take, build = AS_BYTES.get(name, (bytes, bytes))
    seeds = [take(reader.make(random.Random(f"{name} {number}"))) for number in range(200)]
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    for number, seed in enumerate(seeds):
        content = seed if isinstance(seed, bytes) else seed.encode("utf-8", "replace")
        (folder / str(number)).write_bytes(content[:100_000])

    def run(content):
        is_text = isinstance(seeds[0], str)
        reader.read(build(content.decode("utf-8", "replace") if is_text else content))

    for function in gc.get_objects():
        if isinstance(function, FunctionType) and str(function.__module__).startswith(GUIDING):
            atheris.instrument_func(function)
    limits = [f"-max_total_time={seconds}", f"-timeout={SECONDS}", "-rss_limit_mb=4096", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], str(folder), *limits], run)
    atheris.Fuzz()


def main():
    """Run the cases that the record does not have yet, and print what came of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--only", nargs="+", choices=READERS, default=list(READERS))
    parser.add_argument("--record", type=Path, help="JSON, written after each block")
    parser.add_argument("--atheris", type=int, default=0, metavar="SECONDS")
    options = parser.parse_args()
    if options.atheris:
        run_guided(options.only[0], options.atheris)
    record = json.loads(options.record.read_text()) if options.record and options.record.exists() else {}
    shares = sum(READERS[name].share for name in options.only)
    for name in options.only:
        known = record.setdefault(
            name, {"n": 0, "words": {}, "slowest": 0.0, "megabytes": 0.0, "cpu": 0.0, "failed": []}
        )
        n = round(options.cases * READERS[name].share / shares)
        while known["n"] < n:
            numbers = range(known["n"], min(n, known["n"] + BLOCK))
            before = os.times()
            words, slowest, megabytes, failed = run_block(name, numbers)
            after = os.times()
            known["n"] = numbers.stop
            known["words"] = Counter(known["words"]) + words
            known["slowest"] = max(known["slowest"], slowest)
            known["megabytes"] = max(known["megabytes"], megabytes)
            known["cpu"] += sum(after[2:4]) - sum(before[2:4])
            known["failed"] += failed
            if options.record:
                options.record.write_text(json.dumps(record, indent=1))
    report({name: record[name] for name in options.only})


def report(record):
    """Print a table, then each case that failed; end with status 1 if there is one."""
    print("| reader | cases | came to | slowest, s | MB more | cases a second |")
    print("|---|---|---|---|---|---|")
    for name, known in record.items():
        words = ", ".join(f"{word} {n:,}" for word, n in Counter(known["words"]).most_common())
        rate = known["n"] / max(known["cpu"], 0.01)
        row = (name, f"{known['n']:,}", words, f"{known['slowest']:.2f}", f"{known['megabytes']:.0f}", f"{rate:,.0f}")
        print(f"| {' | '.join(row)} |")
    failed = [(name, number, reason) for name, known in record.items() for number, reason in known["failed"]]
    for name, number, reason in failed[:20]:
        print(f"\n{name}, case {number}:\n{reason}")
    print(f"\n{sum(known['n'] for known in record.values()):,} cases, {len(failed)} failed")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
