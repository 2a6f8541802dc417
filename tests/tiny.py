"""Real, tiny, random-weight models of several families and a real tokenizer, made in memory and saved like published ones."""

from __future__ import annotations

from pathlib import Path

TOPICS = {
    "sport": "goal match team coach league player win score cup stadium".split(),
    "money": "bank market share profit price trade stock loan growth budget".split(),
    "tech": "chip phone software code network data cloud robot screen laser".split(),
}
FILLER = "the a of and to in was for on with he she it they said year new day people time".split()


def make_texts(n_rows: int, *, seed: int = 0) -> tuple[list[str], list[str]]:
    """(texts, label names): each text mixes filler with words of its topic; lengths vary."""
    import random

    rng = random.Random(seed)
    texts, labels = [], []
    for row in range(n_rows):
        label = list(TOPICS)[row % len(TOPICS)]
        words = [rng.choice(TOPICS[label] if rng.random() < 0.4 else FILLER) for _ in range(rng.randint(6, 30))]
        texts.append(" ".join([*words, rng.choice(TOPICS[label]), f"n{row}"]))
        labels.append(label)
    return texts, labels


def tokenizer() -> object:
    """A word-level tokenizer over the words of `make_texts`, with BERT's special tokens."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *FILLER, *(w for group in TOPICS.values() for w in group)]
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
                                   mask_token="[MASK]", model_max_length=64)


def bert(folder: Path, *, seed: int = 0, layers: int = 4, width: int = 64) -> Path:
    """A BERT of `layers` blocks. Width 64, so that a 4-bit block (64 weights) divides every row."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    config = BertConfig(vocab_size=64, hidden_size=width, num_hidden_layers=layers, num_attention_heads=4, intermediate_size=2 * width,
                        max_position_embeddings=64)
    return _save(BertModel(config), folder)


def gpt2(folder: Path, *, seed: int = 0) -> Path:
    """A GPT-2 of three blocks (its linear layers are Conv1D)."""
    import torch
    from transformers import GPT2Config, GPT2Model

    torch.manual_seed(seed)
    return _save(GPT2Model(GPT2Config(vocab_size=64, n_embd=64, n_layer=3, n_head=4, n_positions=64)), folder)


def llama(folder: Path, *, seed: int = 0) -> Path:
    """A Llama of three blocks."""
    import torch
    from transformers import LlamaConfig, LlamaModel

    torch.manual_seed(seed)
    return _save(LlamaModel(LlamaConfig(vocab_size=64, hidden_size=64, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=4,
                                        intermediate_size=128, max_position_embeddings=64)), folder)


def distilbert(folder: Path, *, seed: int = 0) -> Path:
    """A DistilBERT of three blocks."""
    import torch
    from transformers import DistilBertConfig, DistilBertModel

    torch.manual_seed(seed)
    return _save(DistilBertModel(DistilBertConfig(vocab_size=64, dim=64, n_layers=3, n_heads=4, hidden_dim=128,
                                                  max_position_embeddings=64)), folder)


FAMILIES = {"bert": bert, "gpt2": gpt2, "llama": llama, "distilbert": distilbert}


def _save(model: object, folder: Path) -> Path:
    model.save_pretrained(folder)  # type: ignore[attr-defined]
    tokenizer().save_pretrained(folder)  # type: ignore[attr-defined]
    return folder
