"""Component specs: cases by eye, errors, descriptions of families, and the round trip as a property."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wares.core.errors import SettingsError
from wares.core.specs import Description, describe, format_spec, parse_spec, split_specs


@dataclass(frozen=True)
class Boot:
    """Keeps feet dry.

    size: European.
    """

    requires: ClassVar[str] = "two feet"
    source: ClassVar[str] = "Otzi, 3300 BC"

    height: float = 0.5
    size: int = 42
    label: str = "plain"
    lined: bool = False
    worn: bool = field(default=False, init=False)  # computed, so not a setting

    def __post_init__(self) -> None:
        object.__setattr__(self, "worn", self.size > 40)


@dataclass(frozen=True)
class Mug:
    pass


@dataclass(frozen=True)
class Bag:
    volume: float | None = None


@dataclass(frozen=True)
class Lamp:
    shade: str = ""


@dataclass(frozen=True)
class Shelf:
    """Holds lamps"""

    width: int
    lamps: list[int] = field(default_factory=list)


GOODS: dict[str, type[object]] = {"boot": Boot, "coffee-mug": Mug, "lamp": Lamp}

finite = st.floats(allow_nan=False, allow_infinity=False)
boots = st.builds(Boot, finite, st.integers(), st.text(), st.booleans())
goods = st.one_of(boots, st.builds(Mug), st.builds(Lamp, st.text("',\"()[]{}\\=# \n", max_size=12)))


# By eye


@pytest.mark.parametrize(
    ("member", "name"),
    [
        (Boot(), "boot"),
        (Boot(size=44), "boot(size=44)"),
        (Boot(0.25, label="red, wide"), "boot(height=0.25, label='red, wide')"),
        (Mug(), "coffee-mug"),
    ],
)
def test_a_spec_names_only_settings_that_differ_from_the_defaults(member: object, name: str) -> None:
    assert format_spec(member, GOODS) == name
    assert parse_spec(name, GOODS, "good") == member


@pytest.mark.parametrize("text", ["boot", " boot ", "boot()", "boot( )", "boot(size=42)", "boot(height=5e-1,)"])
def test_equivalent_spellings_of_the_defaults(text: str) -> None:
    assert parse_spec(text, GOODS, "good") == Boot()


def test_a_setting_without_a_number_is_none() -> None:
    """And a setting that may be None is checked all the same."""
    family = {"bag": Bag}
    assert parse_spec("bag(volume=None)", family, "good") == parse_spec("bag", family, "good") == Bag(None)
    assert parse_spec("bag(volume=3)", family, "good") == Bag(3)
    with pytest.raises(SettingsError, match="volume of good bag must be a number, not 'large'"):
        parse_spec("bag(volume='large')", family, "good")


def test_a_float_setting_accepts_a_whole_number() -> None:
    assert parse_spec("boot(height=-3)", GOODS, "good") == Boot(-3)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        (" , ,", []),
        ("boot", ["boot"]),
        ("boot, lamp ,coffee-mug", ["boot", "lamp", "coffee-mug"]),
        ("boot(height=1, size=2),lamp", ["boot(height=1, size=2)", "lamp"]),
        ("boot(label='a, b'), lamp", ["boot(label='a, b')", "lamp"]),
        ("lamp(shade=')'), boot", ["lamp(shade=')')", "boot"]),
        ('lamp(shade="it\'s"), boot', ['lamp(shade="it\'s")', "boot"]),
        (r"lamp(shade='\''), boot", [r"lamp(shade='\'')", "boot"]),
        ("lamp(shade=((1, 2), 3)), boot", ["lamp(shade=((1, 2), 3))", "boot"]),
    ],
)
def test_split_specs_respects_brackets_and_quotes(text: str, names: list[str]) -> None:
    assert split_specs(text) == names


# Errors


@pytest.mark.parametrize("text", ["shoe", "", "Boot", "shoe(size=1)", "(size=1)"])
def test_an_unknown_name_lists_the_known_names(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^no good '.*'; there are boot, coffee-mug, lamp\.$"):
        parse_spec(text, GOODS, "good")


@pytest.mark.parametrize(
    ("text", "settings"),
    [("boot(colour='red')", "height, size, label, lined"), ("boot(worn=1.0)", "height, size, label, lined")],
)
def test_an_unknown_setting_lists_the_known_settings(text: str, settings: str) -> None:
    with pytest.raises(SettingsError, match=rf"^good boot has no setting '\w+'; it has {settings}\.$"):
        parse_spec(text, GOODS, "good")


def test_a_setting_of_a_member_without_settings_is_rejected() -> None:
    with pytest.raises(SettingsError, match="good coffee-mug has no setting 'size'; it has none"):
        parse_spec("coffee-mug(size=1)", GOODS, "good")


@pytest.mark.parametrize(
    "text",
    [
        "boot(",
        "boot(size=1",
        "boot(size=)",
        "boot(size)",
        "boot(44)",
        "boot(size=1))",
        "boot(size=1) and more",
        "boot(size=1).label",
        "boot(size=1)(height=2)",
        "boot(size=1, size=2)",
        "boot(**{'size': 1})",
        "boot(*[1])",
        "boot(size=other)",
        "boot(size=__import__('os').getpid())",
        "boot(size={[]: 1})",
        "boot(label='open)",
        "boot(size=\0)",
    ],
)
def test_a_malformed_spec_is_rejected_in_one_line(text: str) -> None:
    with pytest.raises(SettingsError, match=r"is not a valid good\. Write it as name\(setting=value") as caught:
        parse_spec(text, GOODS, "good")
    assert "\n" not in str(caught.value)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("boot(size='large')", "size of good boot must be a whole number, not 'large'"),
        ("boot(size=1.5)", "size of good boot must be a whole number, not 1.5"),
        ("boot(size=True)", "size of good boot must be a whole number, not True"),
        ("boot(height='high')", "height of good boot must be a number, not 'high'"),
        ("boot(height=None)", "height of good boot must be a number, not None"),
        ("boot(height=1e999)", "height of good boot must be a number, not inf"),
        ("boot(label=3)", "label of good boot must be a text in quotes, not 3"),
        ("boot(lined=1)", "lined of good boot must be True or False, not 1"),
    ],
)
def test_a_value_of_the_wrong_type_is_rejected(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse_spec(text, GOODS, "good")


def test_a_member_of_another_family_has_no_spec() -> None:
    with pytest.raises(SettingsError, match=r"has no name here\. Use one of boot, coffee-mug"):
        format_spec(Lamp(), {"boot": Boot, "coffee-mug": Mug})


# Descriptions


def test_descriptions_of_a_family() -> None:
    assert describe({"boot": Boot, "coffee-mug": Mug, "shelf": Shelf}) == [
        Description(
            "boot",
            "Keeps feet dry",
            "height=0.5, size=42, label='plain', lined=False",
            requires="two feet",
            source="Otzi, 3300 BC",
        ),
        Description("coffee-mug", "", "", requires="", source=""),
        Description("shelf", "Holds lamps", "width, lamps=[]", requires="", source=""),
    ]


def test_described_settings_parse_to_the_defaults() -> None:
    [boot, _, lamp] = describe(GOODS)
    assert parse_spec(f"boot({boot.settings})", GOODS, "good") == Boot()
    assert parse_spec(f"lamp({lamp.settings})", GOODS, "good") == Lamp()


# Properties


@given(goods)
@example(Boot(label="'\""))
@example(Boot(5e-324, -(10**30), "a, b)('", True))
def test_specs_print_and_parse_to_the_same_member(member: object) -> None:
    name = format_spec(member, GOODS)
    assert parse_spec(name, GOODS, "good") == member
    assert "\n" not in name


@given(st.lists(goods, max_size=5), st.sampled_from([",", ", ", " , "]))
def test_joined_specs_split_into_the_same_specs(members: list[object], separator: str) -> None:
    names = [format_spec(member, GOODS) for member in members]
    assert split_specs(separator.join(names)) == names


@given(st.text("abot(,)'\"=[]\\ 1.*", max_size=20).map(lambda tail: f"boot({tail}"))
def test_any_text_in_brackets_parses_or_raises_a_settings_error(text: str) -> None:
    with suppress(SettingsError):
        member = parse_spec(text, GOODS, "good")
        assert parse_spec(format_spec(member, GOODS), GOODS, "good") == member
