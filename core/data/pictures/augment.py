"""Augmentation of training pictures: the same picture never twice alike, yet the same again for the same (seed, epoch,
row).

Pillow and numpy, not torchvision: random numbers come from a generator of their own instead of torch's global one, so a
resumed run draws the same pictures, and a page can preview exactly what training sees without importing torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Strength:
    """How far one level bends a picture."""

    area: float
    """Least share of the picture that a random crop keeps."""
    aspect: float
    """Crops are up to this much wider or narrower than the picture."""
    turn: float
    """Most degrees of rotation, either way."""
    colour: float
    """Brightness, contrast and colour change by up to this share."""
    mirror: bool
    """Whether half of the pictures are mirrored."""
    erase: float
    """Share of pictures in which a grey rectangle hides a part (Zhong et al. 2017, random erasing)."""


LEVELS: dict[str, Strength] = {
    # Never mirrors and hardly turns: digits, letters and signs stay what they are.
    "light": Strength(area=0.7, aspect=1.15, turn=0.0, colour=0.2, mirror=False, erase=0.0),
    "strong": Strength(area=0.35, aspect=4 / 3, turn=15.0, colour=0.4, mirror=True, erase=0.25),
}


def augment(pixels: np.ndarray, *, level: str, seed: int, epoch: int, row: int) -> np.ndarray:
    """One picture, (height, width, 3) uint8, bent at random; a new array of the same shape.

    level: `off`, `light` or `strong`. The result depends on nothing but the arguments.
    """
    if level == "off":
        return pixels
    from PIL import Image

    strength = LEVELS[level]
    random = np.random.default_rng((seed, epoch, row))
    height, width = pixels.shape[:2]
    picture = Image.fromarray(pixels)
    if strength.turn:
        picture = picture.rotate(float(random.uniform(-strength.turn, strength.turn)), Image.Resampling.BILINEAR,
                                 fillcolor=_edge(pixels))
    picture = picture.resize((width, height), Image.Resampling.BILINEAR, box=_crop(random, width, height, strength))
    if strength.mirror and random.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    result = _recolour(np.asarray(picture, dtype=np.float32), random, strength.colour)
    if random.random() < strength.erase:
        left, top, right, bottom = (int(value) for value in _crop(random, width, height, Strength(
            area=0.05, aspect=2.0, turn=0, colour=0, mirror=False, erase=0), most=0.2))
        result[top:bottom, left:right] = 127
    return result.clip(0, 255).astype(np.uint8)


def _crop(random: np.random.Generator, width: int, height: int, strength: Strength,
          most: float = 1.0) -> tuple[float, float, float, float]:
    """A random box (left, top, right, bottom) inside the picture: first its area, then its shape, then its place."""
    area = random.uniform(strength.area, most) * width * height
    aspect = math.exp(random.uniform(-math.log(strength.aspect), math.log(strength.aspect))) * width / height
    box_width, box_height = min(width, math.sqrt(area * aspect)), min(height, math.sqrt(area / aspect))
    left, top = random.uniform(0, width - box_width), random.uniform(0, height - box_height)
    return left, top, left + box_width, top + box_height


def _recolour(pixels: np.ndarray, random: np.random.Generator, most: float) -> np.ndarray:
    """Brightness, contrast (about the mean) and colourfulness (about the grey), each times a factor in 1 ± most."""
    brightness, contrast, colour = random.uniform(1 - most, 1 + most, 3).astype(np.float32)
    pixels = pixels * brightness
    mean = pixels.mean()
    pixels = (pixels - mean) * contrast + mean
    grey = pixels.mean(2, keepdims=True)
    return np.asarray((pixels - grey) * colour + grey)


def _edge(pixels: np.ndarray) -> tuple[int, int, int]:
    """The mean colour of the border: what a turned picture's corners are filled with."""
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    red, green, blue = border.mean(0).astype(int)
    return int(red), int(green), int(blue)
