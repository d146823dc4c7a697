"""A world made up at run time: names, fields and borders that nobody has seen, as pages and as tasks with gold."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wideseek.tables import Table, fold, render_markdown

_START = ["Va", "Quo", "Bre", "Tiv", "Sol", "Um", "Kho", "Lé", "Dra", "Ñu", "Pel", "Mor", "Ghi", "Øst", "Zar"]
_MIDDLE = ["ra", "li", "mo", "nde", "ska", "vi", "thu", "bo", "ge"]
_END = ["dor", "nia", "stan", "mar", "lund", "quay", "vik", "sha", "tis"]
_THINGS = ["Glim", "Vorash", "Quelm", "Sorrel", "Tarn", "Brask", "Ondle", "Fenn", "Mirk", "Javel"]
_KINDS = ["yield", "index", "quota", "tally", "spread", "depth"]
_UNITS = ["kegs", "leagues", "sq leagues", "marks", "bushels"]


@dataclass
class Field:
    """A made-up fact: its label on the pages, how a query names it, and its values by land."""

    label: str
    heading: str
    description: str
    values: dict[str, str] = field(default_factory=dict)
    gold: dict[str, str] = field(default_factory=dict)
    numeric: bool = True


@dataclass
class World:
    """Lands with facts and borders."""

    names: list[str]
    fields: list[Field]
    borders: dict[str, dict[str, int]]

    def pages(self) -> list[dict[str, str]]:
        """One page a land, `{url, title, text}`."""
        return [
            {"url": f"world:{place}", "title": name, "text": self._text(name)} for place, name in enumerate(self.names)
        ]

    def _text(self, name: str) -> str:
        facts = [f"{one.label}: {one.values[name]}" for one in self.fields if name in one.values]
        lands = "; ".join(f"{other} {length} km" for other, length in self.borders[name].items())
        lines = [f"# {name}", "", f"{name} is a land of the far coast.", "", "## Measures", *facts, "", "## Borders"]
        return "\n".join([*lines, f"Land borders > bordering lands: {lands}"])

    def named_task(self, number: int, names: list[str], fields: list[Field]) -> dict[str, Any]:
        """`for these lands: these facts`."""
        listed = ", ".join(names[:-1]) + f" and {names[-1]}"
        query = f"Collect some facts about these {len(names)} lands: {listed}. {_asked(fields)}"
        return self._task(f"named_{number}", query, names, fields)

    def border_task(self, number: int, name: str, fields: list[Field]) -> dict[str, Any]:
        """`every land that shares a border with this one`."""
        query = f"Make a table that covers every land that shares a land border with {name}. {_asked(fields)}"
        return self._task(f"border_{number}", query, list(self.borders[name]), fields)

    def _task(self, name: str, query: str, lands: list[str], fields: list[Field]) -> dict[str, Any]:
        columns = ("Land", *(one.heading for one in fields))
        rows = tuple((land, *(one.gold.get(land, "") for one in fields)) for land in lands)
        near = {"metric": ["number_near"], "criterion": 0.001}
        exact = {"preprocess": ["norm_str"], "metric": ["exact_match"]}
        pipeline: dict[str, Mapping[str, Any]] = {"land": exact}
        pipeline |= {fold(one.heading): near if one.numeric else exact for one in fields}
        return {
            "instance_id": name,
            "query": query,
            "answer": render_markdown(Table(columns=columns, rows=rows)),
            "evaluation": {"required": list(pipeline), "unique_columns": ["land"], "eval_pipeline": pipeline},
        }


def _asked(fields: list[Field]) -> str:
    columns = "; ".join(f"{one.heading} ({one.description})" for one in fields)
    return (
        f"For each one give: Land (its usual name); {columns}. Write numbers as plain digits, without units. "
        "Answer with one Markdown table inside a ```markdown code fence."
    )


def make_world(seed: int, *, num_lands: int = 20) -> World:
    """A world of its own for each seed."""
    dice = random.Random(seed)
    names: list[str] = []
    while len(names) < num_lands:
        name = dice.choice(_START) + "".join(dice.sample(_MIDDLE, dice.randint(1, 2))) + dice.choice(_END)
        if name not in names:
            names.append(name)
    fields = [_number_field(dice, names, thing) for thing in dice.sample(_THINGS, 5)]
    fields.append(_name_field(dice, names))
    borders: dict[str, dict[str, int]] = {name: {} for name in names}
    for place, name in enumerate(names):
        for step in (1, 2, 5):
            other, length = names[(place + step) % len(names)], dice.randint(10, 900)
            borders[name][other] = borders[other][name] = length
    return World(names, fields, borders)


def _number_field(dice: random.Random, names: list[str], thing: str) -> Field:
    kind, unit = dice.choice(_KINDS), dice.choice(_UNITS)
    made = Field(f"{thing} {kind} > total", f"{thing} {kind}", f"total, in {unit}")
    for name in names:
        value = dice.randint(1_000, 9_000_000)
        made.values[name] = f"{value:,} {unit} (2025 est.)"
        made.gold[name] = str(value)
    return made


def _name_field(dice: random.Random, names: list[str]) -> Field:
    made = Field("Moot > seat", "Moot seat", "name of the seat of the moot", numeric=False)
    for name in names:
        made.values[name] = made.gold[name] = (
            dice.choice(_START) + dice.choice(_END) + " " + dice.choice(["Hall", "Ford"])
        )
    return made


def write_corpus(world: World, path: Path) -> None:
    """The pages as JSONL."""
    path.write_text("".join(json.dumps(page, ensure_ascii=False) + "\n" for page in world.pages()), "utf-8")
