"""The kinds of goods on sale, and everything that can be true of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wares.samples.palette import Words


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


def kinds_in(group: str) -> Iterator[str]:
    """The kinds of one group."""
    return (name for name, kind in KINDS.items() if kind.group == group)
