"""What sellers write and buyers type: titles, descriptions, tags, queries, slips of the finger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wares.samples.items import Item
from wares.samples.kinds import GROUPS, KINDS, SIZED
from wares.samples.palette import COLOURS, MATERIALS, OCCASIONS, PATTERNS
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


OPENERS = (
    "",
    "",
    "",
    "",
    "Gorgeous",
    "Lovely",
    "Beautiful",
    "Stunning",
    "Pretty",
    "Cute",
    "Vintage",
    "Rare",
    "Stylish",
    "Unique",
    "Sweet",
    "Fab",
    "BNWT",
    "NEW",
    "Preloved",
    "Handmade",
    "Super cute",
    "Almost new",
    "Quality",
    "*REDUCED*",
    "Amazing",
    "Genuine",
    "Retro",
)
CLOSERS = (
    "",
    "",
    "",
    "",
    "worn once",
    "excellent condition",
    "great condition",
    "like new",
    "no flaws",
    "must go!",
    "never used",
    "ready to post",
    "price drop",
    "bargain!!",
    "rrp {rrp}",
    "open to offers",
    "collection or post",
    "see photos",
    "from a pet free home",
    "final reduction",
    "one of a kind",
)
MARKS = ("", "", "", "", "", "!", "!!", " 💕", " ✨", " 🌿", " 😍", " 🎁", " ❤️", " ⭐")
VAGUE = (
    "the perfect present",
    "a real eye-catcher",
    "must have item",
    "lovely piece",
    "beauty from my collection",
    "gift idea",
    "one for the collectors",
    "statement piece",
    "my favourite but has to go",
    "what a find",
    "present for her",
    "something special",
)

SENTENCES: Mapping[str, Sequence[str]] = {
    "kind": (
        "Selling my {w}.",
        "Lovely {w} for sale.",
        "This {w} needs a new home.",
        "I have only used this {w} a few times.",
        "Such a nice {w}, I am sad to see it go.",
        "Up for grabs: {w}.",
    ),
    "colour": (
        "The colour is {w}.",
        "Comes in {w}.",
        "A beautiful {w} shade.",
        "The {w} is richer in daylight.",
        "Colour: {w}.",
    ),
    "pattern": ("With a {w} design.", "It is {w}, as you can see.", "Pattern: {w}.", "I fell for the {w} look."),
    "material": (
        "Made of {w}.",
        "Material: {w}.",
        "It is {w}, so it lasts.",
        "Good quality {w}.",
        "{W}, feels really nice.",
    ),
    "shape": ("The style is {w}.", "It is the {w} one.", "Style: {w}.", "{W} style."),
    "occasion": (
        "Bought for a {w} and not needed since.",
        "Perfect for {w}.",
        "Ideal for {w}!",
        "Would suit {w}.",
        "I always used it for {w}.",
    ),
}
CONFUSERS = (
    "Also selling a {colour} {kind}, see my other items.",
    "Would go so well with a {colour} {kind}.",
    "I wore it with my {colour} {kind}.",
    "Looks great next to a {colour} {kind}.",
    "Swap for a {kind} considered.",
    "Not {colour}, despite what the light does in the second photo.",
)
BOILERPLATE = (
    "Smoke and pet free home.",
    "Posted within two working days.",
    "Bundle two items and save on postage.",
    "Any questions, just ask.",
    "No returns, sorry.",
    "From a smoke-free home.",
    "Happy to send more pictures.",
    "Check my other listings!",
    "Tracked shipping only.",
    "Please look at the photos before buying.",
    "Dispatched in recycled packaging.",
    "Collection possible.",
    "Condition as in the pictures.",
    "Thanks for looking!",
    "Price includes postage.",
    "I am having a clear-out before we move.",
)
FIT = (
    "Size {size}, fits true to size.",
    "Labelled {size} but comes up small.",
    "Size {size}.",
    "I am usually a {size} and it fits me well.",
)
NOISE_TAGS = (
    "gift",
    "gift idea",
    "vintage",
    "handmade",
    "sale",
    "new",
    "preloved",
    "boho",
    "retro",
    "sustainable",
    "unique",
    "cute",
    "trending",
    "y2k",
    "cottagecore",
    "minimalist",
    "second hand",
    "for her",
    "for him",
    "small business",
    "bargain",
    "designer",
    "quirky",
)
CONDITIONS = ("new with tags", "new", "like new", "good", "fair")
PLACES = (
    "London",
    "Leeds",
    "Bristol",
    "Dublin",
    "Glasgow",
    "Utrecht",
    "Ghent",
    "Lyon",
    "Porto",
    "Aarhus",
    "Vienna",
    "Turin",
)
SELLERS = (
    (
        "Willow",
        "Juniper",
        "Marigold",
        "Harbour",
        "Copper",
        "Little",
        "Paper",
        "Velvet",
        "Northern",
        "Salt",
        "Clover",
        "Fern",
        "Amber",
        "Blue",
        "Old Mill",
        "Magpie",
    ),
    (
        "& Wren",
        "& Oak",
        "Lane",
        "Fox",
        "House",
        "Attic",
        "Studio",
        "& Daughters",
        "Goods",
        "Finds",
        "Cabin",
        "Market",
        "Cottage",
        "Emporium",
        "Thread",
        "Bazaar",
    ),
)


def words_of(attribute: str, item: Item) -> Sequence[str]:
    """What an attribute of an item may be called."""
    value = item.truth()[attribute]
    if attribute == "shape":
        return KINDS[item.kind].shapes[value]
    if attribute in ("colour", "kind"):
        return COLOURS[value].words if attribute == "colour" else KINDS[value].words
    return {"pattern": PATTERNS, "material": MATERIALS, "occasion": OCCASIONS}[attribute][value]


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
    words = [pick(rng, OPENERS), *(said[name] for name in order), said.get("kind", pick(rng, VAGUE))]
    if item.kind in SIZED and rng.random() < 0.45:
        words.append(pick(rng, ("size {}", "sz {}", "- {}", "UK {}", "({})")).format(item.size))
    closer = pick(rng, CLOSERS).format(rrp=round(price * 2.2))
    text = " ".join(word for word in words if word)
    if closer:
        text += pick(rng, (" - ", ", ", " | ", " ")) + closer
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
    return text + pick(rng, MARKS)


def _description(item: Item, tells: Sequence[str], rng: Rng) -> str:
    sentences = []
    for name in tells:
        word = say(name, item, rng)
        sentences.append(pick(rng, SENTENCES[name]).format(w=word, W=word[0].upper() + word[1:]))
    if item.size and item.kind in SIZED and rng.random() < 0.4:
        sentences.append(pick(rng, FIT).format(size=item.size))
    rng.shuffle(sentences)
    if rng.random() < 0.3:
        sentences.append(pick(rng, CONFUSERS).format(colour=pick(rng, list(COLOURS)), kind=pick(rng, list(KINDS))))
    sentences += [pick(rng, BOILERPLATE) for _ in range(int(rng.integers(0, 3)))]
    return " ".join(sentences[:6]) or pick(rng, BOILERPLATE)


def _tags(item: Item, tells: Sequence[str], rng: Rng) -> list[str]:
    tags = [say(name, item, rng, 0.45) for name in tells] + [
        pick(rng, NOISE_TAGS) for _ in range(int(rng.integers(1, 4)))
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
