"""Encodings from before Unicode are judged by all words of a file, and damage in UTF-8 by its share."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from core.data import encodings, tables
from core.data.readers import folders
from core.settings import Settings

File = Callable[[str, str | bytes], Path]
TEXTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "German": ("Die Straße führt über die Brücke und größere Häuser säumen den Fluß. Ärzte öffnen früh.",
               ("cp1252", "cp850", "mac_roman")),
    "French": ("L'été dernier nous avons mangé des crêpes à la crème près du château. Où êtes-vous allés ?",
               ("cp1252", "cp850", "mac_roman")),
    "Spanish": ("El niño comió una piña en la montaña. ¿Dónde está el señor Muñoz? ¡Qué día más bonito!",
                ("cp1252", "cp850")),
    "English": ("It’s a “smart” quote – and a café for £5 isn’t it?", ("cp1252",)),
    "Russian": ("Вчера вечером команда выиграла важный матч и болельщики долго радовались на улицах.",
                ("cp1251", "koi8-r", "cp866", "iso8859-5")),
    "Ukrainian": ("Учора ввечері команда виграла важливий матч і вболівальники раділи на вулицях міста. Її ґанок.",
                  ("cp1251", "koi8-u")),
    "Polish": ("Zażółć gęślą jaźń. Wczoraj wieczorem drużyna wygrała ważny mecz a kibice się cieszyli.",
               ("cp1250", "iso8859-2")),
    "Czech": ("Příliš žluťoučký kůň úpěl ďábelské ódy. Včera večer tým vyhrál důležitý zápas.",
              ("cp1250", "iso8859-2")),
    "Greek": ("Χθες το βράδυ η ομάδα κέρδισε έναν σημαντικό αγώνα και οι φίλαθλοι χάρηκαν.", ("cp1253", "iso8859-7")),
    "Turkish": ("Dün akşam takım önemli bir maç kazandı ve taraftarlar uzun süre sevindi. Güneş doğdu.", ("cp1254",)),
    "Hebrew": ("אתמול בערב הקבוצה ניצחה במשחק חשוב והאוהדים שמחו ברחובות העיר.", ("cp1255",)),
    "Arabic": ("فاز الفريق مساء أمس بمباراة مهمة وفرح المشجعون في شوارع المدينة.", ("cp1256",)),
    "Japanese": ("昨日の夜、 チームは 大事な試合に勝ち、 ファンは街で 喜びました。 とても楽しかったです。",
                 ("shift_jis", "euc_jp")),
    "Chinese": ("昨天晚上 球队赢得了 一场重要的比赛， 球迷们在城市的 街道上庆祝了 很长时间。 我们都很高兴。",
                ("gb18030",)),
    "Taiwanese": ("昨天晚上 球隊贏得了 一場重要的比賽， 球迷們在城市的 街道上慶祝了 很長時間。 我們都很高興。",
                  ("big5",)),
    "Korean": ("어제 저녁 팀은 중요한 경기에서 이겼고 팬들은 도시의 거리에서 기뻐했습니다.", ("euc_kr",)),
}


def rows(language: str, n: int, foreign: float) -> str:
    """Rows of a table, of which `foreign` of the words are English."""
    draw = random.Random(0)
    words = TEXTS[language][0].split()
    english = "the game was nice and we won it all".split()
    texts = [" ".join(draw.choice(english if draw.random() < foreign else words) for _ in range(9)) for _ in range(n)]
    return "text,label\n" + "".join(f"{text.replace(',', '')} {i},{'ab'[i % 2]}\n" for i, text in enumerate(texts))


@pytest.mark.parametrize(("language", "encoding"),
                         [(language, name) for language, (_, names) in TEXTS.items() for name in names])
def test_every_character_comes_back(file: File, settings: Settings, language: str, encoding: str) -> None:
    for n, foreign in ((2, 0.0), (60, 0.0), (60, 0.7), (300, 0.95)):
        data = rows(language, n, foreign).encode(encoding, "replace")
        if data.isascii():
            continue
        path = file("t.csv", data)
        found = encodings.detect(path)
        assert path.read_bytes().decode(found.name, found.errors) == data.decode(encoding), (n, foreign, found.name)
    table = tables.read(path, settings=settings)
    assert ((table.rows_read, len(table), [finding.code for finding in table.findings])
            == (300, 300, ["encoding-guessed"]))


def test_lucky_pairs_do_not_make_a_file_utf8(file: File) -> None:
    text = rows("Russian", 100, 0.3)
    data = text.encode("cp1251") + b"\xd0\xb0\xd0\xb1,a\n"            # valid UTF-8 by chance
    assert encodings.detect(file("t.csv", data)).name == "cp1251"


@pytest.mark.parametrize("language", ["German", "Russian", "Japanese"])
def test_a_few_bad_bytes_do_not_make_a_utf8_file_another(file: File, language: str) -> None:
    text = rows(language, 100, 0.3)
    data = text.encode() + b"na\xefve and caf\xe9,a\n"
    found = encodings.detect(file("t.csv", data))
    assert (found.name, found.mixed) == ("utf-8", 2)
    assert data.decode(found.name, found.errors) == text + "naïve and café,a\n"


def test_the_whole_file_counts_not_its_beginning(file: File) -> None:
    english = "".join(f"a plain sentence with a café in it {i},a\n" for i in range(5)).encode("cp1251", "ignore")
    data = b"text,label\n" + english * 2_000 + rows("Russian", 400, 0.0).encode("koi8-r")
    assert encodings.detect(file("t.csv", data)).name == "koi8_r"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("language", ["English", "Russian", "Greek", "Chinese", "Korean", "Arabic"])
def test_utf16_without_its_mark(file: File, settings: Settings, language: str, encoding: str) -> None:
    text = rows(language, 60, 0.0)
    table = tables.read(file("t.csv", text.encode(encoding)), settings=settings)
    assert table.data["text"].to_pylist() == [line.rpartition(",")[0] for line in text.splitlines()[1:]]


def test_text_files_in_folders_too() -> None:
    for language, encoding in (("Russian", "cp1251"), ("Japanese", "shift_jis"), ("French", "cp1252"),
                               ("Polish", "cp1250")):
        text = TEXTS[language][0]
        assert folders.decode(text.encode(encoding)) == text
    assert folders.decode(b"a\r\nb\n") == "a\nb\n"
    assert folders.decode("schön".encode("latin-1")) == "schön" and folders.decode(b"\xff\xfeh\x00i\x00") == "hi"
