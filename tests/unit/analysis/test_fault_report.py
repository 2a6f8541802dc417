"""What a report hands on, and what it keeps back."""

from __future__ import annotations

import dataclasses
import socket

import pytest

from core.analysis.fault_report import LINES, clean, text, without_rows
from core.domain.device import Device
from core.domain.recipe import Recipe
from core.domain.run import Failure, JobKind, Run, Status
from core.errors import FailureKind

RUN = Run(id="r", workspace="w", kind=JobKind.TRAIN, name="Secret patients", status=Status.FAILED, folder="/data/w/r",
          recipe=Recipe(dataset="d" * 64, base_model="/home/ana/models/mine", method="lora", learning_rate=3e-4),
          failure=Failure(kind=FailureKind.INTERNAL, what="Something inside Thaw went wrong.",
                          why="An unexpected OSError: /home/ana/notes.txt is missing"),
          started=100.0, finished=142.0, attempts=2)
DEVICE = Device(kind="cpu", name="EPYC", memory_bytes=16_000_000_000, cores=2, fp32_gflops=100.0, bf16_gflops=200.0,
                precision="bf16", versions={}, measured=0.0)


@pytest.mark.parametrize("line", [
    "OSError: [Errno 2] No such file: '/home/ana/my data/patients.csv'", "reading /home/ana/patients.csv now",
    r"reading C:\Users\ana\patients.csv now", "reading ../up/patients.csv", "in ~/patients/x", "file data/patients.csv",
    "GET https://hub.example/api?token=patients failed", "HF_TOKEN=patients", "token: patients", "api_key = patients",
    "Authorization: Bearer patients", "password=patients", "key hf_patientsPATIENTS123",
    "mail to patients@example.org", "sent to 10.1.2.3:8080 patients@x.y", "ValueError: bad row 'the patients are ill'",
    'ValueError: bad row "the patients are ill"', "id 9f8e7d6c5b4a39281706patients",
    "workspace patients-ws-id-0001 is here"])
def test_paths_addresses_secrets_and_quoted_texts_are_kept_back(line: str) -> None:
    cleaned = clean(line, ["patients-ws-id-0001"])
    for word in ("patients", "ana", "10.1.2.3", "example"):
        assert word not in cleaned, cleaned
    assert "[…]" in cleaned


def test_the_name_of_the_machine_is_kept_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "anas-laptop")
    assert clean("worker on anas-laptop ends") == "worker on […] ends"


@pytest.mark.parametrize(("line", "kept"), [
    ('  File "/work/app/core/training/execute.py", line 52, in execute', "core/training/execute.py"),
    ('  File "/usr/lib/python3.11/site-packages/torch/nn/modules/linear.py", line 5, in forward',
     "torch/nn/modules/linear.py"),
    ("KeyError: 'lora_rank'", "'lora_rank'"),
    ("RuntimeError: mat1 and mat2 shapes cannot be multiplied (16x384 and 768x5)", "(16x384 and 768x5)"),
    ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", "Tried to allocate 2.00 GiB."),
    (" 45%|####      | 9/20 [00:12<00:14,  1.33s/it]", "9/20 [00:12<00:14,  1.33s/it]"),
    ("The tokenizer has a new special token", "special token")])
def test_what_tells_of_the_fault_stays(line: str, kept: str) -> None:
    assert kept in clean(line)


def test_lines_that_repeat_a_row_are_kept_back_however_they_quote_it() -> None:
    rows = [["An ordinary article about the weather in spring.", "Mrs Smith has a cold and a cough since Monday."],
            ["Bob Jones"]]
    lines = ["ValueError: cannot parse: Mrs Smith has a cold and a", "ValueError: cannot parse: Bob Jones",
             "Mrs Smith has a cold and", "RuntimeError: shapes do not match at all here"]
    assert without_rows(lines, rows) == ["ValueError: […]", "ValueError: […]", "[…]", lines[3]]
    assert without_rows(lines, []) == lines


def test_a_report_says_what_happened_where_with_what_and_the_end_of_the_log() -> None:
    log = "\n".join(f"step {i} of many" for i in range(100))
    found = text(RUN, phase="training", device=DEVICE, log=log)
    for part in ("Something inside Thaw went wrong.", "An unexpected OSError", "Phase: training", "Attempts: 2",
                 "Seconds: 42", "EPYC, 2 cores, 16.0 GB", "Python 3", "torch ", '"method": "lora"',
                 '"learning_rate": 0.0003', "step 99 of many", f"step {100 - LINES} of many"):
        assert part in found, part
    for part in ("ana", "notes", "Secret patients", "/data", "d" * 20, f"step {99 - LINES} of many"):
        assert part not in found, part


def test_a_report_needs_neither_failure_nor_log_nor_device() -> None:
    run = dataclasses.replace(RUN, failure=None, status=Status.STOPPED, started=None)
    assert "It is stopped." in text(run, phase="", device=None, log="")
