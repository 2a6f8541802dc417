"""`core serve`: one model of a run over HTTP."""

from __future__ import annotations

import ipaddress
import socket
from argparse import Namespace

from core.cli import output
from core.errors import FailureKind, ThawError
from core.serving import side_names
from core.settings import Settings


def serve(args: Namespace, settings: Settings) -> int:
    """Load the model, say where it answers, and answer until told to end."""
    side = side_names.parse(args.run_dir)
    listener = _listener(args.host, args.port)
    output.quiet_libraries()
    output.say("Loading the model…")
    from core.serving import endpoint

    served = endpoint.Endpoint(side, settings, local=_is_local(args.host))
    port = listener.getsockname()[1]
    url = f"http://{f'[{args.host}]' if ':' in args.host else args.host}:{port}"
    if args.json:
        output.document({"url": url, "run": side.folder.name, "side": side_names.spoken(side), "paths": served.paths,
                         "files": served.loaded.files})
    else:
        print(f"Answering at {url}: {', '.join(served.paths)}. {url}/ describes them. Ctrl+C ends.", flush=True)
    if not _is_local(args.host):
        output.say("Note: every machine that can reach this address may ask; no key is asked for.")
    endpoint.run(served, listener)
    return 0


def _listener(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ThawError(f"Thaw cannot listen on {host}, port {port}.", why=str(error.strerror or error),
                        kind=FailureKind.INTERRUPTED,
                        remedy="Choose another port with --port (0 takes a free one), or another address with --host."
                        ) from error


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
