"""Worlds of practice: states of the training regions under invented names and regions, with shifted numbers.

Training knows three regions. A policy that is taught on them alone learns their lists by heart, and copies what it
knows where it should read. A world has regions of its own, of few states or many, most of them joined by land, each
with a name of two to six words; territories are filed among the states. Most states bear invented names (`renaming`),
every quantity is shifted (`perturb`). So a list, a border, a number can only be read. A world is
synthetic by design, and the same seed makes the same one.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from services.kit.factbook import Entry
from services.suites.atlas import Atlas, atlas_of
from services.suites.drafts import Limits
from services.suites.facts import Country, read_countries
from services.suites.perturb import perturbed
from services.suites.renaming import renamed
from services.suites.splits import SPLITS, Split
from services.suites.wide import DIFFICULTIES, WideSuite

SUITE = "factbook-world"
LIMITS = Limits(max_searched=24)
_SIZES = ((3, 8), (6, 12), (10, 20))
"""Least and most states of a region; every region draws one of the ranges."""
_ASKED = 6
"""Regions that tasks ask about; the states of the others are neighbours to be left out."""
_RENAMED = 0.8
"""Share of the profiles that bear invented names."""
_ISLAND_TERRITORIES = 0.5
"""Share of the states without a land border that a world files as territories: the real ones are few."""
_SIDES = ("North", "South", "East", "West", "Central", "Inner", "Outer", "Upper", "Lower", "Middle", "Far", "Near")
_LANDS = (
    "Coast", "Isles", "Plains", "Highlands", "Lowlands", "Marches", "Straits", "Gulf", "Delta", "Steppe", "Lakes",
    "Basin", "Peninsula", "Cape", "Ridge", "Forests", "Valleys", "Reaches", "Dunes", "Bay", "Fens", "Uplands",
)  # fmt: skip


@dataclass(frozen=True)
class World:
    """Profiles as a world has them."""

    seed: int
    entries: Sequence[Entry]
    """Of the invented regions alone: what the corpus of the world is made from."""
    atlas: Atlas
    """All sovereign states, those of other regions too, which may be neighbours."""
    split: Split
    """What tasks of the world may ask: the columns of training, most of its regions."""

    def tasks(self, *, limits: Limits = LIMITS, difficulties: Sequence[str] = DIFFICULTIES) -> Iterator[dict[str, Any]]:
        """Records, the difficulties taking turns while they last."""
        suite = WideSuite(
            self.split, seed=self.seed, limits=limits, difficulties=difficulties, atlas=self.atlas, suite=SUITE
        )
        return suite.tasks()


def make_world(entries: Sequence[Entry], seed: int, *, spliced: float = 0.0) -> World:
    """The world of a seed. `entries` are all profiles; those outside the training regions keep theirs.

    `spliced`: share of the words of invented names that are made of two real ones, in [0, 1].
    """
    rng = random.Random(f"{seed}:world")
    train = SPLITS["train"]
    shifted = perturbed(entries, seed)
    told = [entry.code for entry in shifted if entry.region in train.regions and rng.random() < _RENAMED]
    shifted = renamed(shifted, told, rng, spliced=spliced)
    countries = read_countries(shifted)
    inside = [_perhaps_territory(entry, countries, rng) for entry in shifted if entry.region in train.regions]
    groups = _groups(inside, countries, rng)
    names = _names(len(groups), rng)
    filed = {code: name for name, codes in zip(names, groups, strict=True) for code in codes}
    moved = [_moved(entry, filed[entry.code]) for entry in inside]
    others = [entry for entry in shifted if entry.region not in train.regions]
    asked = tuple(sorted(_folder(name) for name in names[:_ASKED]))
    return World(seed, moved, atlas_of([*moved, *others]), replace(train, regions=asked))


def _perhaps_territory(entry: Entry, countries: Mapping[str, Country], rng: random.Random) -> Entry:
    island = entry.sovereign and countries[entry.code].neighbours == frozenset()
    return replace(entry, sovereign=False) if island and rng.random() < _ISLAND_TERRITORIES else entry


def _groups(entries: Sequence[Entry], countries: Mapping[str, Country], rng: random.Random) -> list[list[str]]:
    """Codes of the profiles of each region: states that grow together along their borders, then the territories."""
    left = [entry.code for entry in entries if entry.sovereign]
    rng.shuffle(left)
    groups: list[list[str]] = []
    while left:
        wanted = rng.randint(*rng.choice(_SIZES))
        group: list[str] = []
        while left and len(group) < wanted:
            near = {code for member in group for code in countries[member].neighbours or ()}
            chosen = next((code for code in left if code in near), left[0])
            left.remove(chosen)
            group.append(chosen)
        groups.append(group)
    for territory in (entry.code for entry in entries if not entry.sovereign):
        # Few regions get most of them, as in the Caribbean; many have none.
        groups[min(rng.randrange(len(groups)) for _ in range(3))].append(territory)
    return groups


def _names(count: int, rng: random.Random) -> list[str]:
    """Different names, such as `Far Isles`, `Central Steppe and the Lakes`, `Upper Coast and Inner Fens`."""
    found: dict[str, str] = {}
    while len(found) < count:
        first, second = rng.sample(_LANDS, 2)
        side, other = rng.sample(_SIDES, 2)
        form = rng.choice(("{side} {first}", "{side} {first} and the {second}", "{side} {first} and {other} {second}"))
        name = form.format(side=side, other=other, first=first, second=second)
        found.setdefault(_folder(name), name)
    return list(found.values())


def _folder(name: str) -> str:
    """`Central Steppe and the Lakes` -> `central-steppe-n-lakes`, as the Factbook files regions."""
    words = [word for word in name.lower().split() if word != "the"]
    return "-".join("n" if word == "and" else word for word in words)


def _moved(entry: Entry, name: str) -> Entry:
    """The profile under the region; its map reference names the region, so that pages spell it so."""
    geography: Mapping[str, Any] = entry.profile.get("Geography", {})
    profile = {**entry.profile, "Geography": {**geography, "Map references": {"text": name}}}
    return replace(entry, region=_folder(name), profile=profile)
