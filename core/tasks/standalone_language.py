"""Go on with texts, or answer questions, with this folder alone: python predict.py "text" … (one JSON line each).

Needs torch and transformers. The folder is an ordinary one: AutoModelForCausalLM.from_pretrained(folder). One with what
a run trained alone (`adapter/`, `weights.safetensors`) also needs its base model: `--base FOLDER_OR_HUB_ID` before the
texts; otherwise the one that `export.json` names. `PeftModel.from_pretrained(base, "adapter")` reads the adapter.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

MOST_TOKENS = 128


class Model:
    """The exported model."""

    def __init__(self, folder: Path, *, base: str | Path | None = None) -> None:
        folder = Path(folder)
        self.about = json.loads((folder / "export.json").read_text(encoding="utf-8"))
        whole = "base_hub_id" not in self.about
        self.tokenizer = AutoTokenizer.from_pretrained(folder if whole else folder / "processor")
        self.model = (AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32) if whole
                      else self._tuned(folder, str(base or self.about["base_hub_id"]))).eval()

    def _tuned(self, folder: Path, base: str) -> Any:
        """The base model with what the run trained on it."""
        if rounded := self.about.get("four_bit"):  # beside the very 4-bit weights that it was trained on
            dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.about["precision"], torch.float32)
            config = BitsAndBytesConfig(
                load_in_4bit=True, bnb_4bit_quant_type=rounded["type"], bnb_4bit_use_double_quant=rounded["double"],
                bnb_4bit_compute_dtype=dtype, llm_int8_skip_modules=rounded["skip"])
            model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype, quantization_config=config,
                                                         device_map={"": "cpu"})
            packed = [module for module in model.modules() if hasattr(module, "support_avx512bf16_for_cpu")]
            for module in packed:
                module.support_avx512bf16_for_cpu = False  # packed for speed, its scales would be rounded again
                module.compute_dtype = torch.float32
            inside = {id(parameter) for module in packed for parameter in module.parameters()}
            tables = {id(model.get_input_embeddings().weight), id(model.get_output_embeddings().weight)}
            for parameter in model.parameters():
                if id(parameter) not in inside:
                    rounded_once = parameter.data.bfloat16() if id(parameter) in tables else parameter.data
                    parameter.data = rounded_once.float()
        else:
            model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        with torch.no_grad():
            if (folder / "weights.safetensors").is_file():
                own = dict(model.base_model.named_parameters()) | dict(model.base_model.named_buffers())
                for name, tensor in load_file(folder / "weights.safetensors").items():
                    own[name].copy_(tensor)
            for name, tensor in load_file(folder / "head.safetensors").items():  # empty where it did not train
                dict(model.get_output_embeddings().named_parameters())[name.removeprefix("output.")].copy_(tensor)
        if (folder / "adapter").is_dir():
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, folder / "adapter")
        return model

    def ids(self, text: str) -> list[int]:
        """A question as the model was taught to read one (`prompt` in export.json), or the beginning of a passage."""
        special, more = True, self.about.get("appended", [])
        if self.about["shape"] == "chat":
            before, behind = self.about["prompt"]
            text, special = before + text + behind, self.about["special"]
        ids = list(self.tokenizer(text, add_special_tokens=special)["input_ids"])
        return ids[:-len(more)] if special and more and ids[-len(more):] == more else ids

    @torch.no_grad()
    def predict(self, texts: list[str]) -> list[dict[str, Any]]:
        """For each text {"answer", "ended"}, taking the likeliest token each time."""
        found = []
        for text in texts:
            ids = torch.tensor([self.ids(text)])
            said = self.model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False,
                                       max_new_tokens=MOST_TOKENS, eos_token_id=self.about["ends"] or None,
                                       pad_token_id=self.about["pad_id"])[0, ids.shape[1]:].tolist()
            found.append({"answer": self.tokenizer.decode(said, skip_special_tokens=True),
                          "ended": bool(said) and said[-1] in self.about["ends"]})
        return found


if __name__ == "__main__":
    given = sys.argv[1:]
    named = given.pop(1) if given[:1] == ["--base"] and len(given) > 1 else None
    for answer in Model(Path(__file__).parent, base=named).predict(given[1:] if named else given):
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
