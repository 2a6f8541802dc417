"""Real, tiny, random-weight models of several families and a real tokenizer, made in memory and saved like published
ones."""

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
    core.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]",
                                                        special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
                                   sep_token="[SEP]", mask_token="[MASK]", model_max_length=64)


def bert(folder: Path, *, seed: int = 0, layers: int = 4, width: int = 64) -> Path:
    """A BERT of `layers` blocks. Width 64, so that a 4-bit block (64 weights) divides every row."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    config = BertConfig(vocab_size=64, hidden_size=width, num_hidden_layers=layers, num_attention_heads=4,
                        intermediate_size=2 * width, max_position_embeddings=64)
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
    return _save(LlamaModel(LlamaConfig(vocab_size=64, hidden_size=64, num_hidden_layers=3, num_attention_heads=4,
                                        num_key_value_heads=4, intermediate_size=128, max_position_embeddings=64)),
                 folder)


def distilbert(folder: Path, *, seed: int = 0) -> Path:
    """A DistilBERT of three blocks."""
    import torch
    from transformers import DistilBertConfig, DistilBertModel

    torch.manual_seed(seed)
    return _save(DistilBertModel(DistilBertConfig(vocab_size=64, dim=64, n_layers=3, n_heads=4, hidden_dim=128,
                                                  max_position_embeddings=64)), folder)


def mpnet(folder: Path, *, seed: int = 0) -> Path:
    """An MPNet of three blocks, which share a relative attention bias that is registered behind them."""
    import torch
    from transformers import MPNetConfig, MPNetModel

    torch.manual_seed(seed)
    return _save(MPNetModel(MPNetConfig(vocab_size=64, hidden_size=64, num_hidden_layers=3, num_attention_heads=4,
                                        intermediate_size=128, max_position_embeddings=66, pad_token_id=1),
                            add_pooling_layer=False), folder)


def deberta(folder: Path, *, seed: int = 0) -> Path:
    """A DeBERTa-v2 of three blocks that share relative embeddings and their norm; a convolution lies behind the first
    block."""
    import torch
    from transformers import DebertaV2Config, DebertaV2Model

    torch.manual_seed(seed)
    return _save(DebertaV2Model(DebertaV2Config(
        vocab_size=64, hidden_size=64, num_hidden_layers=3, num_attention_heads=4, intermediate_size=128,
        max_position_embeddings=64, relative_attention=True, position_buckets=16, pos_att_type=["p2c", "c2p"],
        norm_rel_ebd="layer_norm", conv_kernel_size=3, conv_act="gelu", type_vocab_size=0)), folder)


SHARING = {"mpnet": mpnet, "deberta": deberta}


def vit(folder: Path, *, seed: int = 0) -> Path:
    """A ViT of three blocks of width 64 on pictures of 32 x 32, with its processor (a class token, no pooler)."""
    import torch
    from transformers import ViTConfig, ViTImageProcessor, ViTModel

    torch.manual_seed(seed)
    config = ViTConfig(hidden_size=64, num_hidden_layers=3, num_attention_heads=4, intermediate_size=128, image_size=32,
                       patch_size=8)
    return _save_with_processor(ViTModel(config, add_pooling_layer=False),
                                ViTImageProcessor(size={"height": 32, "width": 32}), folder)


def resnet(folder: Path, *, seed: int = 0) -> Path:
    """A ResNet of four stages, with BatchNorm whose statistics are not the default ones."""
    import torch
    from transformers import ConvNextImageProcessor, ResNetConfig, ResNetModel

    torch.manual_seed(seed)
    model = ResNetModel(ResNetConfig(embedding_size=16, hidden_sizes=[16, 32, 32, 64], depths=[1, 1, 1, 1],
                                     layer_type="bottleneck"))
    return _save_with_processor(_warm(model), ConvNextImageProcessor(size={"shortest_edge": 32}, crop_pct=0.875),
                                folder)


def convnext(folder: Path, *, seed: int = 0) -> Path:
    """A ConvNeXt of four stages: convolutions and linear layers, LayerNorm, its own pooling."""
    import torch
    from transformers import ConvNextConfig, ConvNextImageProcessor, ConvNextModel

    torch.manual_seed(seed)
    model = ConvNextModel(ConvNextConfig(hidden_sizes=[16, 32, 32, 64], depths=[1, 1, 1, 1]))
    return _save_with_processor(model, ConvNextImageProcessor(size={"shortest_edge": 32}, crop_pct=0.875), folder)


def dinov2(folder: Path, *, seed: int = 0) -> Path:
    """A DINOv2 of three blocks, which pools by its class token and crops its pictures."""
    import torch
    from transformers import BitImageProcessor, Dinov2Config, Dinov2Model

    torch.manual_seed(seed)
    config = Dinov2Config(hidden_size=64, num_hidden_layers=3, num_attention_heads=4, mlp_ratio=2, image_size=28,
                          patch_size=14)
    processor = BitImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 28, "width": 28})
    return _save_with_processor(Dinov2Model(config), processor, folder)


def swin(folder: Path, *, seed: int = 0) -> Path:
    """A Swin of three stages, which hand on sizes beside the tokens."""
    import torch
    from transformers import SwinConfig, SwinModel, ViTImageProcessor

    torch.manual_seed(seed)
    config = SwinConfig(embed_dim=16, depths=[1, 1, 1], num_heads=[1, 2, 4], image_size=32, patch_size=2, window_size=4)
    return _save_with_processor(SwinModel(config), ViTImageProcessor(size={"height": 32, "width": 32}), folder)


def efficientnet(folder: Path, *, seed: int = 0) -> Path:
    """A timm EfficientNet of five stages inside transformers' wrapper, on pictures of 32 x 32."""
    return _timm("test_efficientnet", folder, seed)


def timm_resnet(folder: Path, *, seed: int = 0) -> Path:
    """A timm ResNet, whose four stages are numbered siblings."""
    return _timm("test_resnet", folder, seed)


def _timm(name: str, folder: Path, seed: int) -> Path:
    import torch
    from transformers import AutoModel, TimmWrapperConfig

    torch.manual_seed(seed)
    pretrained = {"input_size": [3, 32, 32], "interpolation": "bicubic", "crop_pct": 0.875, "crop_mode": "center",
                  "mean": [0.5] * 3, "std": [0.5] * 3}
    config = TimmWrapperConfig(architecture=name, pretrained_cfg=pretrained)
    _warm(AutoModel.from_config(config)).save_pretrained(folder)
    return folder


def _warm(model: object) -> object:
    """BatchNorm statistics as if it had been trained: neither zero nor one."""
    import torch

    with torch.no_grad():
        for name, buffer in model.named_buffers():  # type: ignore[attr-defined]
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.1)
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
    return model


PICTURE_FAMILIES = {"vit": vit, "resnet": resnet, "convnext": convnext, "dinov2": dinov2, "swin": swin,
                    "efficientnet": efficientnet, "timm_resnet": timm_resnet}
SHAPES = ("disc", "bar", "cross")


def make_picture(shape: str, *, seed: int, side: int = 48) -> object:
    """A bright disc, bar or cross at a random place on a dark, noisy ground, as a Pillow picture."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    y, x, size = random.uniform(0.35, 0.65) * side, random.uniform(0.35, 0.65) * side, random.uniform(0.2, 0.3) * side
    down, across = np.abs(rows - y), np.abs(columns - x)
    inside = {"disc": np.hypot(down, across) < size, "bar": (down < size / 4) & (across < size),
              "cross": ((down < size / 4) & (across < size)) | ((across < size / 4) & (down < size))}[shape]
    pixels = random.integers(0, 60, (side, side, 3)) + inside[..., None] * random.integers(120, 195, 3)
    return Image.fromarray(pixels.astype(np.uint8))


def _decoder(**more: object) -> dict[str, object]:
    return {"vocab_size": 64, "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4,
            "intermediate_size": 128, "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 2,
            "eos_token_id": 3, **more}


_GROUPED = {"num_key_value_heads": 2, "head_dim": 16}
LANGUAGE: dict[str, tuple[str, dict[str, object]]] = {
    "gpt2": ("GPT2Config", {"vocab_size": 64, "n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 64,
                            "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}),
    "llama": ("LlamaConfig", _decoder(num_key_value_heads=2, tie_word_embeddings=True)),
    "mistral": ("MistralConfig", _decoder(num_key_value_heads=2, head_dim=None)),
    "qwen2": ("Qwen2Config", _decoder(num_key_value_heads=2)),
    "qwen3": ("Qwen3Config", _decoder(**_GROUPED, tie_word_embeddings=True)),
    "gemma2": ("Gemma2Config", _decoder(**_GROUPED)),
    "gemma3": ("Gemma3TextConfig", _decoder(**_GROUPED)),
    "phi": ("PhiConfig", _decoder()),
    "opt": ("OPTConfig", _decoder(ffn_dim=128, word_embed_proj_dim=32)),
    "neox": ("GPTNeoXConfig", _decoder()),
    "falcon": ("FalconConfig", _decoder()),
    "bloom": ("BloomConfig", _decoder(n_layer=3, n_head=4)),
    "cohere": ("CohereConfig", _decoder()),
    "granite": ("GraniteConfig", _decoder(logits_scaling=8.0)),
}
"""Language models with their output layer: family -> (configuration of transformers, its arguments)."""


def language(family: str, folder: Path, *, seed: int = 0, dtype: str = "float32", **changes: object) -> Path:
    """A whole causal language model of three blocks of 64, biases and norms drawn at random, with a tokenizer."""
    import torch
    import transformers

    torch.manual_seed(seed)
    name, arguments = LANGUAGE[family]
    config = getattr(transformers, name)(**{**arguments, **changes})
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return _save(model.to(getattr(torch, dtype)), folder)


FAMILIES = {"bert": bert, "gpt2": gpt2, "llama": llama, "distilbert": distilbert}


def _save(model: object, folder: Path) -> Path:
    model.save_pretrained(folder)  # type: ignore[attr-defined]
    tokenizer().save_pretrained(folder)  # type: ignore[attr-defined]
    return folder


def _save_with_processor(model: object, processor: object, folder: Path) -> Path:
    model.save_pretrained(folder)  # type: ignore[attr-defined]
    processor.save_pretrained(folder)  # type: ignore[attr-defined]
    return folder
