"""The table of the evaluation: scored records in, rows with bars out, as data and as Markdown (for the model card).

A figure is the per cent of right replies, the median over the seeds. Beside it stands the same figure with every reply
scored against the next request of its file: what a model that ignored its requests would get.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from anygen.evaluation.matrix import Cell

Record = Mapping
"""`{"expected": {attribute: value}, "found": {attribute: value}, ...}` of one reply."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One attribute of one cell. Figures are per cents; None where there is none."""

    cell: str
    attribute: str
    bar: float | None
    scores: dict[str, float]
    """split -> median over seeds"""
    shuffled: float
    """the first split's replies, each scored against another request"""
    num_replies: int
    """of the first split, all seeds together"""
    within: float
    """Points by which `held_out` may fall behind `test`"""

    @property
    def verdict(self) -> str:
        """"reached" or "missed" for rows with a bar, else ""; held-out figures count as well."""
        if self.bar is None:
            return ""
        reached = "test" not in self.scores or self.scores["test"] >= self.bar
        if {"test", "held_out"} <= self.scores.keys():
            reached &= self.scores["held_out"] >= self.scores["test"] - self.within
        return "reached" if reached else "missed"


def score(records: Sequence[Record], attribute: str, *, shift: int = 0) -> float:
    """Per cent of replies that show what was expected; `shift` scores each against the request so many places on."""
    expected = [record["expected"][attribute] for record in records]
    expected = expected[shift:] + expected[:shift]
    right = [record["found"].get(attribute) == wanted for record, wanted in zip(records, expected, strict=True)]
    return 100 * sum(right) / len(right)


def make_rows(cell: Cell, records: Mapping[str, Sequence[Sequence[Record]]]) -> list[Row]:
    """Rows of one cell from its records: split -> one list per seed."""
    rows = []
    for attribute in cell.attributes:
        first = next(iter(records.values()))
        rows.append(
            Row(
                cell=cell.name,
                attribute=attribute,
                bar=cell.bars.get(attribute),
                scores={split: median(score(seed, attribute) for seed in seeds) for split, seeds in records.items()},
                shuffled=median(score(seed, attribute, shift=1) for seed in first),
                num_replies=sum(map(len, first)),
                within=cell.within,
            )
        )
    return rows


def to_markdown(rows: Sequence[Row], *, judges: Mapping[str, Mapping[str, float]]) -> str:
    """The rows as a Markdown table, below it how far the judges can be trusted."""
    splits = list(dict.fromkeys(split for row in rows for split in row.scores))
    header = ["cell", "what", "bar", *splits, "shuffled", "replies", ""]
    cells = [header, ["-" * len(name) for name in header]]
    for row in rows:
        figures = [f"{row.scores[split]:.1f}" if split in row.scores else "" for split in splits]
        bar = "" if row.bar is None else f"{row.bar:.0f}" + (f" / -{row.within:.0f}" if "held_out" in row.scores else "")
        cells.append([row.cell, row.attribute, bar, *figures, f"{row.shuffled:.1f}", str(row.num_replies), row.verdict])
    widths = [max(len(line[column]) for line in cells) for column in range(len(header))]
    cells[1] = ["-" * width for width in widths]
    table = "\n".join(f"| {' | '.join(text.ljust(width) for text, width in zip(line, widths))} |" for line in cells)
    trust = "; ".join(
        f"{kind} judge " + ", ".join(f"{name} {100 * share:.1f}" for name, share in accuracy.items())
        for kind, accuracy in judges.items()
    )
    return (
        f"{table}\n\nPer cent of right replies, median of seeds; behind the bar stands by how many points held_out may "
        f"fall behind test. Right answers of the judges on fresh renders, per cent: {trust}.\n"
    )
