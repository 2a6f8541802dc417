"""Predict with this folder by onnxruntime: `python predict.py "a text"` (or `picture.png`); one JSON line an answer.

    model = Model("folder")
    model.predict(["a text", "another"])       # [{"label": …, "probabilities": {class: p}}, …]
    model.logits(ids)                          # of a language model: (n_tokens, n_vocabulary)
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

PAD_MULTIPLE = 32
MOST_TOKENS = 64


class Model:
    """The exported graph, with its tokenizer or picture processor."""

    def __init__(self, folder: str | Path) -> None:
        from transformers import AutoImageProcessor, AutoTokenizer

        folder = Path(folder)
        self.about: dict[str, Any] = json.loads((folder / "export.json").read_text(encoding="utf-8"))
        self.session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
        self.texts = self.about["input"] == "text"
        kind: Any = AutoTokenizer if self.texts else AutoImageProcessor
        self.processor: Any = kind.from_pretrained(folder)
        self.tokenizer = self.processor

    def predict(self, rows: list[str]) -> list[dict[str, Any]]:
        """For each text, or path of a picture, {"label": name, "probabilities": {class: p}}; of a language model
        {"answer"}, taking the likeliest token each time."""
        if "shape" in self.about:
            return [{"answer": self._goes_on(row)} for row in rows]
        classes, found = self.about["classes"], []
        for row in rows:
            logits = self._run(self._text(row) if self.texts else self._picture(row))[0].astype(np.float64)
            values = np.exp(logits - logits.max())
            values = (values / values.sum()).tolist()
            found.append({"label": classes[int(np.argmax(values))],
                          "probabilities": dict(zip(classes, values, strict=True))})
        return found

    def logits(self, ids: list[int]) -> Any:
        """Of every token of a text, (n_tokens, n_vocabulary)."""
        return self._run({"input_ids": np.array([ids]), "attention_mask": np.ones((1, len(ids)), np.int64)})[0]

    def ids(self, text: str) -> list[int]:
        """A question as the model was taught to read one (`prompt` in export.json), or the beginning of a passage."""
        special, more = True, self.about["appended"]
        if self.about["shape"] == "chat":
            before, behind = self.about["prompt"]
            text, special = before + text + behind, self.about["special"]
        ids = list(self.processor(text, add_special_tokens=special)["input_ids"])
        return ids[:-len(more)] if special and more and ids[-len(more):] == more else ids

    def _goes_on(self, text: str) -> str:
        ids = self.ids(text)
        start = len(ids)
        while len(ids) < start + MOST_TOKENS:
            ids.append(int(self.logits(ids)[-1].argmax()))
            if ids[-1] in self.about["ends"]:
                break
        return str(self.processor.decode(ids[start:], skip_special_tokens=True))

    def _run(self, inputs: dict[str, Any]) -> Any:
        wanted = {given.name for given in self.session.get_inputs()}
        return self.session.run(None, {name: value for name, value in inputs.items() if name in wanted})[0]

    def _text(self, text: str) -> dict[str, Any]:
        """Token ids and mask, (1, n_tokens), cut and padded as in training."""
        limit, pad = self.about["max_length"], self.about["pad_id"]
        ids = self.processor(text, truncation=True, max_length=limit, return_attention_mask=False,
                             return_token_type_ids=False)["input_ids"] or [pad]
        width = min(-(-len(ids) // PAD_MULTIPLE) * PAD_MULTIPLE, max(limit, len(ids)))
        return {"input_ids": np.array([ids + [pad] * (width - len(ids))]),
                "attention_mask": np.array([[1] * len(ids) + [0] * (width - len(ids))])}

    def _picture(self, path: str) -> dict[str, Any]:
        """Pixels, (1, channels, height, width): resized and cropped as bytes, then normalised."""
        from PIL import Image, ImageOps

        picture = ImageOps.exif_transpose(Image.open(path))
        if "A" in picture.mode or "transparency" in picture.info:
            layered = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered)
        picture = picture.convert("RGB")
        steps = getattr(self.processor, "val_transforms", None)
        if steps is None:
            values = self.processor(images=picture, do_rescale=False, do_normalize=False,
                                    return_tensors="np")["pixel_values"][0]
            pixels = np.asarray(values, np.float32).transpose(1, 2, 0).round().clip(0, 255)
        else:  # timm: pictures until one step makes a tensor
            for step in steps.transforms:
                bent = step(picture)
                if not isinstance(bent, Image.Image):
                    break
                picture = bent
            pixels = np.asarray(picture, np.float32)
        if len(self.about["scale"]) == 1:  # a model of grey pictures
            pixels = (pixels @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
        levels = pixels * np.array(self.about["scale"], np.float32) + np.array(self.about["offset"], np.float32)
        return {"pixel_values": levels.transpose(2, 0, 1)[None].astype(np.float32)}


if __name__ == "__main__":
    for answer in Model(Path(__file__).parent).predict(sys.argv[1:]):
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
