"""What the site does with the repository's own files: the README is its front page, and links out of docs/ are told."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

_LINK = re.compile(r"(?P<mark>!?)\[(?P<label>[^\]]*)\]\((?P<target>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the README as the front page."""
    readme = Path(config.config_file_path).with_name("README.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "index.md", content=readme))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Make links relative to the site; one to what the site does not hold becomes its text and the path."""
    uri = page.file.src_uri
    here = "" if uri == "index.md" else posixpath.dirname(f"docs/{uri}")

    def rewrite(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(here, match["target"]))
        if not (Path(config.config_file_path).parent / path).exists():
            return match[0]  # broken: mkdocs says so
        inside = posixpath.relpath(path, "docs")
        if inside.startswith("..") or Path(path).is_dir():
            return f"{match['label']} (`{path}`)"
        relative = posixpath.relpath(inside, posixpath.dirname(uri) or ".")
        return f"{match['mark']}[{match['label']}]({relative}{match['anchor'] or ''})"

    return _LINK.sub(rewrite, markdown)
