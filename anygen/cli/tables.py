"""Tables on the terminal; wide and plain where the output goes to a file or a pipe."""

from __future__ import annotations

from collections.abc import Sequence


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str | None = None,
    caption: str | None = None,
    footer: Sequence[str] = (),
    numbers: Sequence[str] = (),
) -> None:
    """Print rows of text under their columns; the columns in `numbers` are aligned at their right."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left", show_footer=bool(footer))
    for index, column in enumerate(columns):
        justify = "right" if column in numbers else "left"
        table.add_column(column, justify=justify, footer=footer[index] if footer else "", overflow="fold")
    for row in rows:
        table.add_row(*row)
    terminal = Console()
    (terminal if terminal.is_terminal else Console(width=180)).print(table)
