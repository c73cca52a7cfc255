"""The verb `myna doctor`."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING

import typer

from myna.cli.options import Data, Json

if TYPE_CHECKING:
    from myna.doctor import Finding

_COLOURS = {"ok": "green", "lack": "yellow", "broken": "red"}


def doctor(data: Data = None, as_json: Json = False) -> None:
    """Show what is here, what is lacking, and what mends it.

    It looks at packages, torch, data, weights, encoders and the runs folder. The exit status is 0 if all that is
    essential is there, else 2.

    Example: myna doctor
    """
    from myna.doctor import examine, is_well

    findings = examine(data)
    if as_json:
        typer.echo(
            json.dumps({"is_well": is_well(findings), "findings": [asdict(each) for each in findings]}, indent=2)
        )
    else:
        _print_findings(findings)
    if not is_well(findings):
        raise typer.Exit(2)


def _print_findings(findings: list[Finding]) -> None:
    """Print a table of what was found, then what is lacking."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    for group, members in groupby(findings, lambda finding: finding.group):
        table = Table(title=group, title_justify="left", box=None, show_header=False, padding=(0, 1))
        for _ in range(4):
            table.add_column(overflow="fold")
        for each in members:
            state = f"[{_COLOURS[each.state]}]{each.state}[/]"
            table.add_row(state, escape(each.name), escape(each.found), escape(each.serves))
        console.print(table)
    lacks = [finding for finding in findings if finding.state != "ok"]
    for each in lacks:
        kind = "essential" if each.is_essential else "optional"
        console.print(f"{each.name} ({kind}): {each.found}; affects {each.serves}", markup=False, soft_wrap=True)
        if each.mend:
            console.print(f"    {each.mend}", markup=False, soft_wrap=True)
    worst = any(finding.is_essential for finding in lacks)
    console.print("Something essential is not there." if worst else "All that is essential is there.")
