"""Go on with texts, or answer questions, with this folder alone: python predict.py "text" … (one JSON line each).

Needs torch and transformers. The folder is an ordinary one: AutoModelForCausalLM.from_pretrained(folder).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

MOST_TOKENS = 128


class Model:
    """The exported model."""

    def __init__(self, folder: Path) -> None:
        self.about = json.loads((folder / "export.json").read_text(encoding="utf-8"))
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def ids(self, text: str) -> list[int]:
        """A question as the model was taught to read one (`prompt` in export.json), or the beginning of a passage."""
        if self.about["shape"] != "chat":
            return list(self.tokenizer(text)["input_ids"])
        before, behind = self.about["prompt"]
        return list(self.tokenizer(before + text + behind, add_special_tokens=self.about["special"])["input_ids"])

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
    for answer in Model(Path(__file__).parent).predict(sys.argv[1:]):
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
