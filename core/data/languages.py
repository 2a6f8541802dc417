"""What columns and files of a language are called."""

from __future__ import annotations

CODES = frozenset(
    "ar bg bn ca cs da de el en es et fa fi fr ga gu he hi hr hu it ja kk ko lt lv mt nl no pl pt ro ru sk sl sr sv sw "
    "ta te th tr uk ur vi zh".split())
"""ISO 639-1, without `id` and others that mean something else in tables."""
NAMES = CODES | frozenset("english german french spanish italian portuguese dutch russian chinese japanese korean "
                          "arabic hindi turkish polish czech".split())
