"""The export `gguf`: one file for llama.cpp and what stands on it (Ollama, LM Studio), matrices in 16 bits.

Written by the `gguf` package, which is llama.cpp's own (its names of tensors, its file format:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). What that package leaves to its caller is here: which
families are the same network there, the order of the rows of queries and keys, and, in `gguf_tokens`, the tokenizer.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.errors import ThawError
from core.export import requirements
from core.export.base import Format, base_of, copy_recipe, missing, write

if TYPE_CHECKING:
    import numpy as np

    from core.export.finished import Finished

MODEL = "model.gguf"
FAMILIES = {"LlamaModel": "llama", "Qwen2Model": "qwen2", "Qwen3Model": "qwen3"}
"""Class in transformers -> architecture in llama.cpp, where both are the same network."""
PACKAGES = ("gguf", "xllamacpp")
"""What writes the file, and llama.cpp itself, which reads it back for the certificate."""
INTERLEAVED = "llama"
"""The architecture whose rotated pairs lie beside each other in llama.cpp and half a head apart in transformers."""
LARGEST = 65_504
"""What 16 bits hold."""
OTHERWISE = "Export it as merged: llama.cpp's own converter knows more models than Thaw can check."

_README = """# {title}

{base} with what the run trained in it, as one GGUF file: matrices in 16 bits, norms and biases in 32.

    llama-cli -m {model}                                    (llama.cpp)
    echo 'FROM ./{model}' > Modelfile && ollama create mine   (Ollama)

{template} An answer ends at {ends}. To round it further: `llama-quantize {model} smaller.gguf Q8_0`.
`certificate.json` speaks of this file, not of one that is rounded further.
"""


class Gguf:
    """A language model of the llama family with its tokenizer and template in one file."""

    name = "gguf"
    summary = "one GGUF file (16 bits) for llama.cpp, Ollama and the like"
    tolerance: float | None = 0.01

    def applies_to(self, recipe: Recipe, facts: ModelFacts | None) -> str | None:
        """See `core.export.base.Format`. What the file cannot hold is told when it is tried."""
        if recipe.task.labelled:
            return "GGUF holds language models."
        if facts is not None and (family := facts.architecture) not in FAMILIES:
            return (f"Only the families whose network is the same in llama.cpp are written ({', '.join(FAMILIES)}), "
                    f"and this one is {family}.")
        return missing(PACKAGES)

    def size_bytes(self, recipe: Recipe, facts: ModelFacts, artifact_bytes: int) -> int:
        """See `core.export.base.Format`."""
        return 2 * facts.parameters + 20_000_000

    def write(self, run: Finished, target: Path) -> dict[str, Any]:
        """See `core.export.base.Format`."""
        from gguf import GGUFWriter

        from core.export import gguf_tokens, merged
        from core.tasks import teaching
        from core.training import generate

        side: Any = run.whole
        causal, tokenizer = side.network.causal, side.task.processor
        _check(causal.config)
        format = teaching.format_of(tokenizer)
        ends = generate.ends_of(format, causal)
        writer = GGUFWriter(target / MODEL, FAMILIES[run.facts.architecture])
        _describe(writer, run, causal.config)
        vocabulary = causal.get_input_embeddings().weight.shape[0]
        template = gguf_tokens.add(writer, tokenizer, format, ends, vocabulary=vocabulary)
        count = _add_tensors(writer, causal, run)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        copy_recipe(run, target)
        requirements.write(run, target, "gguf", "transformers", "torch", "xllamacpp")
        said = tokenizer.convert_ids_to_tokens(ends)
        about = merged.about_of(run, side)
        write(target / "README.md", _README.format(title=run.name, base=base_of(about), model=MODEL, template=template,
                                                   ends=" or ".join(f"`{end}`" for end in said)))
        notes = [f"{MODEL}: {count} tensors, matrices in 16 bits. {template}",
                 "llama.cpp itself is asked for the certificate how it reads the rows, and what it says first.",
                 *([merged.UNPACKED] if run.four_bit else [])]
        return {"notes": notes}


def _check(config: Any) -> None:
    """Raises ThawError for what llama.cpp computes otherwise, or what the file has no place for."""
    rope = getattr(config, "rope_parameters", None) or {}
    window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    reasons = [sentence for holds, sentence in (
        (rope.get("rope_type", "default") != "default", f"Its positions are scaled ({rope.get('rope_type')})."),
        (window is not None and window < config.max_position_embeddings,
         f"It looks back {window} tokens only, which llama.cpp does not know of this family."),
        (getattr(config, "attention_bias", False) or getattr(config, "mlp_bias", False),
         "Its linear layers have biases that its family lacks in llama.cpp."),
        (config.hidden_act != "silu", f"Its activation is {config.hidden_act}.")) if holds]
    if reasons:
        raise ThawError("This model cannot be written as gguf.", why=" ".join(reasons), remedy=OTHERWISE)


def _describe(writer: Any, run: Finished, config: Any) -> None:
    """The numbers of the architecture."""
    from gguf import LlamaFileType

    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    writer.add_name(run.name)
    writer.add_description(f"{run.base_hub_id} with what a run of Thaw trained in it")
    writer.add_file_type(LlamaFileType.MOSTLY_F16)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_rope_dimension_count(width)
    writer.add_rope_freq_base(float(config.rope_parameters["rope_theta"]))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)


def _add_tensors(writer: Any, causal: Any, run: Finished) -> int:
    """All weights, a tied output layer left out; returns how many. Raises ThawError for one without a name there, or
    with numbers that 16 bits do not hold."""
    import numpy as np
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    config, count, architecture = causal.config, 0, FAMILIES[run.facts.architecture]
    arch = next(arch for arch, name in MODEL_ARCH_NAMES.items() if name == architecture)
    names = get_tensor_name_map(arch, config.num_hidden_layers)
    state = causal.state_dict()
    tied = causal.get_output_embeddings().weight.data_ptr() == causal.get_input_embeddings().weight.data_ptr()
    for name, tensor in state.items():
        if name == "lm_head.weight" and tied:
            continue
        there = names.get_name(name, try_suffixes=(".weight", ".bias"))
        values: np.ndarray = tensor.detach().float().numpy()
        if there is None or (values.ndim > 1 and np.abs(values).max() > LARGEST):
            raise ThawError("This model cannot be written as gguf.", remedy=OTHERWISE,
                            why=f"{name} has no place in such a file." if there is None else
                            f"{name} holds numbers above {LARGEST:,}, which 16 bits do not.")
        if architecture == INTERLEAVED and name.endswith(("q_proj.weight", "k_proj.weight")):
            heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            values = interleaved(values, heads)
        writer.add_tensor(there, values.astype(np.float16) if values.ndim > 1 else values)
        count += 1
        run.progress(count, len(state), "tensors", "GGUF")
    return count


def interleaved(values: np.ndarray, heads: int) -> np.ndarray:
    """Rows (n_heads * width, n_in) of queries or keys in llama.cpp's order: within a head, row i and row i + width / 2
    of transformers, which are rotated together, lie beside each other."""
    halves = values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:])
    return halves.swapaxes(1, 2).reshape(values.shape)


FORMAT: Format = Gguf()
