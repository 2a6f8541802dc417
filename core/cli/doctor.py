"""`core doctor`: what Thaw found on this machine, and whether what it needs is in place."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import sys
from argparse import Namespace
from dataclasses import fields
from pathlib import Path
from typing import Any

from core.cli import output
from core.domain import codec
from core.domain.device import Device
from core.settings import Settings

PACKAGES = ("streamlit", "plotly", "torch", "torchvision", "transformers", "peft", "bitsandbytes", "datasets",
            "timm", "scikit-learn", "scipy", "numpy", "pandas", "pyarrow", "umap-learn", "kaleido", "pip")


def run(args: Namespace, settings: Settings) -> int:
    """Print the report; 0 when nothing that Thaw needs is missing."""
    report = examine(settings)
    if args.json:
        output.document(report)
    else:
        _print(report)
    return 1 if report["missing_packages"] else 0


def examine(settings: Settings) -> dict[str, Any]:
    """Everything the report says, as one JSON document. Measures the device when that was not done yet (a few
    seconds)."""
    from core.jobs.launch import any_alive
    from core.store import Store

    versions = {name: _version(name) for name in PACKAGES}
    home_error = _writable(settings.home)
    return {
        "python": platform.python_version(), "system": platform.platform(),
        "versions": {name: version for name, version in versions.items() if version},
        "missing_packages": [name for name, version in versions.items() if version is None],
        "device": codec.to_json(_device(settings)) if home_error is None else None,
        "home": str(settings.home), "home_problem": home_error,
        "supervisor_alive": any_alive(Store(settings)) if home_error is None else False,
        "settings": [{"name": f"THAW_{spec.name.upper()}", "value": codec.to_json(_plain(getattr(settings, spec.name))),
                      "help": spec.metadata["help"]} for spec in fields(Settings)],
        "cache": {"folder": str(settings.cache), "bytes": _bytes(settings.cache),
                  "limit_bytes": int(settings.cache_gb * 1e9)},
        "assets": _assets(settings),
    }


def _assets(settings: Settings) -> list[dict[str, Any]]:
    """Each bundled model and dataset: what it is and whether it is on this machine."""
    from core.data import bundled
    from core.data.catalogue import DATASETS
    from core.models import facts
    from core.models.catalogue import MODELS

    models = [{"kind": "model", "id": m.id, "name": m.name, "licence": m.licence, "package": m.package,
               "download_bytes": m.size_bytes, "folder": str(facts.folder(m.id, settings)),
               "in_place": (facts.folder(m.id, settings) / "config.json").is_file()}
              for m in MODELS]
    datasets = [{"kind": "dataset", "id": d.id, "name": d.name, "licence": d.licence, "package": d.package,
                 "download_bytes": d.size_bytes, "folder": str(settings.assets / "datasets" / d.id),
                 "in_place": bundled.is_fetched(d.id, settings=settings)} for d in DATASETS]
    return models + datasets


def _device(settings: Settings) -> Device | None:
    """The measured device; measured now, in a process of its own, when `device.json` is missing."""
    import json

    path = settings.home / "device.json"
    if not path.is_file():
        from core.jobs import process

        subprocess.run([sys.executable, "-m", "core.training.device"], cwd=process.ROOT,
                       env=process.environment(settings), check=False, capture_output=True, timeout=300)
    return codec.from_json(Device, json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _writable(home: Path) -> str | None:
    """None when the data folder can be written to, else why not."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe = home / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        return f"The data folder cannot be written to: {error}. Point THAW_HOME at another folder."
    return None


def _bytes(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) if folder.is_dir() else 0


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _print(report: dict[str, Any]) -> None:
    device = report["device"]
    print(f"Python {report['python']} on {report['system']}")
    if device:
        print(f"Device: {device['name']} ({device['kind']}), {device['cores']} cores, "
              f"{output.size(device['memory_bytes'])}; {device['fp32_gflops']:.0f} GFLOPS in fp32, "
              f"{device['bf16_gflops']:.0f} in bf16: computes in {device['precision']}")
    else:
        print(f"Device: could not be measured. {report['home_problem'] or ''}")
    print(f"Data folder: {report['home']}; supervisor {'alive' if report['supervisor_alive'] else 'not running'}")
    cache = report["cache"]
    print(f"Cache: {output.size(cache['bytes'])} of at most {output.size(cache['limit_bytes'])}")
    print("\nPackages: " + ", ".join(f"{name} {version}" for name, version in report["versions"].items()))
    if report["missing_packages"]:
        print("Missing: " + ", ".join(report["missing_packages"]) + "  (pip install -r requirements.txt)")
    print("\n" + output.table(["asset", "kind", "in place", "download", "licence"], [
        [a["id"], a["kind"], "yes" if a["in_place"] else "no, fetched on first use", output.size(a["download_bytes"]),
         a["licence"]]
        for a in report["assets"]]))
    print("\n" + output.table(["setting", "value", "meaning"],
                              [[s["name"], s["value"], s["help"]] for s in report["settings"]]))
