"""What a base model on disk is: the content of its weights, its tokenizer or processor, and its configuration. No
torch.

A revision is a hash of these files' hashes. Files are looked at by size and times, and read only when those have
changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from core import checksums

PREFIX, WEIGHTS_ONLY = "content:", "sha256:"
"""How revisions begin: this form, and the one before it, which was of the weights alone."""
WEIGHTS = "*.safetensors"
PATTERNS = (WEIGHTS, "*.safetensors.index.json", "config.json", "*config*.json", "*token*.json", "*vocab*.json",
            "*merges*.json", "normalizer.json", "emoji.json", "*vocab*.txt", "*merges*.txt", "*token*.txt", "dict.txt",
            "*.vocab", "*.model", "*.spm", "*.tiktoken", "*.codes", "*.bpe", "*.jinja", "1_Pooling/config.json")
"""Files that decide what a model computes. Read-me files, licences and what training scripts leave behind are not among
them."""
NOT_READ = ("data_config.json", "generation_config.json", "config_sentence_transformers.json", "*training*",
            "*trainer*")
"""Look like configurations, but nothing here reads them."""


def files_of(folder: Path) -> list[str]:
    """Names (relative, sorted) of the files that make up the model in `folder`; empty when there is no model."""
    candidates = [*folder.iterdir(), folder / "1_Pooling" / "config.json"] if folder.is_dir() else []
    names = (path.relative_to(folder).as_posix() for path in candidates if path.is_file())
    return sorted(name for name in names if any(fnmatchcase(name, pattern) for pattern in PATTERNS)
                  and not any(fnmatchcase(name, pattern) for pattern in NOT_READ))


GGUF = "model.gguf"
"""The name under which a GGUF file counts, whatever it is called."""


class Identity:
    """The content of a model folder as it is now. notes: the file that remembers sizes, times and hashes between two
    looks. names: the files of the folder that count; None: those that make up a model."""

    def __init__(self, folder: Path, *, notes: Path, names: Sequence[str] | None = None) -> None:
        known = checksums.read(notes) or {}
        try:
            found = checksums.look(folder, files_of(folder) if names is None else names, known)
        except OSError:  # it is being replaced, or may not be read: who loads it says so
            found = {}
        if found != known and found:
            checksums.write(notes, found)
        self.digests = checksums.digests(found)
        """File name -> SHA-256."""

    @property
    def revision(self) -> str:
        """`content:` and 16 digits over names and hashes of all files; empty when there are none."""
        if not self.digests:
            return ""
        lines = "".join(f"{name}\0{digest}\n" for name, digest in sorted(self.digests.items()))
        return PREFIX + hashlib.sha256(lines.encode()).hexdigest()[:16]

    @property
    def weights_only(self) -> str:
        """The same model in the form before: `sha256:` and 16 digits over the weight files (of the one file, when there
        is only one)."""
        found = [digest for name, digest in sorted(self.digests.items()) if fnmatchcase(name, WEIGHTS)]
        whole = found[0] if len(found) == 1 else hashlib.sha256("".join(found).encode()).hexdigest()
        return WEIGHTS_ONLY + whole[:16]

    def in_form_of(self, recorded: str) -> str:
        """This model's revision in the form of a recorded one."""
        return self.weights_only if recorded.startswith(WEIGHTS_ONLY) else self.revision

    def is_revision(self, recorded: str) -> bool:
        """Whether a recorded revision, of this form or of the one before, is what lies here."""
        return self.in_form_of(recorded) == recorded


class OneFile(Identity):
    """The content of a model that is one GGUF file."""

    def __init__(self, file: Path, *, notes: Path) -> None:
        super().__init__(file.parent, notes=notes, names=[file.name])
        self.digests = {GGUF: self.digests[file.name]} if self.digests else {}
