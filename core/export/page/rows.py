"""Rows as the run read them: texts cut and filled up, pictures resized and normalised, in batches of like length."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
import torch
from transformers import AutoImageProcessor, AutoTokenizer

FILLED = 32
"""Texts are filled up to a multiple of so many tokens."""
BATCH_ROWS, BATCH_TOKENS, BUCKETS = 32, 4096, 32
KEPT_BYTES = 2_000_000_000
GREY = (0.299, 0.587, 0.114)


class Rows:
    """All rows of the dataset, by their place in its file."""

    def __init__(self, path: str, about: dict[str, Any], base: str) -> None:
        """path: rows.parquet (columns row_id, label, and text or image: the path of a picture beside it)."""
        table = parquet.read_table(path)
        self.about, self.pictures, self.folder = about, "image" in table.column_names, Path(path).parent
        self.place = {int(id): place for place, id in enumerate(table["row_id"].to_pylist())}
        self.labels = table["label"].to_numpy().astype(np.int64)
        self.content = table["image" if self.pictures else "text"].to_pylist()
        kind: Any = AutoImageProcessor if self.pictures else AutoTokenizer
        self.processor: Any = kind.from_pretrained(base)
        self.lengths = np.ones(len(self.content), np.int64)
        self.kept: dict[int, np.ndarray] = {}
        if not self.pictures:
            self.tokens = [ids or [about["pad_id"]] for ids in self.processor(
                self.content, truncation=True, max_length=about["max_length"], return_attention_mask=False,
                return_token_type_ids=False)["input_ids"]]
            self.lengths = np.array([len(ids) for ids in self.tokens])

    def places(self, row_ids: Iterable[int]) -> np.ndarray:
        """(n_rows,) of the rows with these ids."""
        return np.array([self.place[id] for id in row_ids], np.int64)

    def batch(self, places: np.ndarray) -> dict[str, torch.Tensor]:
        """{"input_ids", "attention_mask"}, each (n_rows, n_tokens), or {"pixel_values"}."""
        if self.pictures:
            return {"pixel_values": self._normalised(np.stack([self._pixels(int(place)) for place in places]))}
        limit = self.about["max_length"]
        longest = limit if self.about["fixed_width"] else int(self.lengths[places].max())
        width = min(-(-longest // FILLED) * FILLED, max(limit, longest))
        ids = np.full((len(places), width), self.about["pad_id"], np.int64)
        mask = np.zeros((len(places), width), np.int64)
        for row, place in enumerate(places):
            own = self.tokens[place]
            ids[row, :len(own)], mask[row, :len(own)] = own, 1
        return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}

    def by_length(self, places: np.ndarray) -> list[np.ndarray]:
        """Batches to be read without training, the longest rows first."""
        order, batches = places[np.argsort(-self.lengths[places], kind="stable")], []
        while len(order):
            longest = 1 if self.pictures else int(self.lengths[order[0]])
            size = max(1, min(BATCH_ROWS, BATCH_TOKENS // longest))
            batches.append(order[:size])
            order = order[size:]
        return batches

    def shuffled(self, places: np.ndarray, size: int, seed: int, epoch: int) -> list[np.ndarray]:
        """The batches of an epoch: rows of like length in random order. A last row by itself joins the batch before."""
        random = np.random.default_rng((seed, epoch))
        order, batches = random.permutation(places), []
        for start in range(0, len(order), size * BUCKETS):
            part = order[start:start + size * BUCKETS]
            part = part[np.argsort(-self.lengths[part], kind="stable")]
            batches += [part[at:at + size] for at in range(0, len(part), size)]
        if len(batches) > batches_an_epoch(len(places), size):
            batches[-2:] = [np.concatenate(batches[-2:])]
        return [batches[at] for at in random.permutation(len(batches))]

    def _pixels(self, place: int) -> np.ndarray:
        """(height, width, 3) bytes of a picture, resized and cropped by the base model's own processor."""
        if place in self.kept:
            return self.kept[place]
        picture = open_rgb(str(self.folder / self.content[place]), self.about["depth"])
        steps = getattr(self.processor, "val_transforms", None)
        if steps is None:
            values = self.processor(images=picture, do_rescale=False, do_normalize=False,
                                    return_tensors="pt")["pixel_values"][0]
            pixels = np.asarray(values).transpose(1, 2, 0).round().clip(0, 255).astype(np.uint8)
        else:  # timm: pictures until one step makes a tensor
            for step in steps.transforms:
                bent = step(picture)
                if isinstance(bent, torch.Tensor):
                    break
                picture = bent
            pixels = np.asarray(picture, dtype=np.uint8)
        if pixels.nbytes * len(self.kept) < KEPT_BYTES:
            self.kept[place] = pixels
        return pixels

    def _normalised(self, pixels: np.ndarray) -> torch.Tensor:
        """(n_rows, height, width, 3) bytes -> (n_rows, channels, height, width)."""
        levels = torch.from_numpy(pixels).float()
        if len(self.about["scale"]) == 1:  # a model of grey pictures
            levels = (levels @ torch.tensor(GREY)).unsqueeze(-1)
        levels = levels * torch.tensor(self.about["scale"]) + torch.tensor(self.about["offset"])
        return levels.permute(0, 3, 1, 2)


def batches_an_epoch(n_rows: int, size: int) -> int:
    """Of so many rows."""
    full, left = divmod(n_rows, size)
    return full + (left > 1 or (left == 1 and full == 0))


def open_rgb(path: str, depth: dict[str, Any]) -> Any:
    """A picture file as RGB: upright, transparency on white, grey of more than 8 bits stretched."""
    from PIL import Image, ImageOps

    picture = ImageOps.exif_transpose(Image.open(path))
    if picture.mode == "F" or picture.mode.startswith("I"):
        values = np.asarray(picture, dtype=np.float64)
        black, white = depth["real" if picture.mode == "F" else "whole"] or (0, 255 if values.max() <= 255 else 65535)
        picture = Image.fromarray(np.clip(np.rint((values - black) * 255 / (white - black)), 0, 255).astype(np.uint8))
    if "A" in picture.mode or "transparency" in picture.info:
        layered = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered)
    return picture.convert("RGB")


def read(path: Path) -> dict[str, Any]:
    """A JSON document."""
    return dict(json.loads(path.read_text(encoding="utf-8")))
