"""Arm colours: contrast on both themes, and apart for normal and colour-deficient vision (Machado et al. 2009, severity
1)."""

from itertools import combinations

import numpy as np
import pytest

from core.plots import palette

_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                 [0.0193339, 0.1191920, 0.9503041]])
_VISION = {
    "normal": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                            [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                              [-0.011820, 0.042940, 0.968881]]),
}


def _linear(colour: str) -> np.ndarray:
    c = np.array([int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def _luminance(colour: str) -> float:
    return float(_linear(colour) @ _XYZ[1])


def _lab(colour: str, vision: str) -> np.ndarray:
    x = np.clip(_linear(colour) @ _VISION[vision].T, 0, 1) @ _XYZ.T / np.array([0.95047, 1.0, 1.08883])
    f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def _contrast(a: str, b: str) -> float:
    high, low = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


ARMS = [palette.arm(i).colour for i in range(palette.arm_count())]


@pytest.mark.parametrize("background", [palette.LIGHT_BACKGROUND, palette.DARK_BACKGROUND])
@pytest.mark.parametrize("colour", [*ARMS, palette.SECOND.colour, palette.BASE, palette.FROZEN, palette.TRAINING])
def test_every_colour_has_a_contrast_of_about_three_on_both_backgrounds(colour, background):
    assert _contrast(colour, background) >= 2.9


@pytest.mark.parametrize("vision", list(_VISION))
def test_arms_the_base_and_the_two_freeze_colours_stay_apart(vision):
    colours = [*ARMS, palette.SECOND.colour, palette.BASE, palette.FROZEN, palette.TRAINING]
    for a, b in combinations(colours, 2):
        distance = float(np.linalg.norm(_lab(a, vision) - _lab(b, vision)))
        assert distance > 15, f"{a} and {b} are {distance:.1f} apart for {vision}"


def test_looks_never_repeat_within_the_first_dozen_arms():
    looks = {(palette.arm(i).colour, palette.arm(i).symbol, palette.arm(i).dash) for i in range(12)}
    assert len(looks) == 12


def test_fade_keeps_the_colour_and_sets_the_opacity():
    assert palette.fade("#e8590c", 0.25) == "rgba(232,89,12,0.25)"
