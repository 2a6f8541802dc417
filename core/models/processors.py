"""How a base model wants its pictures: resized and cropped by its own processor, normalised by what that processor does
to black and white.

Geometry and normalisation are kept apart: resized pixels are stored as bytes, once for all epochs and runs, and
normalised a batch at a time.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import ModelError

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

FILES = ("preprocessor_config.json", "processor_config.json", "config.json")
"""Where a processor is described: its own file, that of several processors together, or (timm) the configuration of the
model."""
GREY = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in the grey that a model of one channel sees (ITU-R BT.601, as Pillow's `L`)."""
TRIAL = 256
"""Pixels a side of the pictures that the processor is tried on."""


class PictureProcessor:
    """The picture processor of a base model, read from its folder.

    size: (height, width) of what the model sees. channels: 3, or 1 for a model of grey pictures. scale, offset:
    (channels,) fp32; a channel's input is `byte * scale + offset`. Raises ModelError for a folder without a processor,
    or a model of other channels.
    """

    def __init__(self, folder: Path) -> None:
        from transformers import AutoImageProcessor

        remedy = ("Save the model's processor into the same folder: "
                  "AutoImageProcessor.from_pretrained(source).save_pretrained(folder).")
        try:
            self._processor: Any = AutoImageProcessor.from_pretrained(folder, trust_remote_code=False)
        except (OSError, ValueError, KeyError, TypeError) as error:
            there = any((folder / name).is_file() for name in FILES[:2])
            why = str(error).splitlines()[0][:160] if there else f"Its folder has neither {FILES[0]} nor {FILES[1]}."
            raise ModelError(f"The base model in {folder.name} does not say how pictures must be prepared.", why=why,
                             remedy=remedy) from error
        self._files = [folder / name for name in FILES if (folder / name).is_file()]
        self.channels = _channels(folder)
        try:
            black, white = (self._whole(level) for level in (0, 255))  # (channels, height, width)
        except (ValueError, TypeError, RuntimeError, KeyError, IndexError) as error:
            raise ModelError(f"The picture processor of the base model in {folder.name} does not work.",
                             why=f"A plain picture was tried: {str(error).splitlines()[0][:160]}",
                             remedy=remedy) from error
        middle = (slice(None), black.shape[1] // 2, black.shape[2] // 2)
        self.size = (int(black.shape[1]), int(black.shape[2]))
        self.offset = black[middle].astype(np.float32)
        self.scale = ((white[middle] - black[middle]) / 255).astype(np.float32)

    def _whole(self, level: int) -> np.ndarray:
        """What the model would see of a picture of that grey."""
        from PIL import Image

        picture = Image.new("RGB", (TRIAL, TRIAL), (level, level, level))
        values = self._processor(images=picture, return_tensors="pt")["pixel_values"]
        if values.ndim != 4 or values.shape[1] != 3:
            raise ValueError(f"its output has the shape {tuple(values.shape)}, not (1, 3, height, width)")
        return np.asarray(values[0, :self.channels], dtype=np.float64)

    def resize(self, picture: Image) -> np.ndarray:
        """An RGB picture, resized and cropped, not normalised: (height, width, 3) uint8."""
        steps = getattr(self._processor, "val_transforms", None)
        if steps is None:  # a processor of transformers
            values = self._processor(images=picture, do_rescale=False, do_normalize=False,
                                     return_tensors="pt")["pixel_values"][0]
            return np.asarray(values).transpose(1, 2, 0).round().clip(0, 255).astype(np.uint8)
        from PIL import Image as pillow

        for step in steps.transforms:  # timm: pictures until one step makes a tensor
            bent = step(picture)
            if not isinstance(bent, pillow.Image):
                break
            picture = bent
        return np.asarray(picture, dtype=np.uint8)

    def normalise(self, pixels: np.ndarray) -> torch.Tensor:
        """(n_rows, height, width, 3) uint8 -> model input (n_rows, channels, height, width) fp32, channels last in
        memory."""
        import torch

        levels = torch.from_numpy(pixels).float()
        if self.channels == 1:
            levels = (levels @ torch.tensor(GREY)).unsqueeze(-1)
        values = levels * torch.from_numpy(self.scale) + torch.from_numpy(self.offset)
        return values.permute(0, 3, 1, 2)

    def fingerprint(self) -> str:
        """16 hex digits over everything that decides the resized bytes."""
        described = json.dumps([type(self._processor).__name__, self._processor.to_dict(), self.size], sort_keys=True,
                               default=str)
        return hashlib.sha256(described.encode()).hexdigest()[:16]

    def save(self, folder: Path) -> None:
        """Write what `PictureProcessor(folder)` reads back."""
        folder.mkdir(parents=True, exist_ok=True)
        for file in self._files:
            shutil.copyfile(file, folder / file.name)


def _channels(folder: Path) -> int:
    """Channels of the pictures that the model reads, from its configuration; 3 where that is not beside the
    processor."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config = config | (config.get("vision_config") or {}) | (config.get("model_args") or {})
        found = config.get("num_channels", config.get("in_chans", 3))
    except (OSError, ValueError, TypeError):
        return 3
    if found not in (1, 3):
        raise ModelError(f"The base model in {folder.name} reads pictures of {found} channels.",
                         why="Thaw prepares colour or grey pictures.",
                         remedy="Choose a base model that reads 3 channels, or 1.")
    return int(found)
