"""Whether this machine has what the settings ask for: the model and the devices."""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Iterator

from speakeasy_tui.cli.checks import Check, error, warning
from speakeasy_tui.cli.door import check_model
from speakeasy_tui.cli.say import Stop, mebibytes, several
from speakeasy_tui.core.engineprotocol import EngineFacts
from speakeasy_tui.core.models import DOWNLOAD_MIB, MIB, REPOSITORIES, find_local
from speakeasy_tui.core.values import Resolved
from speakeasy_tui.runner.devices import Devices
from speakeasy_tui.runner.modelfinder import WAYS_OUT

HUB_TIMEOUT = 5.0
"""Seconds that the hub has to answer."""


def model(found: Resolved) -> Iterator[Check]:
    """Nothing where the model is here, or `auto` takes what is."""
    try:
        check_model(found)
    except Stop as stop:
        yield error("model", str(stop), stop.hint)
        return
    name = found.settings.model
    if found.settings.engine == "sim" or name == "auto" or find_local(name) is not None:
        return
    text = f"{found.named('model')}: not on this machine"
    if why := _why_not_from_hub(name):
        yield error("model", f"{text}, and not to be had: {why}", WAYS_OUT)
    else:
        size = f" ({mebibytes(DOWNLOAD_MIB[name] * MIB)})" if name in DOWNLOAD_MIB else ""
        yield warning(
            "model",
            f"{text}; the first run downloads it{size}",
            f"now: speakeasy models get {name}",
        )


def device(found: Resolved, facts: EngineFacts) -> Iterator[Check]:
    """Nothing where all devices that are named are here."""
    asked = found.settings.device
    if found.settings.engine == "sim" or asked in {"auto", "cpu"}:
        return
    there = {f"cuda:{number}" for number in range(facts.cuda_devices)}
    missing = [name for name in Devices().devices_for(asked) if name not in there]
    if missing:
        text = f"{found.named('device')}: no {', '.join(missing)} here; CTranslate2 sees "
        text += several(facts.cuda_devices, "GPU") if there else "no GPU"
        yield error("device", text, "auto takes what is there; cpu works without a GPU")


def _why_not_from_hub(name: str) -> str:
    """Why the hub does not give the model `name`; empty when it does, or asks who we are."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        return "HF_HUB_OFFLINE is set"
    hub = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    address = f"{hub.rstrip('/')}/{REPOSITORIES.get(name, name)}/resolve/main/config.json"
    try:
        with urllib.request.urlopen(
            urllib.request.Request(address, method="HEAD"), timeout=HUB_TIMEOUT
        ):
            return ""
    except urllib.error.HTTPError as answer:
        return "" if answer.code in {401, 403} else f"{hub} answers {answer.code} {answer.reason}"
    except (OSError, ValueError, http.client.HTTPException) as problem:
        return f"{hub} cannot be reached ({getattr(problem, 'reason', problem)})"
