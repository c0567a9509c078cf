"""Texts of listings: titles, descriptions and tags, which leave out much of what the photos show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wares.samples.items import Item
from wares.samples.kinds import KINDS, has_size_range
from wares.samples.palette import COLOURS, MATERIALS, OCCASIONS, PATTERNS
from wares.samples.phrases import PHRASES
from wares.samples.randomness import Rng, pick

# How often a text mentions an attribute of the item. What no text mentions, only the photos show.
MENTION_SHARES: Mapping[str, Mapping[str, float]] = {
    "title": {"kind": 0.80, "colour": 0.17, "pattern": 0.12, "material": 0.14, "shape": 0.24, "occasion": 0.08},
    "description": {"kind": 0.50, "colour": 0.20, "pattern": 0.16, "material": 0.50, "shape": 0.20, "occasion": 0.46},
    "tags": {"kind": 0.45, "colour": 0.17, "pattern": 0.15, "material": 0.24, "shape": 0.18, "occasion": 0.32},
}
TITLE_ORDER = ("occasion", "colour", "pattern", "material", "shape")


@dataclass(frozen=True)
class Texts:
    """The texts of a listing, and the attributes that each of them mentions."""

    title: str
    description: str
    tags: list[str]
    mentions: dict[str, list[str]]


def write_texts(item: Item, rng: Rng, price: float) -> Texts:
    """Write the title, description and tags of a listing."""
    mentions = {
        text: [name for name, share in shares.items() if rng.random() < share]
        for text, shares in MENTION_SHARES.items()
    }
    for names in mentions.values():
        if item.pattern == "plain" and "pattern" in names and rng.random() < 0.7:
            names.remove("pattern")
    title = with_typos(_title(item, mentions["title"], rng, price), rng, 0.035)
    description = with_typos(_description(item, mentions["description"], rng), rng, 0.012)
    return Texts(title, description, _tags(item, mentions["tags"], rng), mentions)


def word_for(attribute: str, item: Item, rng: Rng, plain_share: float = 0.5) -> str:
    """Return a word for an attribute: the plain one with probability `plain_share`, else any of its words."""
    words = _words_for(attribute, item)
    return words[0] if rng.random() < plain_share else pick(rng, words)


def _words_for(attribute: str, item: Item) -> Sequence[str]:
    """Return all words for the value of an attribute, the plain one first."""
    value = item.attributes()[attribute]
    if attribute == "kind":
        return KINDS[value].words
    if attribute == "shape":
        return KINDS[item.kind].shapes[value]
    if attribute == "colour":
        return COLOURS[value].words
    if attribute == "material":
        return MATERIALS[value].words
    return {"pattern": PATTERNS, "occasion": OCCASIONS}[attribute][value]


def _title(item: Item, mentions: Sequence[str], rng: Rng, price: float) -> str:
    phrases = PHRASES.title
    words = {name: word_for(name, item, rng) for name in mentions}
    order = [name for name in TITLE_ORDER if name in words]
    if rng.random() < 0.4:
        rng.shuffle(order)
    parts = [pick(rng, phrases.openers), *(words[name] for name in order)]
    vague_noun = pick(rng, phrases.vague_nouns)  # drawn in any case, so that a seed keeps its later draws
    parts.append(words.get("kind", vague_noun))
    if has_size_range(item.kind) and rng.random() < 0.45:
        parts.append(pick(rng, phrases.sizes).format(size=item.size))
    closer = pick(rng, phrases.closers).format(rrp=round(price * 2.2))
    title = " ".join(part for part in parts if part)
    if closer:
        title += pick(rng, phrases.joins) + closer
    return _with_random_case(title, rng) + pick(rng, phrases.endings)


def _with_random_case(title: str, rng: Rng) -> str:
    style = rng.random()
    if style < 0.07:
        return title.upper()
    if style < 0.3:
        return title.title()
    return title[0].upper() + title[1:] if style < 0.85 else title.lower()


def _description(item: Item, mentions: Sequence[str], rng: Rng) -> str:
    phrases = PHRASES.description
    sentences = []
    for name in mentions:
        word = word_for(name, item, rng)
        sentences.append(pick(rng, phrases.sentences[name]).format(word=word, Word=word[0].upper() + word[1:]))
    if has_size_range(item.kind) and rng.random() < 0.4:
        sentences.append(pick(rng, phrases.fit).format(size=item.size))
    rng.shuffle(sentences)
    if rng.random() < 0.3:
        sentence = pick(rng, phrases.other_items)
        sentences.append(sentence.format(colour=pick(rng, list(COLOURS)), kind=pick(rng, list(KINDS))))
    sentences += [pick(rng, phrases.boilerplate) for _ in range(int(rng.integers(0, 3)))]
    return " ".join(sentences[:6]) or pick(rng, phrases.boilerplate)


def _tags(item: Item, mentions: Sequence[str], rng: Rng) -> list[str]:
    tags = [word_for(name, item, rng, 0.45) for name in mentions]
    tags += [pick(rng, PHRASES.tags.noise) for _ in range(int(rng.integers(1, 4)))]
    rng.shuffle(tags)
    return list(dict.fromkeys(tags))


def with_typos(text: str, rng: Rng, share: float) -> str:
    """Misspell a share of the words that have more than three letters."""
    return " ".join(misspell(word, rng) if len(word) > 3 and rng.random() < share else word for word in text.split(" "))


def misspell(word: str, rng: Rng) -> str:
    """Swap two letters, leave one out or double one, never the first; a word without two such letters stays."""
    letters = [k for k in range(1, len(word) - 1) if word[k].isalpha() and word[k + 1].isalpha()]
    if not letters:
        return word
    index = pick(rng, letters)
    before, letter, rest = word[:index], word[index], word[index + 1 :]
    typo = int(rng.integers(3))
    if typo == 0 and letter != rest[0]:
        return before + rest[0] + letter + rest[1:]
    return before + rest if typo == 1 else before + letter + letter + rest
