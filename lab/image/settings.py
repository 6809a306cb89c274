"""What pip is told on this machine, for the pip of a build, which sees none of it."""

import os
import subprocess
import sys
from pathlib import Path

_OF_THE_BUILD = "/run/secrets/ca.crt"
"""Where the Dockerfile has the secret `ca.crt`."""

_HERE = ("no-", "log", "cache-dir", "user", "target", "prefix", "find-links", "require-virtualenv")
"""Settings about this machine's folders, or that pip takes only on its command line."""


def write_secrets(folder: Path) -> dict[str, Path]:
    """Write what the Dockerfile takes as secrets; the files by their names.

    The certificate is the one that pip uses here, for machines behind a proxy that signs itself.
    """
    secrets = {"pip.conf": folder / "pip.conf"}
    settings = _settings()
    if certificate := settings.pop("cert", None) or os.environ.get("SSL_CERT_FILE"):
        secrets["ca.crt"] = Path(certificate)
        settings["cert"] = _OF_THE_BUILD
    lines = [f"{name} = {value}\n" for name, value in settings.items()]
    secrets["pip.conf"].write_text("".join(("[global]\n", *lines)))
    secrets["pip.conf"].chmod(0o600)
    return secrets


def _settings() -> dict[str, str]:
    """Of files and variables, as `global.index-url='...'` and `:env:.index-url='...'`."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    done = subprocess.run(command, capture_output=True, text=True)
    found = {}
    for line in done.stdout.splitlines():
        place, _, value = line.partition("=")
        section, _, name = place.rpartition(".")
        if section in ("global", "install", ":env:") and not name.startswith(_HERE):
            found[name] = value.strip("'")
    return found
