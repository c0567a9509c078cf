"""What the marketplace sells: kinds of goods, their colours, materials, patterns, occasions and words.

Every word list starts with the plain name; the others are what sellers and buyers say instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from wares.samples.drawing import Colour, Paint, Part
from wares.samples.shapes import SHAPERS

Words = Sequence[str]
T = TypeVar("T")


@dataclass(frozen=True)
class Tone:
    """One colour: its words, its shades, and the colours that people take for it."""

    words: Words
    shades: Sequence[Colour]
    near: Words = ()


@dataclass(frozen=True)
class Kind:
    """One kind of goods and everything that can be true of it."""

    words: Words
    shapes: Mapping[str, Words]
    materials: Words
    prints: Words
    occasions: Words
    price: float
    scene: str = "table"
    sizes: Words = ()
    group: str = ""
    trim: str = ""
    portrait: bool = False
    near: Words = ()


@dataclass(frozen=True)
class Item:
    """The hidden truth about a thing for sale."""

    kind: str
    shape: str
    colour: str
    shade: Colour
    pattern: str
    material: str
    occasion: str
    trim: Colour
    ink: Colour
    origin: int
    size: str = ""
    print_scale: float = 1.0
    print_turn: float = 0.0
    metal: Colour = (206, 182, 124)
    wood: Colour = (160, 112, 70)

    def truth(self) -> dict[str, str]:
        """The attributes that queries ask for."""
        names = ("kind", "shape", "colour", "pattern", "material", "occasion")
        return {name: str(getattr(self, name)) for name in names}


COLOURS: Mapping[str, Tone] = {
    "red": Tone(
        ("red", "crimson", "scarlet", "burgundy", "cherry"),
        ((196, 38, 44), (168, 28, 40), (128, 24, 44)),
        ("pink", "orange"),
    ),
    "orange": Tone(
        ("orange", "rust", "terracotta", "tangerine"),
        ((226, 116, 42), (196, 88, 48), (236, 140, 60)),
        ("red", "yellow"),
    ),
    "yellow": Tone(
        ("yellow", "mustard", "lemon", "sunflower"), ((238, 200, 64), (214, 166, 46), (244, 218, 104)), ("orange",)
    ),
    "green": Tone(
        ("green", "olive", "forest", "sage", "emerald"),
        ((52, 122, 78), (106, 118, 58), (38, 84, 62), (142, 164, 126)),
        ("teal",),
    ),
    "teal": Tone(
        ("teal", "turquoise", "aqua", "petrol"), ((36, 140, 144), (64, 178, 176), (26, 104, 114)), ("green", "blue")
    ),
    "blue": Tone(
        ("blue", "cobalt", "sky", "cornflower"), ((52, 104, 188), (96, 150, 210), (40, 82, 168)), ("navy", "teal")
    ),
    "navy": Tone(("navy", "midnight blue", "dark blue"), ((30, 42, 84), (36, 48, 100)), ("blue", "black")),
    "purple": Tone(
        ("purple", "lilac", "plum", "lavender", "violet"), ((118, 72, 148), (150, 120, 186), (90, 46, 96)), ("pink",)
    ),
    "pink": Tone(
        ("pink", "blush", "rose", "fuchsia"), ((232, 142, 160), (240, 184, 186), (216, 82, 130)), ("red", "purple")
    ),
    "brown": Tone(
        ("brown", "tan", "chocolate", "cognac"), ((132, 84, 54), (168, 116, 72), (88, 56, 40)), ("beige", "orange")
    ),
    "beige": Tone(
        ("beige", "cream", "sand", "oatmeal"), ((218, 200, 168), (232, 218, 192), (200, 180, 150)), ("white", "brown")
    ),
    "white": Tone(("white", "ivory", "off-white"), ((242, 240, 234), (246, 243, 236)), ("beige",)),
    "grey": Tone(
        ("grey", "gray", "charcoal", "silver grey"), ((140, 144, 150), (108, 112, 120), (172, 174, 176)), ("black",)
    ),
    "black": Tone(("black", "jet black", "ebony"), ((48, 47, 52), (40, 40, 46)), ("navy", "grey")),
}

PATTERNS: Mapping[str, Words] = {
    "plain": ("plain", "solid colour", "unpatterned"),
    "striped": ("striped", "stripy", "stripes", "breton"),
    "dotted": ("polka dot", "spotty", "dotted", "spotted"),
    "checked": ("checked", "plaid", "tartan", "gingham"),
    "floral": ("floral", "flowery", "flower print", "blossom"),
    "zigzag": ("zigzag", "chevron", "zig zag"),
    "stars": ("star print", "starry", "stars"),
    "leopard": ("leopard print", "animal print", "leopard"),
}

MATERIALS: Mapping[str, Words] = {
    "leather": ("leather", "real leather", "genuine leather", "cowhide"),
    "suede": ("suede", "nubuck"),
    "patent": ("patent leather", "patent"),
    "canvas": ("canvas", "sailcloth"),
    "cotton": ("cotton", "jersey", "organic cotton"),
    "linen": ("linen", "flax"),
    "denim": ("denim", "jean"),
    "wool": ("wool", "lambswool", "merino", "woollen"),
    "silk": ("silk", "satin", "silky satin"),
    "velvet": ("velvet", "velour"),
    "plush": ("plush", "soft fur"),
    "nylon": ("nylon", "ripstop", "waterproof nylon"),
    "straw": ("straw", "raffia"),
    "jute": ("jute", "hessian"),
    "ceramic": ("ceramic", "glazed ceramic", "earthenware"),
    "porcelain": ("porcelain", "bone china", "fine china"),
    "stoneware": ("stoneware", "pottery", "hand-thrown clay"),
    "glass": ("glass", "hand-blown glass"),
    "enamel": ("enamel", "enamelled tin"),
    "wood": ("wooden", "oak", "solid wood", "beech"),
    "metal": ("metal", "brass", "steel"),
    "plastic": ("plastic", "acrylic"),
    "gold": ("gold", "gold plated", "14k gold"),
    "silver": ("silver", "sterling silver", "925 silver"),
    "spruce": ("spruce", "spruce top"),
    "mahogany": ("mahogany", "mahogany body"),
    "maple": ("maple", "flame maple"),
    "paper": ("paper", "rice paper"),
    "polyester": ("polyester", "pongee"),
}

FINISH_OF: Mapping[str, str] = {
    "patent": "patent leather",
    "gold": "stone",
    "silver": "stone",
    "spruce": "lacquer",
    "mahogany": "lacquer",
    "maple": "lacquer",
    "polyester": "nylon",
    "metal": "brushed",
}

OCCASIONS: Mapping[str, Words] = {
    "wedding": ("wedding", "bridal", "bridesmaid"),
    "party": ("party", "night out", "cocktail"),
    "office": ("office", "work", "business"),
    "hiking": ("hiking", "trekking", "outdoor"),
    "summer": ("summer", "beach", "holiday"),
    "winter": ("winter", "snow", "cold weather"),
    "christmas": ("christmas", "xmas", "festive"),
    "nursery": ("nursery", "baby room", "kids room"),
    "festival": ("festival", "boho", "hippie"),
    "school": ("school", "student", "college"),
    "garden": ("garden", "patio", "terrace"),
    "travel": ("travel", "weekend trip", "commuting"),
    "housewarming": ("housewarming", "new home", "first flat"),
    "sport": ("gym", "running", "sport"),
    "valentine": ("valentine", "anniversary", "romantic"),
    "retro": ("mid-century", "retro", "seventies"),
}

_CLOTHES = ("8", "10", "12", "14", "16", "S", "M", "L", "XL")
_SHOES = ("36", "37", "38", "39", "40", "41", "42", "43")
_PRINTS = ("plain", "plain", "striped", "dotted", "checked", "floral", "zigzag", "stars", "leopard")
_SOFT = ("plain", "striped", "dotted", "checked", "floral", "zigzag", "stars")
_FEW = ("plain", "plain", "plain", "striped", "checked", "floral", "leopard")

KINDS: Mapping[str, Kind] = {
    "boots": Kind(
        ("boots", "booties", "boot"),
        {
            "knee-high": ("knee high", "tall"),
            "ankle": ("ankle", "short"),
            "chelsea": ("chelsea", "pull-on"),
            "lace-up": ("lace up", "combat"),
        },
        ("leather", "suede", "canvas"),
        _FEW,
        ("hiking", "winter", "office", "festival"),
        62,
        "floor",
        _SHOES,
        "shoes",
        near=("sneakers", "heels"),
    ),
    "sneakers": Kind(
        ("sneakers", "trainers", "tennis shoes", "kicks"),
        {"low": ("low", "low top"), "high-top": ("high top", "hi-top"), "slip-on": ("slip on", "skate")},
        ("leather", "suede", "canvas"),
        _PRINTS,
        ("sport", "school", "summer", "travel"),
        45,
        "floor",
        _SHOES,
        "shoes",
        "pale",
        near=("boots",),
    ),
    "heels": Kind(
        ("heels", "pumps", "court shoes"),
        {
            "stiletto": ("stiletto", "high heel"),
            "block-heel": ("block heel", "chunky heel"),
            "slingback": ("slingback", "sling back"),
        },
        ("leather", "suede", "patent", "silk"),
        _FEW,
        ("wedding", "party", "office", "valentine"),
        48,
        "floor",
        _SHOES,
        "shoes",
        near=("boots",),
    ),
    "dress": Kind(
        ("dress", "frock", "gown"),
        {
            "mini": ("mini", "short"),
            "midi": ("midi", "tea length"),
            "maxi": ("maxi", "full length"),
            "wrap": ("wrap", "wrapover"),
        },
        ("cotton", "silk", "linen", "velvet"),
        _PRINTS,
        ("wedding", "party", "summer", "office", "festival"),
        42,
        "hanger",
        _CLOTHES,
        "clothes",
        portrait=True,
        near=("skirt",),
    ),
    "t-shirt": Kind(
        ("t-shirt", "tee", "tshirt", "top"),
        {
            "crew": ("crew neck", "round neck"),
            "v-neck": ("v-neck", "v neck"),
            "long-sleeved": ("long sleeved", "longsleeve"),
            "pocket": ("pocket", "with pocket"),
        },
        ("cotton", "linen", "silk"),
        _PRINTS,
        ("sport", "summer", "school", "festival"),
        16,
        "hanger",
        _CLOTHES,
        "clothes",
        near=("jumper",),
    ),
    "jumper": Kind(
        ("jumper", "sweater", "pullover", "knit"),
        {
            "crew": ("crew neck", "round neck"),
            "roll-neck": ("roll neck", "turtleneck", "polo neck"),
            "cardigan": ("cardigan", "button-up"),
        },
        ("wool", "cotton", "velvet"),
        _SOFT,
        ("winter", "christmas", "office", "school"),
        34,
        "hanger",
        _CLOTHES,
        "clothes",
        near=("t-shirt", "jacket"),
    ),
    "jacket": Kind(
        ("jacket", "coat"),
        {
            "bomber": ("bomber", "varsity"),
            "blazer": ("blazer", "tailored"),
            "hooded": ("hooded", "anorak", "raincoat"),
            "biker": ("biker", "moto"),
        },
        ("leather", "denim", "wool", "nylon", "velvet"),
        _FEW,
        ("office", "hiking", "winter", "party", "travel"),
        68,
        "hanger",
        _CLOTHES,
        "clothes",
        near=("jumper",),
    ),
    "skirt": Kind(
        ("skirt", "a-line"),
        {"mini": ("mini", "short"), "pleated": ("pleated", "swing"), "maxi": ("maxi", "long")},
        ("cotton", "denim", "wool", "silk", "leather"),
        _PRINTS,
        ("office", "party", "summer", "festival", "school"),
        26,
        "hanger",
        _CLOTHES,
        "clothes",
        near=("dress",),
    ),
    "hat": Kind(
        ("hat", "headwear"),
        {
            "beanie": ("beanie", "bobble hat", "pom pom"),
            "cap": ("cap", "baseball cap"),
            "fedora": ("fedora", "trilby"),
            "sun hat": ("sun hat", "floppy"),
        },
        ("wool", "cotton", "straw", "canvas"),
        _SOFT,
        ("winter", "summer", "festival", "hiking", "garden"),
        22,
        "table",
        ("one size",),
        "accessories",
        near=("scarf",),
    ),
    "scarf": Kind(
        ("scarf", "shawl", "wrap"),
        {"long": ("long", "fringed"), "snood": ("snood", "loop scarf", "infinity")},
        ("wool", "silk", "cotton", "linen"),
        _PRINTS,
        ("winter", "christmas", "office", "wedding"),
        20,
        "hook",
        (),
        "accessories",
        near=("hat",),
    ),
    "handbag": Kind(
        ("handbag", "purse", "bag"),
        {
            "tote": ("tote", "shopper"),
            "clutch": ("clutch", "evening bag"),
            "bucket": ("bucket bag", "drawstring"),
            "satchel": ("satchel", "saddle bag", "crossbody"),
        },
        ("leather", "suede", "canvas", "straw", "velvet"),
        _PRINTS,
        ("wedding", "party", "office", "summer", "travel"),
        52,
        "hook",
        (),
        "bag",
        near=("backpack",),
    ),
    "backpack": Kind(
        ("backpack", "rucksack", "daypack"),
        {
            "rucksack": ("flap", "two-strap", "heritage"),
            "roll-top": ("roll top", "rolltop"),
            "school": ("zip", "everyday"),
        },
        ("canvas", "leather", "nylon", "denim"),
        _PRINTS,
        ("hiking", "school", "travel", "sport"),
        46,
        "floor",
        (),
        "bag",
        near=("handbag",),
    ),
    "watch": Kind(
        ("watch", "wristwatch", "timepiece"),
        {
            "round": ("round", "classic"),
            "square": ("square", "tank"),
            "chronograph": ("chronograph", "chrono", "pilot"),
        },
        ("leather", "nylon", "suede"),
        ("plain", "plain", "plain", "striped", "dotted"),
        ("office", "sport", "travel", "valentine", "retro"),
        88,
        "wrist",
        (),
        "jewellery",
        "dial",
        True,
        ("necklace",),
    ),
    "necklace": Kind(
        ("necklace", "chain", "necklet"),
        {
            "pendant": ("pendant", "drop"),
            "beaded": ("beaded", "bead"),
            "heart": ("heart", "locket"),
            "statement": ("statement", "bib"),
        },
        ("gold", "silver"),
        ("plain",),
        ("wedding", "party", "valentine", "festival", "christmas"),
        36,
        "bust",
        (),
        "jewellery",
        near=("watch",),
    ),
    "mug": Kind(
        ("mug", "cup", "coffee cup"),
        {
            "tall": ("tall", "straight"),
            "wide": ("wide", "chunky", "cappuccino"),
            "tapered": ("tapered", "cafe"),
            "espresso": ("espresso", "small with saucer"),
        },
        ("ceramic", "porcelain", "stoneware", "enamel"),
        _SOFT,
        ("christmas", "office", "housewarming", "valentine", "hiking"),
        13,
        "table",
        (),
        "kitchen",
        near=("teapot",),
    ),
    "teapot": Kind(
        ("teapot", "tea pot", "tea kettle"),
        {"round": ("round", "classic"), "tall": ("tall", "coffee pot"), "cast": ("overhandle", "japanese style")},
        ("ceramic", "porcelain", "stoneware", "enamel"),
        _SOFT,
        ("garden", "housewarming", "christmas", "wedding"),
        28,
        "table",
        (),
        "kitchen",
        near=("mug",),
    ),
    "vase": Kind(
        ("vase", "flower vase", "vessel"),
        {
            "bottle": ("bottle", "narrow neck", "bud"),
            "urn": ("urn", "with handles", "amphora"),
            "cylinder": ("cylinder", "straight"),
            "round": ("round", "globe", "moon"),
        },
        ("ceramic", "glass", "stoneware", "porcelain"),
        _SOFT,
        ("wedding", "housewarming", "garden", "retro"),
        30,
        "table",
        (),
        "decor",
        portrait=True,
        near=("lamp",),
    ),
    "lamp": Kind(
        ("lamp", "light", "lampshade"),
        {
            "table": ("table", "bedside"),
            "drum": ("drum shade", "drum"),
            "tripod": ("tripod", "three legged"),
            "mushroom": ("mushroom", "dome"),
            "desk": ("desk", "reading", "anglepoise"),
        },
        ("linen", "cotton", "paper", "glass"),
        _SOFT,
        ("nursery", "office", "housewarming", "retro"),
        48,
        "table",
        (),
        "decor",
        portrait=True,
        near=("vase",),
    ),
    "chair": Kind(
        ("chair", "seat"),
        {
            "stool": ("stool", "bar stool"),
            "armchair": ("armchair", "easy chair", "lounge"),
            "dining": ("dining", "ladder back"),
            "tub": ("tub", "shell", "bucket"),
        },
        ("velvet", "leather", "linen", "wool"),
        _PRINTS,
        ("office", "nursery", "retro", "garden"),
        120,
        "room",
        (),
        "furniture",
        near=("cushion",),
    ),
    "cushion": Kind(
        ("cushion", "pillow", "throw pillow"),
        {
            "square": ("square", "scatter"),
            "round": ("round", "button"),
            "bolster": ("bolster", "neck roll"),
            "tasselled": ("tasselled", "with tassels"),
        },
        ("velvet", "linen", "cotton", "wool", "silk"),
        _PRINTS,
        ("nursery", "christmas", "garden", "housewarming", "festival"),
        18,
        "sofa",
        (),
        "decor",
        near=("rug",),
    ),
    "rug": Kind(
        ("rug", "carpet", "mat"),
        {"rectangular": ("rectangular", "large"), "round": ("round", "circular"), "runner": ("runner", "hallway")},
        ("wool", "cotton", "jute"),
        _PRINTS,
        ("nursery", "housewarming", "retro", "festival"),
        75,
        "carpet",
        (),
        "decor",
        near=("cushion",),
    ),
    "guitar": Kind(
        ("guitar", "six string", "axe"),
        {
            "acoustic": ("acoustic", "dreadnought"),
            "electric": ("electric", "solid body"),
            "ukulele": ("ukulele", "uke", "travel size"),
        },
        ("spruce", "mahogany", "maple"),
        ("plain", "plain", "plain", "floral", "stars", "striped"),
        ("festival", "school", "retro", "travel"),
        140,
        "lean",
        (),
        "music",
        portrait=True,
    ),
    "clock": Kind(
        ("clock", "timekeeper"),
        {
            "wall": ("wall", "kitchen"),
            "sunburst": ("sunburst", "starburst"),
            "alarm": ("alarm", "twin bell", "bedside"),
        },
        ("wood", "metal", "plastic"),
        ("plain",),
        ("nursery", "office", "retro", "housewarming"),
        32,
        "wall",
        (),
        "decor",
        near=("watch",),
    ),
    "teddy": Kind(
        ("teddy", "soft toy", "stuffed animal", "plushie"),
        {"bear": ("bear", "teddy bear"), "rabbit": ("rabbit", "bunny"), "bow": ("bear with bow", "bow tie bear")},
        ("plush", "wool", "cotton", "velvet"),
        ("plain", "plain", "striped", "dotted", "checked", "floral", "stars"),
        ("nursery", "christmas", "valentine"),
        19,
        "blanket",
        (),
        "toys",
    ),
    "umbrella": Kind(
        ("umbrella", "parasol", "brolly"),
        {"crook": ("crook handle", "walking", "stick"), "folding": ("folding", "compact", "telescopic")},
        ("nylon", "polyester", "cotton"),
        _PRINTS,
        ("wedding", "garden", "travel", "summer", "office"),
        24,
        "floor",
        (),
        "accessories",
    ),
}

GROUPS: Mapping[str, Words] = {
    "shoes": ("shoes", "footwear"),
    "clothes": ("clothes", "clothing", "outfit"),
    "bag": ("bag", "bags"),
    "jewellery": ("jewellery", "jewelry"),
    "kitchen": ("gift for a tea lover", "tea time", "kitchenware"),
    "decor": ("home decor", "something for the living room", "interior"),
    "accessories": ("accessories", "something to wear outside"),
}

SIZED = ("boots", "sneakers", "heels", "dress", "t-shirt", "jumper", "jacket", "skirt")
COLD_METAL: Colour = (196, 200, 206)
WARM_METAL: Colour = (212, 180, 104)
_WOODS: Sequence[Colour] = ((172, 122, 76), (138, 92, 56), (206, 164, 112), (98, 64, 44))
_NEUTRALS: Sequence[Colour] = ((240, 234, 222), (60, 56, 58), (122, 82, 54), (176, 132, 88), (226, 206, 172))


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of the options."""
    return options[int(rng.integers(len(options)))]


def jittered(colour: Colour, rng: np.random.Generator, by: float = 7) -> Colour:
    """Nearly the same colour."""
    red, green, blue = (int(np.clip(channel + rng.normal(0, by), 0, 255)) for channel in colour)
    return red, green, blue


def invent(rng: np.random.Generator, number: int) -> Item:
    """A new thing for sale."""
    name = pick(rng, list(KINDS))
    kind = KINDS[name]
    colour = pick(rng, list(COLOURS))
    if name == "guitar" and rng.random() < 0.5:
        colour = pick(rng, ("brown", "orange", "black"))
    pattern = pick(rng, kind.prints)
    material = pick(rng, kind.materials)
    if material == "glass":
        pattern = "plain"
    shade = jittered(pick(rng, COLOURS[colour].shades), rng)
    return Item(
        name,
        pick(rng, list(kind.shapes)),
        colour,
        shade,
        pattern,
        material,
        pick(rng, kind.occasions),
        _trim(rng, shade, pattern),
        _ink(rng, shade, pattern),
        number,
        pick(rng, kind.sizes) if kind.sizes else "",
        float(rng.uniform(0.7, 1.25)),
        float(pick(rng, (0, 0, 0, 45, 90))) if pattern in ("striped", "zigzag") else float(pick(rng, (0, 0, 45))),
        COLD_METAL if material == "silver" or (material != "gold" and rng.random() < 0.4) else WARM_METAL,
        jittered(pick(rng, _WOODS), rng),
    )


def recoloured(item: Item, rng: np.random.Generator) -> Item:
    """The same thing in another colour, as sellers show it to say what else they have."""
    colour = pick(rng, [name for name in COLOURS if name != item.colour])
    shade = jittered(pick(rng, COLOURS[colour].shades), rng)
    return Item(
        item.kind,
        item.shape,
        colour,
        shade,
        item.pattern,
        item.material,
        item.occasion,
        item.trim,
        _ink(rng, shade, item.pattern),
        item.origin,
        item.size,
        item.print_scale,
        item.print_turn,
        item.metal,
        item.wood,
    )


def _brightness(colour: Colour) -> float:
    return 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]


def _mixed(one: Colour, two: Colour, share: float) -> Colour:
    red, green, blue = (int(a + (b - a) * share) for a, b in zip(one, two, strict=True))
    return red, green, blue


def _ink(rng: np.random.Generator, shade: Colour, pattern: str) -> Colour:
    """The second colour of a print: pale on dark, dark on pale, so that the ground names the colour."""
    if pattern == "leopard" and _brightness(shade) > 75:
        return _mixed(shade, (34, 22, 18), 0.78)
    if _brightness(shade) > 165:
        return pick(rng, ((70, 74, 92), (120, 84, 66), (196, 84, 84), (66, 96, 92), (60, 84, 140)))
    return pick(rng, ((246, 242, 232), (246, 242, 232), (248, 232, 196), (250, 224, 224)))


def _trim(rng: np.random.Generator, shade: Colour, pattern: str) -> Colour:
    """The second colour of the thing: quieter than the first."""
    draw = rng.random()
    if draw < 0.4:
        return _mixed(shade, (20, 18, 24), 0.35)
    if draw < 0.55 and _brightness(shade) < 170:
        return _mixed(shade, (250, 246, 238), 0.5)
    return pick(rng, _NEUTRALS)


def paints_of(item: Item) -> dict[str, Paint]:
    """Every slot of paint of an item."""
    finish = FINISH_OF.get(item.material, item.material)
    dark, pale = _mixed(item.shade, (16, 14, 18), 0.45), _mixed(item.shade, (255, 252, 246), 0.3)
    printed = Paint(
        item.shade,
        finish,
        item.pattern,
        (item.ink, _mixed(item.shade, item.ink, 0.35) if item.pattern != "floral" else _leaf(item)),
        item.print_scale,
        item.print_turn,
    )
    hard = finish if finish in ("ceramic", "porcelain", "stoneware", "enamel", "glass") else "ceramic"
    pale_dial = _brightness(item.trim) > 140
    return {
        "main": Paint(item.shade, finish),
        "print": printed,
        "trim": Paint(item.trim, _trim_finish(item, finish)),
        "pale": Paint((238, 233, 224), "cotton"),
        "dark": Paint((38, 36, 38), "plastic"),
        "inside": Paint(dark, "rubber"),
        "lip": Paint(pale, hard),
        "sole": Paint(_sole(item), "rubber"),
        "seam": Paint(_mixed(item.shade, (16, 14, 18), 0.32), "rubber"),
        "wood": Paint(item.wood, "wood"),
        "metal": Paint(item.metal, "metal"),
        "glow": Paint(
            item.shade,
            finish if finish != "glass" else "porcelain",
            item.pattern,
            printed.inks,
            item.print_scale,
            item.print_turn,
            0.5,
        ),
        "bulb": Paint((255, 246, 210), "plastic", glow=1.0),
        "hands": Paint((52, 50, 54) if pale_dial else (240, 238, 232), "plastic"),
        "dial": Paint((247, 244, 237), "paper"),
        "ribbon": Paint(item.trim, "silk"),
    }


def _leaf(item: Item) -> Colour:
    return (
        (96, 140, 92)
        if _brightness(item.shade) < 190 and item.colour not in ("green", "teal")
        else _mixed(item.shade, (236, 196, 90), 0.6)
    )


def _sole(item: Item) -> Colour:
    if item.kind == "sneakers":
        return (240, 236, 228) if item.origin % 4 else (196, 160, 116)
    return (62, 48, 42) if item.origin % 3 else (40, 37, 38)


def _trim_finish(item: Item, finish: str) -> str:
    if item.kind in ("watch", "clock", "guitar"):
        return "plastic"
    return {"glass": "glass", "straw": "leather", "patent leather": "leather"}.get(finish, finish)


def parts_of(item: Item, seed: int) -> list[Part]:
    """The outlines of an item, its own proportions included: a relisting shows the same thing."""
    rng = np.random.default_rng([seed, item.origin, 3])
    return SHAPERS[item.kind](item.shape, lambda value: float(value * rng.uniform(0.93, 1.07)))


def kinds_in(group: str) -> Iterator[str]:
    """The kinds of one group."""
    return (name for name, kind in KINDS.items() if kind.group == group)
