"""Predict with this folder, without Thaw: `python predict.py "a text"`, or `python predict.py picture.png`.

Needs torch, transformers and safetensors (timm for its models, Pillow for pictures). The model is the body
(`model.safetensors`, which transformers loads), the pooling named in `export.json`, and one linear layer,
`head.safetensors`. That head is a file of its own: `AutoModelForSequenceClassification` and
`AutoModelForImageClassification` do not know it and would begin with a random one.

    model = Model("folder")
    model.predict(["a text", "another"])       # [{"label": …, "probabilities": {class: p}}, …]

A folder with what a run trained alone (`adapter/`, `weights.safetensors`) also needs its base model:
`Model("folder", base="base model's folder or hub id")`, or `--base …`; otherwise the one that `export.json` names.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.torch import load_file

PAD_MULTIPLE = 32
GREY = (0.299, 0.587, 0.114)


class Model:
    """The exported model: body, pooling and head, with its tokenizer or picture processor."""

    def __init__(self, folder: str | Path, device: str = "cpu", *, base: str | Path | None = None,
                 precision: str = "") -> None:
        """precision: to compute in, instead of that of the run (`fp32`, `bf16`, `fp16`)."""
        folder = Path(folder)
        transformers.logging.set_verbosity_error()  # type: ignore[attr-defined]
        self.about: dict[str, Any] = json.loads((folder / "export.json").read_text(encoding="utf-8"))
        self.device = device
        self.precision = precision or self.about["precision"]
        if "base_hub_id" in self.about:
            self.body = self._tuned(folder, str(base or self.about["base_hub_id"]))
        else:
            self.body = self._load(folder)
        self.body = self.body.eval() if self.about.get("four_bit") else self.body.eval().to(device)
        self.head = load_file(folder / "head.safetensors", device=device)
        kind = transformers.AutoTokenizer if self.about["input"] == "text" else transformers.AutoImageProcessor
        own = folder / "processor" if "base_hub_id" in self.about else folder
        self.processor: Any = kind.from_pretrained(own)  # type: ignore[no-untyped-call]

    def _load(self, folder: str | Path, **options: Any) -> Any:
        kind = getattr(transformers, self.about["body"])
        return kind.from_pretrained(folder, **{"dtype": torch.float32, **options})

    def _tuned(self, folder: Path, base: str) -> Any:
        """The base model's body with what the run trained on it."""
        rounded = self.about.get("four_bit")
        if rounded:  # computed from the very 4-bit weights that the adapter was trained beside
            dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.about["precision"], torch.float32)
            config = transformers.BitsAndBytesConfig(
                load_in_4bit=True, bnb_4bit_quant_type=rounded["type"], bnb_4bit_use_double_quant=rounded["double"],
                bnb_4bit_compute_dtype=dtype, llm_int8_skip_modules=rounded["skip"])
            body = self._load(base, dtype=dtype, quantization_config=config, device_map={"": self.device})
            for module in body.modules():
                if hasattr(module, "support_avx512bf16_for_cpu"):
                    module.support_avx512bf16_for_cpu = False  # packed for speed, its scales would be rounded again
                    module.compute_dtype = torch.float32 if self.precision == "fp32" else dtype
            packed = {id(p) for m in body.modules() if hasattr(m, "support_avx512bf16_for_cpu") for p in m.parameters()}
            for parameter in body.parameters():
                if id(parameter) not in packed and parameter.dtype in (torch.bfloat16, torch.float16):
                    parameter.data = parameter.data.float()
        else:
            body = self._load(base)
        if (folder / "weights.safetensors").is_file():
            own = dict(body.named_parameters()) | dict(body.named_buffers())
            with torch.no_grad():
                for name, tensor in load_file(folder / "weights.safetensors").items():
                    own[name].copy_(tensor)
        if (folder / "adapter").is_dir():
            from peft import PeftModel

            body = PeftModel.from_pretrained(body, folder / "adapter", torch_device=self.device)
        return body

    @torch.no_grad()
    def predict(self, rows: list[str]) -> list[dict[str, Any]]:
        """For each text, or path of a picture, {"label": name, "probabilities": {class: p}}; computed as the run
        computed."""
        return [self._one(self._text(row) if self.about["input"] == "text" else self._picture(row)) for row in rows]

    def _one(self, inputs: dict[str, torch.Tensor]) -> dict[str, Any]:
        inputs = {name: tensor.to(self.device) for name, tensor in inputs.items()}
        low = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.precision)
        if low is torch.float16 and self.device == "cpu":
            low = None
        with torch.autocast(self.device.split(":")[0], dtype=low or torch.bfloat16, enabled=low is not None):
            feature = self._pool(self.body(**inputs), inputs.get("attention_mask"))  # (1, width)
        logits = torch.nn.functional.linear(feature, self.head["weight"], self.head["bias"])  # fp32 in every precision
        values = torch.softmax(logits[0].double(), 0).tolist()
        classes = self.about["classes"]
        return {"label": classes[int(np.argmax(values))], "probabilities": dict(zip(classes, values, strict=True))}

    def _pool(self, output: Any, mask: torch.Tensor | None) -> torch.Tensor:
        """The pooled feature, (1, width)."""
        how = self.about["pooling"]
        if how == "model":
            return output.pooler_output.flatten(1).float()  # type: ignore[no-any-return]
        hidden = output.last_hidden_state.float()
        if hidden.ndim == 4:  # a feature map: the mean over its places
            return hidden.mean((1, 2) if self.about["channels_last"] else (2, 3))  # type: ignore[no-any-return]
        count = hidden.shape[1]
        if mask is not None:  # padding is on the right; some bodies (Funnel) hand on fewer places than tokens
            count = int(mask[:, torch.arange(count, device=mask.device) * mask.shape[1] // count].sum())
        if how == "mean":
            return hidden[:, :count].mean(1)  # type: ignore[no-any-return]
        return hidden[:, 0 if how == "cls" else count - 1]  # type: ignore[no-any-return]

    def _text(self, text: str) -> dict[str, torch.Tensor]:
        """Token ids and mask, (1, n_tokens), padded as in training."""
        limit = self.about["max_length"]
        ids = self.processor(text, truncation=True, max_length=limit, return_attention_mask=False,
                             return_token_type_ids=False)["input_ids"]
        ids = ids or [self.about["pad_id"]]
        width = min(-(-len(ids) // PAD_MULTIPLE) * PAD_MULTIPLE, max(limit, len(ids)))
        padding = width - len(ids)
        return {"input_ids": torch.tensor([ids + [self.about["pad_id"]] * padding]),
                "attention_mask": torch.tensor([[1] * len(ids) + [0] * padding])}

    def _picture(self, path: str) -> dict[str, torch.Tensor]:
        """Pixels, (1, channels, height, width)."""
        picture = open_rgb(path, self.about["depth"])
        steps = getattr(self.processor, "val_transforms", None)
        if steps is None:  # resized and cropped as bytes, then normalised
            values = self.processor(images=picture, do_rescale=False, do_normalize=False,
                                    return_tensors="pt")["pixel_values"][0]
            pixels = np.asarray(values).transpose(1, 2, 0).round().clip(0, 255)
        else:  # timm: pictures until one step makes a tensor
            for step in steps.transforms:
                bent = step(picture)
                if isinstance(bent, torch.Tensor):
                    break
                picture = bent
            pixels = np.asarray(picture)
        levels = torch.from_numpy(np.asarray(pixels, dtype=np.float32))
        if len(self.about["scale"]) == 1:  # a model of grey pictures
            levels = (levels @ torch.tensor(GREY)).unsqueeze(-1)
        levels = levels * torch.tensor(self.about["scale"]) + torch.tensor(self.about["offset"])
        return {"pixel_values": levels.permute(2, 0, 1).unsqueeze(0)}


def open_rgb(path: str, depth: dict[str, Any]) -> Any:
    """A picture file as RGB: upright, transparency on white, grey of more than 8 bits stretched as in training.

    Thaw makes pictures with a side above 512 pixels smaller before it looks at them, so these may differ a little.
    """
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


if __name__ == "__main__":
    given = sys.argv[1:]
    named = given.pop(1) if given[:1] == ["--base"] and len(given) > 1 else None
    for answer in Model(Path(__file__).parent, base=named).predict(given[1:] if named else given):
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
