"""The result of a verification."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from audit.verify_export.formats import GENESIS, count_of

MAX_FINDINGS = 1000


@dataclass(frozen=True)
class Finding:
    """A difference from what was recorded: edited, deleted, inserted, moved, forged or truncated."""

    kind: str
    sentence: str
    event_id: int | None = None
    position: int | None = None

    def __str__(self) -> str:
        return f"{self.kind.upper()}: {self.sentence}"


@dataclass
class Report:
    """The result of a verification. ``last_checkpoint`` is number and hash of the last one seen."""

    events: int = 0
    chained: int = 0
    pending: int = 0
    whole: bool = True
    last_checkpoint: tuple[int, str] = (0, GENESIS)
    last_event_id: int | None = None
    findings: list[Finding] = field(default_factory=list)
    more_findings: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.findings

    def add(self, finding: Finding) -> None:
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(finding)
        else:
            self.more_findings += 1


def lines_of(report: Report) -> Iterator[str]:
    """Yield the report as lines of text."""
    findings = len(report.findings)
    yield from map(str, report.findings)
    if report.more_findings:
        yield f"... and {report.more_findings} more."
    yield from report.notes
    yield f"{count_of(report.events, 'event')}: {report.chained} in the chain, {report.pending} newer."
    if report.whole:
        number, hashed = report.last_checkpoint
        yield f"Verified through event {report.last_event_id}. Last checkpoint: {number}:{hashed}"
    yield "No tampering found." if report.ok else f"{count_of(findings, 'finding')}."
