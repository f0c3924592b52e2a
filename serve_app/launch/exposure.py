"""Who can reach a server that is about to listen, and whether a key keeps them out."""

from __future__ import annotations

import ipaddress

from serve_app.access.keys import Keys
from serve_app.config.stack import StackArgs


def warning(args: StackArgs, host: str, port: int) -> str | None:
    """One line where other machines may reach the server and no API key is set; None where that is not so."""
    if _only_this_machine(host) or Keys(args.keys_file).required:
        return None
    return f"whoever reaches {host}:{port} may use this server: no API key is set (parle key --help, docs/security.md)"


def _only_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
