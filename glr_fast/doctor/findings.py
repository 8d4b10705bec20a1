"""What a check says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "fault"]


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    state: State
    """ok; note: works, but something is missing or slow; fault: training cannot run like this."""
    subject: str
    """What was looked at, in a word or two."""
    found: str
    """What was found."""
    advice: str = ""
    """What to change, for a note or a fault."""


def text_of(findings: list[Finding]) -> str:
    """The findings as lines for a terminal or an issue, advice below each."""
    width = max(len(finding.subject) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.state:<5}  {finding.subject:<{width}}  {finding.found}")
        if finding.advice:
            lines.append(f"{'':<5}  {'':<{width}}  -> {finding.advice}")
    return "\n".join(lines)
