"""The few HTML elements that a report is made of; every text is escaped."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["bars", "code", "figure", "folded", "heading", "note", "page", "paragraph", "section", "table"]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 60rem; margin: 2rem auto;
       padding: 0 1rem }
h1 { font-size: 1.6rem; margin-bottom: .2rem }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid #ddd }
table { border-collapse: collapse; font-size: .87rem; margin: .6rem 0; display: block; overflow-x: auto }
th, td { padding: .22rem .7rem; text-align: left; border-bottom: 1px solid #eee; white-space: nowrap }
th { border-bottom: 1px solid #888; font-weight: 600 }
.number { text-align: right; font-variant-numeric: tabular-nums }
img { max-width: 100%; height: auto }
pre { background: #f6f6f6; padding: .8rem; overflow-x: auto; font-size: .8rem }
.bar { background: #0072B2; height: .8em; display: inline-block; vertical-align: baseline }
.note { color: #555 }
"""
"""Style sheet of a report."""


def page(title: str, body: Iterable[str]) -> str:
    """Return a complete document that needs no other file; characters that UTF-8 lacks are escaped."""
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    viewport = '<meta name="viewport" content="width=device-width">'
    content = "\n".join(body)
    document = (
        f'<!doctype html>\n<html lang="en"><head>{head}{viewport}</head><body>\n{content}\n</body></html>\n'
    )
    return document.encode(errors="backslashreplace").decode()


def heading(text: str) -> str:
    """Return the title of the document."""
    return f"<h1>{escape(text)}</h1>"


def paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def section(title: str, *parts: str) -> str:
    """Return a section of HTML parts below its title."""
    return "\n".join([f"<h2>{escape(title)}</h2>", *parts])


def note(text: str) -> str:
    """Return a paragraph in grey."""
    return f'<p class="note">{escape(text)}</p>'


def code(text: str) -> str:
    """Return text in a fixed-width font, its lines as they are."""
    return f"<pre>{escape(text)}</pre>"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table of values; numbers are rounded to four digits and aligned to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    numeric = [any(row[column][1] for row in cells) for column in range(len(head))]
    top = "".join(_tag("th", name, is_number) for name, is_number in zip(head, numeric, strict=True))
    lines = ("".join(_tag("td", text, is_number) for text, is_number in row) for row in cells)
    body = "".join(f"<tr>{line}</tr>\n" for line in lines)
    return f"<table><thead><tr>{top}</tr></thead><tbody>\n{body}</tbody></table>"


def bars(shares: Mapping[str, float]) -> str:
    """Return a table with a horizontal bar for each share, 0..1."""
    longest = max(shares.values(), default=0) or 1
    rows = "".join(
        f"<tr><td>{escape(name)}</td>{_tag('td', f'{share:.1%}', True)}"
        f'<td><span class="bar" style="width:{15 * share / longest:.2f}rem"></span></td></tr>\n'
        for name, share in shares.items()
    )
    return f"<table><tbody>{rows}</tbody></table>"


def folded(title: str, content: str) -> str:
    """Return content that a click on its title unfolds."""
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def figure(png: bytes, alt: str) -> str:
    """Return an embedded picture with its alternative text."""
    data = base64.b64encode(png).decode()
    return f'<p><img alt="{escape(alt)}" src="data:image/png;base64,{data}"></p>'


def _cell(value: Any) -> tuple[str, bool]:
    """Return the text of a value, and whether it is a number."""
    if value is None or value != value:  # NaN, pandas' missing value
        return "", False
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        return str(value), False
    return (f"{int(value):,}" if float(value).is_integer() else f"{value:.4g}"), True


def _tag(name: str, text: str, is_number: bool) -> str:
    attribute = ' class="number"' if is_number else ""
    return f"<{name}{attribute}>{escape(text)}</{name}>"
