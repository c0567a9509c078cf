"""What sellers write and buyers type: titles, descriptions, tags, queries, slips of the finger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wares.samples.items import Item
from wares.samples.kinds import GROUPS, KINDS, has_size_range
from wares.samples.palette import COLOURS, MATERIALS, OCCASIONS, PATTERNS
from wares.samples.phrases import PHRASES
from wares.samples.randomness import Rng, pick

# How often a seller tells each attribute in each text. What no text tells, only the photos show.
MENTIONS: Mapping[str, Mapping[str, float]] = {
    "title": {"kind": 0.80, "colour": 0.17, "pattern": 0.12, "material": 0.14, "shape": 0.24, "occasion": 0.08},
    "description": {"kind": 0.50, "colour": 0.20, "pattern": 0.16, "material": 0.50, "shape": 0.20, "occasion": 0.46},
    "tags": {"kind": 0.45, "colour": 0.17, "pattern": 0.15, "material": 0.24, "shape": 0.18, "occasion": 0.32},
}


@dataclass(frozen=True)
class Texts:
    """The texts of a listing, and which attributes each of them tells."""

    title: str
    description: str
    tags: list[str]
    tells: dict[str, list[str]]


def words_of(attribute: str, item: Item) -> Sequence[str]:
    """What an attribute of an item may be called."""
    value = item.truth()[attribute]
    if attribute == "shape":
        return KINDS[item.kind].shapes[value]
    if attribute in ("colour", "kind"):
        return COLOURS[value].words if attribute == "colour" else KINDS[value].words
    if attribute == "material":
        return MATERIALS[value].words
    return {"pattern": PATTERNS, "occasion": OCCASIONS}[attribute][value]


def say(attribute: str, item: Item, rng: Rng, plainly: float = 0.5) -> str:
    """One word for an attribute: the plain one with probability `plainly`, else any of its synonyms."""
    words = words_of(attribute, item)
    return words[0] if rng.random() < plainly else pick(rng, words)


def write(item: Item, rng: Rng, price: float) -> Texts:
    """The texts of a listing."""
    tells = {view: [name for name, chance in odds.items() if rng.random() < chance] for view, odds in MENTIONS.items()}
    for told in tells.values():
        if item.pattern == "plain" and "pattern" in told and rng.random() < 0.7:
            told.remove("pattern")
    title = slipped(_title(item, tells["title"], rng, price), rng, 0.035)
    return Texts(
        title,
        slipped(_description(item, tells["description"], rng), rng, 0.012),
        _tags(item, tells["tags"], rng),
        tells,
    )


def _title(item: Item, tells: Sequence[str], rng: Rng, price: float) -> str:
    said = {name: say(name, item, rng) for name in tells}
    order = [name for name in ("occasion", "colour", "pattern", "material", "shape") if name in said]
    if rng.random() < 0.4:
        rng.shuffle(order)
    words = [
        pick(rng, PHRASES.title.openers),
        *(said[name] for name in order),
        said.get("kind", pick(rng, PHRASES.title.vague_nouns)),
    ]
    if has_size_range(item.kind) and rng.random() < 0.45:
        words.append(pick(rng, PHRASES.title.sizes).format(size=item.size))
    closer = pick(rng, PHRASES.title.closers).format(rrp=round(price * 2.2))
    text = " ".join(word for word in words if word)
    if closer:
        text += pick(rng, PHRASES.title.joins) + closer
    style = rng.random()
    text = (
        text.upper()
        if style < 0.07
        else text.title()
        if style < 0.3
        else text[0].upper() + text[1:]
        if style < 0.85
        else text.lower()
    )
    return text + pick(rng, PHRASES.title.endings)


def _description(item: Item, tells: Sequence[str], rng: Rng) -> str:
    sentences = []
    for name in tells:
        word = say(name, item, rng)
        sentences.append(
            pick(rng, PHRASES.description.sentences[name]).format(word=word, Word=word[0].upper() + word[1:])
        )
    if item.size and has_size_range(item.kind) and rng.random() < 0.4:
        sentences.append(pick(rng, PHRASES.description.fit).format(size=item.size))
    rng.shuffle(sentences)
    if rng.random() < 0.3:
        sentences.append(
            pick(rng, PHRASES.description.other_items).format(
                colour=pick(rng, list(COLOURS)), kind=pick(rng, list(KINDS))
            )
        )
    sentences += [pick(rng, PHRASES.description.boilerplate) for _ in range(int(rng.integers(0, 3)))]
    return " ".join(sentences[:6]) or pick(rng, PHRASES.description.boilerplate)


def _tags(item: Item, tells: Sequence[str], rng: Rng) -> list[str]:
    tags = [say(name, item, rng, 0.45) for name in tells] + [
        pick(rng, PHRASES.tags.noise) for _ in range(int(rng.integers(1, 4)))
    ]
    rng.shuffle(tags)
    return list(dict.fromkeys(tags))


def slipped(text: str, rng: Rng, rate: float) -> str:
    """The text with a slip of the finger in a few of its words."""
    return " ".join(misspelt(word, rng) if len(word) > 3 and rng.random() < rate else word for word in text.split(" "))


def misspelt(word: str, rng: Rng) -> str:
    """Two letters swapped, one left out, or one doubled; the first stays."""
    letters = [k for k in range(1, len(word) - 1) if word[k].isalpha() and word[k + 1].isalpha()]
    if not letters:
        return word
    at = pick(rng, letters)
    kind = int(rng.integers(3))
    if kind == 0 and word[at] != word[at + 1]:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word[:at] + word[at + 1 :] if kind == 1 else word[:at] + word[at] + word[at:]


def mistyped(text: str, rng: Rng) -> str:
    """A query with its longest word misspelt."""
    longest = max(text.split(" "), key=len)
    return text.replace(longest, misspelt(longest, rng), 1)


# Queries

Wants = dict[str, str]
FORMS: Sequence[tuple[tuple[str, ...], float]] = (
    (("kind",), 0.05),
    (("kind", "colour"), 0.24),
    (("kind", "pattern"), 0.15),
    (("kind", "material"), 0.11),
    (("kind", "occasion"), 0.12),
    (("kind", "shape"), 0.08),
    (("kind", "colour", "material"), 0.06),
    (("kind", "colour", "pattern"), 0.06),
    (("kind", "colour", "occasion"), 0.03),
    (("group", "colour"), 0.05),
    (("group", "pattern"), 0.03),
    (("group", "occasion"), 0.02),
)
ORDER = ("occasion", "colour", "pattern", "material", "shape", "kind", "group")


def phrase(wants: Wants, item: Item, rng: Rng) -> str:
    """What a buyer who wants this types."""
    said = {
        name: pick(rng, GROUPS[value]) if name == "group" else say(name, item, rng, 0.55)
        for name, value in wants.items()
    }
    order = [name for name in ORDER if name in said]
    if "occasion" in said and rng.random() < 0.4:
        order = [*order[1:], "occasion"]
        said["occasion"] = "for " + said["occasion"]
    elif len(order) > 1 and rng.random() < 0.15:
        order = order[::-1]
    if said.get("group", "").startswith(("gift", "something")):
        order = (
            [name for name in order if name != "group"] + ["group"]
            if rng.random() < 0.5
            else ["group", *(name for name in order if name != "group")]
        )
    return " ".join(said[name] for name in order)
