"""Names of parts: contracts of parsing, cases by eye, and the round trip as a property."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wares.core.errors import SettingsError
from wares.core.specs import format_spec, parse_spec, split_specs


@dataclass(frozen=True)
class Boot:
    height: float = 0.5
    size: int = 42
    label: str = "plain"
    lined: bool = False
    worn: bool = field(default=False, init=False)  # what it becomes, no setting

    def __post_init__(self) -> None:
        object.__setattr__(self, "worn", self.size > 40)


@dataclass(frozen=True)
class Mug:
    pass


@dataclass(frozen=True)
class Lamp:
    shade: str = ""


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
def test_a_name_has_the_settings_that_are_not_the_defaults(member: object, name: str) -> None:
    assert format_spec(member, GOODS) == name
    assert parse_spec(name, GOODS, "good") == member


@pytest.mark.parametrize("text", ["boot", " boot ", "boot()", "boot( )", "boot(size=42)", "boot(height=5e-1,)"])
def test_other_spellings_of_the_defaults(text: str) -> None:
    assert parse_spec(text, GOODS, "good") == Boot()


def test_a_whole_number_will_do_for_a_fraction() -> None:
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
def test_lists_of_names(text: str, names: list[str]) -> None:
    assert split_specs(text) == names


# Errors


@pytest.mark.parametrize("text", ["shoe", "", "Boot", "shoe(size=1)", "(size=1)"])
def test_an_unknown_name_says_which_there_are(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^no good '.*'; there are boot, coffee-mug, lamp\.$"):
        parse_spec(text, GOODS, "good")


@pytest.mark.parametrize(
    ("text", "settings"),
    [("boot(colour='red')", "height, size, label, lined"), ("boot(worn=1.0)", "height, size, label, lined")],
)
def test_an_unknown_setting_says_which_there_are(text: str, settings: str) -> None:
    with pytest.raises(SettingsError, match=rf"^good boot has no setting '\w+'; it has {settings}\.$"):
        parse_spec(text, GOODS, "good")


def test_a_member_without_settings_says_so() -> None:
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
def test_what_is_no_name_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(SettingsError, match=r"does not read as a good; write it as name\(setting=value") as met:
        parse_spec(text, GOODS, "good")
    assert "\n" not in str(met.value)
    assert repr(text) in str(met.value)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("boot(size='large')", "size of good boot is a whole number, not 'large'"),
        ("boot(size=1.5)", "size of good boot is a whole number, not 1.5"),
        ("boot(size=True)", "size of good boot is a whole number, not True"),
        ("boot(height='high')", "height of good boot is a number, not 'high'"),
        ("boot(height=None)", "height of good boot is a number, not None"),
        ("boot(height=1e999)", "height of good boot is a number, not inf"),
        ("boot(label=3)", "label of good boot is a text in quotes, not 3"),
        ("boot(lined=1)", "lined of good boot is True or False, not 1"),
    ],
)
def test_a_value_of_another_kind_is_refused(text: str, what: str) -> None:
    with pytest.raises(SettingsError, match=what):
        parse_spec(text, GOODS, "good")


def test_what_is_of_no_family_has_no_name() -> None:
    with pytest.raises(SettingsError, match="has no name: it is none of boot, coffee-mug"):
        format_spec(Lamp(), {"boot": Boot, "coffee-mug": Mug})


# Properties


@given(goods)
@example(Boot(label="'\""))
@example(Boot(5e-324, -(10**30), "a, b)('", True))
def test_names_print_and_parse_to_the_same_thing(member: object) -> None:
    name = format_spec(member, GOODS)
    assert parse_spec(name, GOODS, "good") == member
    assert "\n" not in name


@given(st.lists(goods, max_size=5), st.sampled_from([",", ", ", " , "]))
def test_lists_of_names_come_apart_as_they_were_put_together(members: list[object], between: str) -> None:
    names = [format_spec(member, GOODS) for member in members]
    assert split_specs(between.join(names)) == names


@given(st.text("abot(,)'\"=[]\\ 1.*", max_size=20).map(lambda tail: f"boot({tail}"))
def test_whatever_stands_in_brackets_is_read_or_refused(text: str) -> None:
    with suppress(SettingsError):
        found = parse_spec(text, GOODS, "good")
        assert parse_spec(format_spec(found, GOODS), GOODS, "good") == found
