"""Tiny random base models of many families, each saved as a folder: `make(name, folder)`. The outcome of each is in
test_families.py.

Run as a script to have the folders: python -m tests.families OUT_DIR [NAME ...]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

WORDS = ("the match ended late after two goals and a penalty in rain bank raised its rate again while shares fell on "
         "exchange no").split()
VOCABULARY = 400
TEXT: dict[str, Any] = {"vocab_size": VOCABULARY, "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4,
                        "intermediate_size": 128, "max_position_embeddings": 130}
GPT: dict[str, Any] = {"vocab_size": VOCABULARY, "n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 130,
                       "bos_token_id": 2, "eos_token_id": 3}
PICTURE: dict[str, Any] = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4,
                           "intermediate_size": 128, "image_size": 32, "patch_size": 8}


def tokenizer(*, pad: bool = True, eos: str | None = None, limit: int | None = 512, extra: tuple[str, ...] = (),
              **more: Any) -> Any:
    """A word-level tokenizer. pad: with BERT's special tokens; without: only the unknown word, and `eos` where
    given."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *map(str, range(300)), *extra]
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    special: dict[str, Any] = {"unk_token": "[UNK]", **more}
    if pad:
        core.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]",
                                                            special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
        special |= {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    if eos:
        special["eos_token"] = eos
    if limit:
        special["model_max_length"] = limit
    return PreTrainedTokenizerFast(tokenizer_object=core, **special)


def _text(name: str, config: str, with_tokenizer: Callable[[], Any] = tokenizer,
          **settings: Any) -> Callable[[Path], None]:
    """A family: model class, configuration class, and what the configuration says."""
    def make(folder: Path) -> None:
        import transformers

        getattr(transformers, name)(getattr(transformers, config)(**settings)).save_pretrained(folder)
        with_tokenizer().save_pretrained(folder)

    return make


def _picture(name: str, config: str, *, side: int = 32, **settings: Any) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        import transformers

        model = getattr(transformers, name)(getattr(transformers, config)(**settings))
        _warm(model).save_pretrained(folder)
        transformers.ViTImageProcessor(size={"height": side, "width": side}).save_pretrained(folder)

    return make


def _timm(architecture: str, side: int = 32, **arguments: Any) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        from transformers import AutoModel, TimmWrapperConfig

        prepared = {"input_size": [3, side, side], "interpolation": "bicubic", "crop_pct": 0.875, "crop_mode": "center",
                    "mean": [0.5] * 3,
                    "std": [0.5] * 3}
        config = TimmWrapperConfig(architecture=architecture, pretrained_cfg=prepared, model_args=arguments or None)
        _warm(AutoModel.from_config(config)).save_pretrained(folder)

    return make


def _warm(model: Any) -> Any:
    """BatchNorm statistics as if it had been trained: neither zero nor one."""
    import torch

    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.1)
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
    return model


def _then(make: Callable[[Path], None], change: Callable[[Path], object]) -> Callable[[Path], None]:
    """A family whose folder is changed after it was saved."""
    def both(folder: Path) -> None:
        make(folder)
        change(folder)

    return both


def _no_pad() -> Any:
    return tokenizer(pad=False, eos="[SEP]")


BERT = _text("BertModel", "BertConfig", **TEXT)
ROBERTA = {**TEXT, "pad_token_id": 0, "max_position_embeddings": 34}
T5: dict[str, Any] = {"vocab_size": VOCABULARY, "d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 3, "num_heads": 4}
QWEN = _text("Qwen3Model", "Qwen3Config", _no_pad, **TEXT, num_key_value_heads=2, head_dim=16)
STAGES: dict[str, Any] = {"num_encoder_blocks": 2, "depths": [1, 1], "sr_ratios": [2, 1], "hidden_sizes": [16, 32],
                          "patch_sizes": [7, 3],
                              "strides": [4, 2], "num_attention_heads": [1, 2], "mlp_ratios": [2, 2]}
CLIP_TEXT = {"vocab_size": VOCABULARY, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
             "intermediate_size": 128,
                 "max_position_embeddings": 77, "bos_token_id": 2, "eos_token_id": 3}


def _dual(name: str, config: str, **more: Any) -> Callable[[Path], None]:
    """A model of texts and pictures, with its tokenizer and its picture processor."""
    return _then(_picture(name, config, text_config=CLIP_TEXT, vision_config=PICTURE, **more),
                 lambda folder: tokenizer().save_pretrained(folder))


TEXTS: dict[str, Callable[[Path], None]] = {
    "albert": _text("AlbertModel", "AlbertConfig", **TEXT, embedding_size=32),
    "bf16": _then(BERT, lambda folder: _saved_in_bf16(folder)),
    "bigbird": _text("BigBirdModel", "BigBirdConfig", **TEXT, attention_type="original_full"),
    "biogpt": _text("BioGptModel", "BioGptConfig", **TEXT),
    "bloom": _text("BloomModel", "BloomConfig", _no_pad, vocab_size=VOCABULARY, hidden_size=64, n_layer=3, n_head=4),
    "byt5": _text("T5EncoderModel", "T5Config", lambda: _transformers("ByT5Tokenizer"), **T5),
    "camembert": _text("CamembertModel", "CamembertConfig", **{**ROBERTA, "pad_token_id": 1}),
    "canine": _text("CanineModel", "CanineConfig", lambda: _transformers("CanineTokenizer"),
                    **{name: value for name, value in TEXT.items() if name != "vocab_size"}, num_hash_buckets=64,
                    local_transformer_stride=16),
    "classifier": _text("BertForSequenceClassification", "BertConfig", **TEXT, num_labels=5),
    "cliptext": _text("CLIPTextModel", "CLIPTextConfig", **CLIP_TEXT),
    "codegen": _text("CodeGenModel", "CodeGenConfig", _no_pad, **GPT, rotary_dim=8),
    "convbert": _text("ConvBertModel", "ConvBertConfig", **TEXT, embedding_size=64, head_ratio=2, conv_kernel_size=5),
    "ctrl": _text("CTRLModel", "CTRLConfig", _no_pad, vocab_size=VOCABULARY, n_embd=64, n_layer=3, n_head=4, dff=128,
                  n_positions=130),
    "data2vectext": _text("Data2VecTextModel", "Data2VecTextConfig", **ROBERTA),
    "deberta1": _text("DebertaModel", "DebertaConfig", **TEXT, relative_attention=True, pos_att_type=["p2c", "c2p"],
                      type_vocab_size=0, max_relative_positions=64),
    "deberta2": _text("DebertaV2Model", "DebertaV2Config", **TEXT, relative_attention=True, position_buckets=16,
                      pos_att_type=["p2c", "c2p"], type_vocab_size=0),
    "deberta3": _text("DebertaV2Model", "DebertaV2Config", **TEXT, relative_attention=True, position_buckets=16,
                      norm_rel_ebd="layer_norm",
                      share_att_key=True, position_biased_input=False, pos_att_type=["p2c", "c2p"], type_vocab_size=0),
    "distilbert": _text("DistilBertModel", "DistilBertConfig", vocab_size=VOCABULARY, dim=64, n_layers=3, n_heads=4,
                        hidden_dim=128, max_position_embeddings=130),
    "electra": _text("ElectraModel", "ElectraConfig", **TEXT, embedding_size=32),
    "ernie": _text("ErnieModel", "ErnieConfig", **TEXT),
    "esm": _text("EsmModel", "EsmConfig", **TEXT, pad_token_id=0, mask_token_id=4, position_embedding_type="rotary"),
    "esmabsolute": _text("EsmModel", "EsmConfig", **ROBERTA, mask_token_id=4, position_embedding_type="absolute"),
    "falcon": _text("FalconModel", "FalconConfig", _no_pad, vocab_size=VOCABULARY, hidden_size=64, num_hidden_layers=3,
                    num_attention_heads=4),
    "flaubert": _text("FlaubertModel", "FlaubertConfig", vocab_size=VOCABULARY, emb_dim=64, n_layers=3, n_heads=4,
                      max_position_embeddings=130),
    "fnet": _text("FNetModel", "FNetConfig", vocab_size=VOCABULARY, hidden_size=64, num_hidden_layers=3,
                  intermediate_size=128, max_position_embeddings=130),
    "funnel": _text("FunnelModel", "FunnelConfig", vocab_size=VOCABULARY, block_sizes=[1, 1, 1], d_model=64, n_head=4,
                    d_head=16, d_inner=128),
    "gemma": _text("GemmaModel", "GemmaConfig", **TEXT, num_key_value_heads=1, head_dim=16, pad_token_id=0),
    "gemma3text": _text("Gemma3TextModel", "Gemma3TextConfig", **TEXT, num_key_value_heads=1, head_dim=16,
                        pad_token_id=0, sliding_window=16),
    "gpt2neither": _text("GPT2Model", "GPT2Config", lambda: tokenizer(pad=False), **GPT),
    "gpt2nopad": _text("GPT2Model", "GPT2Config", _no_pad, **GPT),
    "gptj": _text("GPTJModel", "GPTJConfig", _no_pad, **GPT, rotary_dim=8),
    "gptneo": _text("GPTNeoModel", "GPTNeoConfig", _no_pad, vocab_size=VOCABULARY, hidden_size=64, num_layers=2,
                    num_heads=4, intermediate_size=128, max_position_embeddings=130,
                    attention_types=[[["global", "local"], 1]], window_size=16, bos_token_id=2, eos_token_id=3),
    "gptneox": _text("GPTNeoXModel", "GPTNeoXConfig", _no_pad, **TEXT),
    "ibert": _text("IBertModel", "IBertConfig", **TEXT),
    "layoutlm": _text("LayoutLMModel", "LayoutLMConfig", **TEXT),
    "leftpad": _text("LlamaModel", "LlamaConfig",
                     lambda: tokenizer(limit=None, padding_side="left", truncation_side="left"), **TEXT,
                     num_key_value_heads=2),
    "longformer": _text("LongformerModel", "LongformerConfig", **{**TEXT, "pad_token_id": 0},
                        attention_window=[8, 8, 8]),
    "luke": _text("LukeModel", "LukeConfig", **ROBERTA, entity_vocab_size=10, entity_emb_size=16),
    "mamba": _text("MambaModel", "MambaConfig", vocab_size=VOCABULARY, hidden_size=64, num_hidden_layers=3,
                   state_size=8),
    "mamba2": _text("Mamba2Model", "Mamba2Config", vocab_size=VOCABULARY, hidden_size=64, num_hidden_layers=2,
                    state_size=8, num_heads=8,
                    head_dim=16, n_groups=1, chunk_size=16, pad_token_id=0, bos_token_id=2, eos_token_id=3),
    "mixtral": _text("MixtralModel", "MixtralConfig", _no_pad, **TEXT, num_key_value_heads=2, num_local_experts=2),
    "mobilebert": _text("MobileBertModel", "MobileBertConfig", **TEXT, embedding_size=32, intra_bottleneck_size=64),
    "modernbert": _text("ModernBertModel", "ModernBertConfig", **TEXT, pad_token_id=0, cls_token_id=2, sep_token_id=3,
                        bos_token_id=2, eos_token_id=3, local_attention=16),
    "mpnet": _text("MPNetModel", "MPNetConfig", **{**ROBERTA, "pad_token_id": 1}),
    "mpt": _text("MptModel", "MptConfig", _no_pad, vocab_size=VOCABULARY, d_model=64, n_layers=2, n_heads=4,
                 expansion_ratio=2, max_seq_len=64),
    "mra": _text("MraModel", "MraConfig", **TEXT, block_per_row=2),
    "nystromformer": _text("NystromformerModel", "NystromformerConfig", **TEXT, num_landmarks=64,
                           segment_means_seq_len=64),
    "onelayer": _text("BertModel", "BertConfig", **{**TEXT, "num_hidden_layers": 1}),
    "opt": _text("OPTModel", "OPTConfig", vocab_size=VOCABULARY, hidden_size=64, word_embed_proj_dim=32,
                 num_hidden_layers=3, num_attention_heads=4, ffn_dim=128, max_position_embeddings=40, pad_token_id=0,
                 bos_token_id=2, eos_token_id=3),
    "qwen3": QWEN,
    "rembert": _text("RemBertModel", "RemBertConfig", **TEXT, input_embedding_size=32, output_embedding_size=32),
    "roberta": _text("RobertaModel", "RobertaConfig", **ROBERTA),
    "roformer": _text("RoFormerModel", "RoFormerConfig", **TEXT, embedding_size=64),
    "sharded": _then(BERT, lambda folder: _sharded(folder)),
    "shortpos": _text("BertModel", "BertConfig", lambda: tokenizer(limit=40),
                      **{**TEXT, "max_position_embeddings": 40}),
    "stablelm": _text("StableLmModel", "StableLmConfig", _no_pad, **TEXT, num_key_value_heads=4),
    "t5encoder": _text("T5EncoderModel", "T5Config", **T5),
    "xglm": _text("XGLMModel", "XGLMConfig", vocab_size=VOCABULARY, d_model=64, ffn_dim=128, num_layers=3,
                  attention_heads=4, max_position_embeddings=64, pad_token_id=0, bos_token_id=2, eos_token_id=3),
    "xlm": _text("XLMModel", "XLMConfig", vocab_size=VOCABULARY, emb_dim=64, n_layers=3, n_heads=4,
                 max_position_embeddings=130),
    "xlmroberta": _text("XLMRobertaModel", "XLMRobertaConfig", **{**TEXT, "pad_token_id": 0}),
    "xlnet": _text("XLNetModel", "XLNetConfig", lambda: tokenizer(limit=None), vocab_size=VOCABULARY, d_model=64,
                   n_layer=3, n_head=4, d_inner=128),
}

PICTURES: dict[str, Callable[[Path], None]] = {
    "beit": _picture("BeitModel", "BeitConfig", **PICTURE),
    "bit": _picture("BitModel", "BitConfig", embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1], num_groups=8),
    "clip": _dual("CLIPModel", "CLIPConfig", projection_dim=32),
    "clipvision": _picture("CLIPVisionModel", "CLIPVisionConfig", **PICTURE),
    "convnextv2": _picture("ConvNextV2Model", "ConvNextV2Config", hidden_sizes=[16, 32, 32, 64], depths=[1, 1, 1, 1]),
    "data2vecvision": _picture("Data2VecVisionModel", "Data2VecVisionConfig", **PICTURE),
    "deit": _picture("DeiTModel", "DeiTConfig", **PICTURE),
    "dinov2registers": _picture("Dinov2WithRegistersModel", "Dinov2WithRegistersConfig", hidden_size=64,
                                num_hidden_layers=3, num_attention_heads=4, mlp_ratio=2, image_size=32, patch_size=8,
                                num_register_tokens=2),
    "dinov3": _picture("DINOv3ViTModel", "DINOv3ViTConfig", **PICTURE),
    "dpt": _picture("DPTModel", "DPTConfig", **PICTURE, backbone_out_indices=[0, 1, 2, 2], is_hybrid=False),
    "efficientnet": _picture("EfficientNetModel", "EfficientNetConfig", image_size=32, width_coefficient=0.25,
                             depth_coefficient=0.3, hidden_dim=320),
    "focalnet": _picture("FocalNetModel", "FocalNetConfig", image_size=32, patch_size=4, embed_dim=16, depths=[1, 1],
                         focal_levels=[1, 1],
                         focal_windows=[3, 3], hidden_sizes=[16, 32]),
    "hiera": _picture("HieraModel", "HieraConfig", embed_dim=16, image_size=[32, 32], patch_size=[7, 7],
                      patch_stride=[4, 4], patch_padding=[3, 3], depths=[1, 1], num_heads=[1, 2],
                      masked_unit_size=[8, 8], query_stride=[2, 2], num_query_pool=1, embed_dim_multiplier=2.0),
    "levit": _picture("LevitModel", "LevitConfig", side=64, image_size=64, hidden_sizes=[16, 24, 32],
                      num_attention_heads=[1, 2, 2], depths=[1, 1, 1], key_dim=[8, 8, 8]),
    "mobilenetv1": _picture("MobileNetV1Model", "MobileNetV1Config", image_size=32, depth_multiplier=0.25),
    "mobilenetv2": _picture("MobileNetV2Model", "MobileNetV2Config", image_size=32, depth_multiplier=0.25),
    "mobilevit": _picture("MobileViTModel", "MobileViTConfig", side=64, image_size=64, patch_size=2,
                          hidden_sizes=[16, 24, 32], neck_hidden_sizes=[8, 8, 16, 16, 24, 24, 32],
                          num_attention_heads=2),
    "mobilevit2": _picture("MobileViTV2Model", "MobileViTV2Config", side=64, image_size=64, width_multiplier=0.25,
                           base_attn_unit_dims=[32, 48, 64], n_attn_blocks=[1, 1, 1]),
    "poolformer": _picture("PoolFormerModel", "PoolFormerConfig", num_encoder_blocks=2, depths=[1, 1],
                           hidden_sizes=[32, 64], patch_sizes=[7, 3], strides=[4, 2], padding=[2, 1], mlp_ratio=4.0),
    "pvt": _picture("PvtModel", "PvtConfig", image_size=32, num_encoder_blocks=2, depths=[1, 1],
                    sequence_reduction_ratios=[2, 1], hidden_sizes=[16, 32], patch_sizes=[4, 2], strides=[4, 2],
                    num_attention_heads=[1, 2], mlp_ratios=[2, 2]),
    "pvt2": _picture("PvtV2Model", "PvtV2Config", image_size=32, **STAGES),
    "regnet": _picture("RegNetModel", "RegNetConfig", embedding_size=16, hidden_sizes=[16, 32, 32, 64],
                       depths=[1, 1, 1, 1], groups_width=8),
    "resnet": _picture("ResNetModel", "ResNetConfig", embedding_size=16, hidden_sizes=[16, 32, 32, 64],
                       depths=[1, 1, 1, 1], layer_type="basic"),
    "segformer": _picture("SegformerModel", "SegformerConfig", **STAGES),
    "siglip": _dual("SiglipModel", "SiglipConfig"),
    "siglipvision": _picture("SiglipVisionModel", "SiglipVisionConfig", **PICTURE),
    "swiftformer": _picture("SwiftFormerModel", "SwiftFormerConfig", side=64, image_size=64, depths=[1, 1],
                            embed_dims=[16, 32], mlp_ratio=2, downsamples=[True, True]),
    "swin": _picture("SwinModel", "SwinConfig", image_size=32, patch_size=4, embed_dim=16, depths=[1, 1],
                     num_heads=[2, 2], window_size=4),
    "swin2": _picture("Swinv2Model", "Swinv2Config", image_size=32, patch_size=4, embed_dim=16, depths=[1, 1],
                      num_heads=[2, 2], window_size=4),
    "timmbeit": _timm("beit_base_patch16_224", img_size=32, patch_size=8, embed_dim=64, depth=2, num_heads=4),
    "timmconvnext": _timm("test_convnext"),
    "timmswin": _timm("swin_tiny_patch4_window7_224", img_size=32, patch_size=2, embed_dim=16, depths=[1, 1],
                      num_heads=[1, 2], window_size=4),
    "timmvit": _timm("test_vit", side=160),
    "vit1channel": _picture("ViTModel", "ViTConfig", **PICTURE, num_channels=1),
    "vit1grey": _then(_picture("ViTModel", "ViTConfig", **PICTURE, num_channels=1),
                      lambda folder: _grey_processor(folder)),
    "vitclassifier": _picture("ViTForImageClassification", "ViTConfig", **PICTURE, num_labels=10),
    "vitmsn": _picture("ViTMSNModel", "ViTMSNConfig", **PICTURE),
    "yolos": _picture("YolosModel", "YolosConfig", **{**PICTURE, "image_size": [32, 32]}, num_detection_tokens=4),
}
def _edit(folder: Path, **values: Any) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | values), encoding="utf-8")


def _transformers(name: str) -> Any:
    import transformers

    return getattr(transformers, name)()


def _saved_in_bf16(folder: Path) -> None:
    import torch
    from transformers import AutoModel

    AutoModel.from_pretrained(folder).to(torch.bfloat16).save_pretrained(folder)


def _sharded(folder: Path) -> None:
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="200KB")


def _grey_processor(folder: Path) -> None:
    from transformers import ViTImageProcessor

    ViTImageProcessor(size={"height": 32, "width": 32}, image_mean=[0.13], image_std=[0.31]).save_pretrained(folder)


def _weights(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the tensors of a saved model."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def _only_bin(folder: Path) -> None:
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def _without(*names: str) -> Callable[[Path], None]:
    def remove(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return remove


VIT = _picture("ViTModel", "ViTConfig", **PICTURE)
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
FEW = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
       "decoder_attention_heads": 2, "encoder_ffn_dim": 32,
           "decoder_ffn_dim": 32}

REFUSED: dict[str, tuple[str, Callable[[Path], None]]] = {
    "bart": ("Encoder-decoder models are not supported",
             _text("BartModel", "BartConfig", vocab_size=VOCABULARY, **FEW)),
    "biggertokenizer": ("up to 327; the embedding has 60 rows",
                        _text("BertModel", "BertConfig", **{**TEXT, "vocab_size": 60})),
    "binonly": ("from transformers import AutoModel", _then(BERT, _only_bin)),
    "blip": ("reads texts and pictures together", _dual("BlipForQuestionAnswering", "BlipConfig", projection_dim=32)),
    "gptq": ("stored quantised (gptq)",
             _then(BERT, lambda folder: _edit(folder, quantization_config={"quant_method": "gptq", "bits": 4}))),
    "fourchannels": ("pictures of 4 channels", _picture("ViTModel", "ViTConfig", **PICTURE, num_channels=4)),
    "missingtensor": ("1 of its tensors are missing", _then(BERT, lambda folder: _weights(folder, lambda t: t.pop(
        "encoder.layer.1.output.dense.weight")))),
    "misshapen": ("do not fit its configuration", _then(BERT, lambda folder: _edit(folder, intermediate_size=96))),
    "nan": ("no finite numbers",
            _then(BERT, lambda folder: _weights(folder, lambda t: t["encoder.layer.1.output.dense.weight"].fill_(
float("nan"))))),
    "noprocessor": ("how pictures must be prepared", _then(VIT, _without("preprocessor_config.json"))),
    "notokenizer": ("has no tokenizer", _then(BERT, _without(*TOKENIZER_FILES))),
    "nystromwindow": ("on texts of 8 tokens", _text("NystromformerModel", "NystromformerConfig", **TEXT,
                                                    num_landmarks=8, segment_means_seq_len=64)),
    "perceiver": ("reads 'inputs'", _text("PerceiverModel", "PerceiverConfig", num_latents=8, d_latents=32, d_model=64,
                                          num_blocks=1,
                       num_self_attends_per_block=2, num_self_attention_heads=2, num_cross_attention_heads=2,
                                          vocab_size=VOCABULARY,
                       max_position_embeddings=130)),
    "random": ("draws random numbers", _picture("ViTMAEModel", "ViTMAEConfig", **PICTURE)),
    "reformer": ("draws random numbers", _text("ReformerModel", "ReformerConfig", vocab_size=VOCABULARY, hidden_size=64,
                      num_attention_heads=2, attention_head_size=32, feed_forward_size=128,
                                               attn_layers=["local", "lsh"],
                      axial_pos_shape=[8, 16],
                      axial_pos_embds_dim=[32, 32], max_position_embeddings=128, local_attn_chunk_length=16,
                      lsh_attn_chunk_length=16, is_decoder=False)),
    "squeezebert": ("not called one after another",
                    _text("SqueezeBertModel", "SqueezeBertConfig", **TEXT, embedding_size=64)),
    "t5": ("T5EncoderModel.from_pretrained", _text("T5Model", "T5Config", **T5)),
    "videomae": ("Two rows were tried", _picture("VideoMAEModel", "VideoMAEConfig", **PICTURE, num_frames=2,
                                                 tubelet_size=2)),
    "wav2vec2": ("reads sound", _text("Wav2Vec2Model", "Wav2Vec2Config", hidden_size=32, num_hidden_layers=1,
                                      num_attention_heads=2, intermediate_size=32, conv_dim=[16], conv_stride=[5],
                                      conv_kernel=[10], num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2)),
    "whisper": ("Encoder-decoder models", _text("WhisperModel", "WhisperConfig", vocab_size=VOCABULARY, num_mel_bins=8,
                                                pad_token_id=0, bos_token_id=2, eos_token_id=3,
                                                decoder_start_token_id=2, **FEW)),
}
"""Folders that inspection refuses: words of the refusal, and how they are made."""

FAMILIES = {**TEXTS, **PICTURES}


def make(name: str, folder: Path) -> Path:
    """Save the tiny model of that family in `folder`."""
    import torch

    torch.manual_seed(0)
    (FAMILIES.get(name) or REFUSED[name][1])(folder)
    return folder


if __name__ == "__main__":
    for wanted in sys.argv[2:] or [*FAMILIES, *REFUSED]:
        try:
            make(wanted, Path(sys.argv[1]) / wanted)
        except Exception as error:
            sys.stderr.write(f"cannot make {wanted}: {type(error).__name__}: {str(error)[:200]}\n")
