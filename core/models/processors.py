"""How a base model wants its pictures: resized and cropped by its own processor, normalised by what that processor does to black and white.

Geometry and normalisation are kept apart: resized pixels are stored as bytes, once for all epochs and runs, and normalised a batch
at a time.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import RecipeError

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

FILES = ("preprocessor_config.json", "config.json")
"""Where a processor is described: its own file, or (timm) the configuration of the model."""
TRIAL = 256
"""Pixels a side of the pictures that the processor is tried on."""


class PictureProcessor:
    """The picture processor of a base model, read from its folder.

    size: (height, width) of what the model sees. scale, offset: (3,) fp32; a channel's input is `byte * scale + offset`.
    """

    def __init__(self, folder: Path) -> None:
        from transformers import AutoImageProcessor

        try:
            self._processor: Any = AutoImageProcessor.from_pretrained(folder, trust_remote_code=False)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RecipeError(f"The base model in {folder.name} does not say how pictures must be prepared.",
                              why=f"Its folder has no image processor that transformers knows ({str(error).splitlines()[0][:120]}).",
                              remedy="Save the model's processor into the same folder (processor.save_pretrained).") from error
        self._file = folder / next(name for name in FILES if (folder / name).is_file())
        black, white = (self._whole(level) for level in (0, 255))  # (3, height, width)
        middle = (slice(None), black.shape[1] // 2, black.shape[2] // 2)
        self.size = (int(black.shape[1]), int(black.shape[2]))
        self.offset = black[middle].astype(np.float32)
        self.scale = ((white[middle] - black[middle]) / 255).astype(np.float32)

    def _whole(self, level: int) -> np.ndarray:
        """What the model would see of a picture of that grey."""
        from PIL import Image

        picture = Image.new("RGB", (TRIAL, TRIAL), (level, level, level))
        return np.asarray(self._processor(images=picture, return_tensors="pt")["pixel_values"][0], dtype=np.float64)

    def resize(self, picture: Image) -> np.ndarray:
        """An RGB picture, resized and cropped, not normalised: (height, width, 3) uint8."""
        steps = getattr(self._processor, "val_transforms", None)
        if steps is None:  # a processor of transformers
            values = self._processor(images=picture, do_rescale=False, do_normalize=False, return_tensors="pt")["pixel_values"][0]
            return np.asarray(values).transpose(1, 2, 0).round().clip(0, 255).astype(np.uint8)
        from PIL import Image as pillow

        for step in steps.transforms:  # timm: pictures until one step makes a tensor
            bent = step(picture)
            if not isinstance(bent, pillow.Image):
                break
            picture = bent
        return np.asarray(picture, dtype=np.uint8)

    def normalise(self, pixels: np.ndarray) -> torch.Tensor:
        """(n_rows, height, width, 3) uint8 -> model input (n_rows, 3, height, width) fp32, channels last in memory."""
        import torch

        values = torch.from_numpy(pixels).float() * torch.from_numpy(self.scale) + torch.from_numpy(self.offset)
        return values.permute(0, 3, 1, 2)

    def fingerprint(self) -> str:
        """16 hex digits over everything that decides the resized bytes."""
        described = json.dumps([type(self._processor).__name__, self._processor.to_dict(), self.size], sort_keys=True, default=str)
        return hashlib.sha256(described.encode()).hexdigest()[:16]

    def save(self, folder: Path) -> None:
        """Write what `PictureProcessor(folder)` reads back."""
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self._file, folder / self._file.name)
