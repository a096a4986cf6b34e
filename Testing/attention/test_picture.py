"""The picture of the attention, judged by its pixels."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread

from med2e3.attention import draw_attention
from med2e3.attention.picture import SIZE

WIDTH, HEIGHT = SIZE

ODD_TITLES = {
    "empty": "",
    "blank": " \n\t ",
    "html": "<b>Is there</b> a <script>nodule</script> &amp; more?",
    "broken formula": r"$\frac{x $ and \undefined{ $ % _ ^ #",
    "one dollar": "Costs $5",
    "japanese": "右肺上葉に結節はありますか？" * 12,
    "arabic": "هل توجد عقدة في الرئة؟",
    "emoji": "🫁 nodule? 👩🏽‍⚕️",
    "unknown characters": "\U000f0000 \ue000 \u0378",
    "control characters": "a\x00b\x1b[31mc\r\nd\u202e",
    "half a character": "\ud83e",
    "very long": "Is there a nodule in the right upper lobe? " * 400,
    "very long word": "W" * 20000,
}


@pytest.fixture(scope="module")
def prepared(make_prepared):
    return make_prepared(np.diag([1.0, 1.0, 5.0, 1.0]))


@pytest.fixture
def draw(prepared, attention, tmp_path):
    def pixels(title="Report", prepared=prepared, attention=attention):
        path = tmp_path / "attention.png"
        draw_attention(path, prepared, attention, title)
        return imread(path)[..., :3]

    return pixels


def is_coloured(pixels):
    """Where heat, ranks and the mark are: far more red than blue."""
    return pixels[..., 0] - pixels[..., 2] > 0.25


def slot(pixels, place):
    """The middle of the picture that one of the three slices stands in, letters and captions cut.

    The tests' scans fill their slices with tissue, so a slice is where it is bright.
    """
    left = int(WIDTH * (0.035 + 0.31 * place))
    part = pixels[int(0.2 * HEIGHT) : int(0.7 * HEIGHT), left : left + int(0.31 * WIDTH)]
    filled = part.max(axis=-1) > 0.4
    columns = np.flatnonzero(filled.mean(axis=0) > 0.3)
    part, filled = part[:, columns[0] : columns[-1] + 1], filled[:, columns[0] : columns[-1] + 1]
    rows = np.flatnonzero(filled.mean(axis=1) > 0.5)
    return part[rows[0] : rows[-1] + 1]


def test_the_picture_has_its_size_and_shows_something(draw):
    pixels = draw()
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    assert pixels[0, 0].max() < 0.1, "the background is dark"
    assert all(slot(pixels, place).size > 100_000 for place in range(3))
    curve = pixels[int(0.72 * HEIGHT) : int(0.86 * HEIGHT)]
    assert is_coloured(curve).sum() > 1000
    assert is_coloured(pixels[int(0.95 * HEIGHT) :]).sum() > 500, "the mark of a draft"


def test_the_same_attention_gives_the_same_picture(draw):
    np.testing.assert_array_equal(draw(), draw())


@pytest.mark.parametrize("title", ODD_TITLES.values(), ids=ODD_TITLES)
def test_any_title_is_drawn_without_a_word_and_inside_the_margins(
    draw, title, recwarn, caplog, capfd
):
    pixels = draw(title)
    assert not recwarn.list
    assert not caplog.records
    assert capfd.readouterr() == ("", "")
    head = pixels[: int(0.12 * HEIGHT)]
    assert head[:, int(0.97 * WIDTH) :].max() < 0.1
    assert head[:, : int(0.03 * WIDTH)].max() < 0.1
    below_title = pixels[int(0.1 * HEIGHT) : int(0.105 * HEIGHT)]
    assert below_title[:, WIDTH // 2 :].max() < 0.1, "no third line"


def test_a_dollar_sign_is_a_dollar_sign(draw):
    def bright(title):
        return (draw(title)[: int(0.06 * HEIGHT)] > 0.5).sum()

    assert bright("$x$") > 1.5 * bright("x")


def test_the_users_settings_of_matplotlib_change_nothing(draw):
    expected = draw("$x$")
    theirs = {
        "text.usetex": True,
        "font.family": ["serif"],
        "image.origin": "lower",
        "savefig.bbox": "tight",
        "axes.grid": True,
    }
    with matplotlib.rc_context(theirs):
        np.testing.assert_array_equal(draw("$x$"), expected)
        assert all(matplotlib.rcParams[name] == value for name, value in theirs.items())


@pytest.mark.parametrize(
    ("spacing", "plane", "width_mm", "height_mm"),
    [
        ((2.0, 1.0, 5.0), "axial", 72, 40),
        ((1.0, 2.0, 5.0), "axial", 36, 80),
        ((1.0, 1.0, 5.0), "coronal", 36, 120),
        ((1.0, 1.0, 5.0), "sagittal", 40, 120),
        ((1.0, 3.0, 1.0), "acquired", 36, 120),
    ],
)
def test_slices_have_the_proportions_of_the_patient(
    draw, make_prepared, spacing, plane, width_mm, height_mm
):
    prepared = make_prepared(np.diag([*spacing, 1.0]), plane=plane)
    pixels = draw(prepared=prepared)
    for place in range(3):
        height, width = slot(pixels, place).shape[:2]
        assert width / height == pytest.approx(width_mm / height_mm, rel=0.03)


def test_colour_lies_on_the_patches_that_speak_for_each_slice(draw):
    pixels = draw()
    for place, (row, column) in enumerate([(2, 13), (8, 8), (12, 3)]):
        slice_ = slot(pixels, place)
        warmth = slice_[..., 0] - slice_[..., 2]
        y, x = np.unravel_index(warmth.argmax(), warmth.shape)
        assert y / slice_.shape[0] * 16 == pytest.approx(row + 0.5, abs=0.6)
        assert x / slice_.shape[1] * 16 == pytest.approx(column + 0.5, abs=0.6)


def test_even_attention_is_drawn_without_heat(draw, make_attention):
    pixels = draw(attention=make_attention(np.full((32, 16, 16), 0.01)))
    for place in range(3):
        assert not is_coloured(slot(pixels, place)).any()


def test_a_place_that_cannot_be_written_is_an_os_error(prepared, attention, tmp_path):
    with pytest.raises(OSError, match="missing"):
        draw_attention(tmp_path / "missing" / "attention.png", prepared, attention, "Report")
