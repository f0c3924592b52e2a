"""The two providers' published APIs, played by a local HTTP server: paths, fields and answers as their pages have them.

Fields that the pages do not name are refused, so that a call with a misspelt one fails here. `trouble` goes before the
normal answers: one entry for each of the next requests.
"""

from __future__ import annotations

import json
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "tok-7f3a9c51e0d84b62"
INSTANCE_KEY = "d15a-key-of-the-new-instance"
SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHWGYlMT8CxcILI ana@home"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any = None
    """JSON, or bytes as they are."""
    headers: dict[str, str] = field(default_factory=dict)


HANG, DROP = "hang", "drop"
"""Troubles: no answer for seconds; the connection closed in the middle of the request."""


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    body: Any
    token: str | None


class Wrong(Exception):
    """The request is not one of the published API."""


@dataclass
class PublishedApi(ABC):
    """A provider with an account, whose instances only change when told."""

    prefix: str
    instances: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    trouble: list[Answer | str] = field(default_factory=list)
    url: str = ""

    @abstractmethod
    def answer(self, request: Request) -> Answer: ...

    @abstractmethod
    def unauthorized(self) -> Answer: ...

    def said(self) -> list[str]:
        """The requests so far, without their bodies."""
        return [f"{request.method} {request.path}" for request in self.requests]


def known(given: dict[str, Any], names: set[str], where: str) -> None:
    if extra := set(given) - names:
        raise Wrong(f"{where}: unknown {sorted(extra)}")


def need(condition: bool, what: str) -> None:
    if not condition:
        raise Wrong(what)


# --- TensorDock --------------------------------------------------------------------------------------------


def location(identity: str, card: str, price: float, **limits: Any) -> dict[str, Any]:
    """One location with one kind of card, as on the page about locations."""
    most = {"max_vcpus": 32, "max_ram_gb": 128, "max_storage_gb": 2000, "dedicated": True, "max_count": 4, **limits}
    return {
        "id": identity,
        "city": "Austin",
        "stateprovince": "Texas",
        "country": "United States",
        "tier": 3,
        "gpus": [
            {
                "v0Name": card,
                "displayName": f"NVIDIA {card}",
                "max_count": most["max_count"],
                "price_per_hr": price,
                "resources": {name: most[name] for name in ("max_vcpus", "max_ram_gb", "max_storage_gb")},
                "pricing": {"per_vcpu_hr": 0.003, "per_gb_ram_hr": 0.002, "per_gb_storage_hr": 0.00005},
                "network_features": {
                    "dedicated_ip_available": most["dedicated"],
                    "port_forwarding_available": True,
                    "network_storage_available": False,
                },
            }
        ],
    }


@dataclass
class TensorDockApi(PublishedApi):
    prefix: str = "/api/v2"
    locations: list[dict[str, Any]] = field(
        default_factory=lambda: [location("loc-austin", "geforcertx4090-pcie-24gb", 0.5)]
    )

    def unauthorized(self) -> Answer:
        return Answer(401, {"error": "Unauthorized"})

    def answer(self, request: Request) -> Answer:
        match request.method, request.path.split("/")[1:]:
            case "GET", ["locations"]:
                return Answer(200, {"data": {"locations": self.locations}})
            case "POST", ["instances"]:
                return self._create(request.body)
            case "GET", ["instances", name] if name in self.instances:
                return Answer(200, self.instances[name])
            case "POST", ["instances", name, "start"] if name in self.instances:
                return self._change(name, "starting", "running")
            case "POST", ["instances", name, "stop"] if name in self.instances:
                return self._change(name, "stopping", "stopped")
        return Answer(404, {"error": "Instance not found"})

    def _change(self, name: str, now: str, soon: str) -> Answer:
        self.instances[name]["status"] = soon
        return Answer(200, {"data": {"type": "instance", "id": name, "attributes": {"status": now}}})

    def _create(self, body: Any) -> Answer:
        known(body, {"data"}, "body")
        known(body["data"], {"type", "attributes"}, "data")
        wanted = body["data"]["attributes"]
        names = {"name", "type", "image", "resources", "location_id", "useDedicatedIp", "ssh_key", "cloud_init"}
        known(wanted, names, "attributes")
        need(body["data"]["type"] == wanted["type"] == "virtualmachine", "type")
        need(str(wanted["ssh_key"]).startswith("ssh-"), "SSH key required")
        resources = wanted["resources"]
        known(resources, {"vcpu_count", "ram_gb", "storage_gb", "gpus"}, "resources")
        need(resources["storage_gb"] >= 100 and resources["storage_gb"] % 50 == 0, "storage: 100 or more, steps of 50")
        need(resources["vcpu_count"] % 2 == 0 and resources["ram_gb"] % 8 == 0, "steps of 2 vCPUs and 8 GB")
        place = next((place for place in self.locations if place["id"] == wanted["location_id"]), None)
        need(place is not None, "location")
        [(card, count)] = resources["gpus"].items()
        need(count == {"count": 1} and any(gpu["v0Name"] == card for gpu in (place or {})["gpus"]), "gpus")
        name = f"550e8400-e29b-41d4-a716-{len(self.instances):012d}"
        self.instances[name] = {
            "type": "instance",
            "id": name,
            "name": wanted["name"],
            "status": "running",
            "ipAddress": "203.0.113.7",
            "portForwards": [],
            "rateHourly": 0.61,
        }
        created = {"type": "virtualmachine", "id": name, "name": wanted["name"], "status": "running"}
        return Answer(200, {"data": created})


# --- Vast.ai -----------------------------------------------------------------------------------------------

FILTERS = {
    *("verified", "rentable", "rented", "gpu_name", "num_gpus", "direct_port_count", "reliability"),
    *("cuda_max_good", "disk_space", "dph_total", "gpu_ram"),
}
OPERATORS = {"eq": lambda a, b: a == b, "gte": lambda a, b: a >= b, "lte": lambda a, b: a <= b}
CREATION = {
    *("image", "template_hash_id", "label", "disk", "runtype", "target_state", "price", "env", "cancel_unavail", "vm"),
    *("onstart", "args", "args_str", "use_jupyter_lab", "jupyter_dir", "python_utf8", "lang_utf8", "force", "user"),
    *("image_login", "volume_info"),
}


def ask(identity: int, price: float, **other: Any) -> dict[str, Any]:
    """One offer, as on the page about the search."""
    return {
        "id": identity,
        "gpu_name": "RTX 4090",
        "num_gpus": 1,
        "dph_total": price,
        "cuda_max_good": 13.0,
        "disk_space": 512.5,
        "direct_port_count": 42,
        "verified": True,
        "rentable": True,
        "geolocation": "Porto, PT",
        **other,
    }


@dataclass
class VastApi(PublishedApi):
    prefix: str = "/api/v0"
    asks: list[dict[str, Any]] = field(default_factory=lambda: [ask(12345678, 0.41)])
    taken: set[int] = field(default_factory=set)
    """Offers that are still listed and already somebody's."""

    def unauthorized(self) -> Answer:
        return Answer(401, {"success": False, "error": "auth_error", "msg": "Invalid user key"})

    def answer(self, request: Request) -> Answer:
        need(request.path.endswith("/"), "no slash at the end")
        match request.method, request.path.strip("/").split("/"):
            case "POST", ["bundles"]:
                return self._search(request.body)
            case "PUT", ["asks", number]:
                return self._create(int(number), request.body)
            case "GET", ["instances", number]:
                return Answer(200, {"instances": self.instances.get(number)})
            case "PUT", ["instances", number] if number in self.instances:
                known(request.body, {"state", "label"}, "body")
                need(request.body["state"] in ("stopped", "running"), "state")
                self.instances[number]["actual_status"] = self.instances[number]["intended_status"] = request.body[
                    "state"
                ]
                return Answer(200, {"success": True})
        return Answer(404, {"success": False, "error": "no_such_instance", "msg": "Instance not found."})

    def _search(self, query: dict[str, Any]) -> Answer:
        known(query, FILTERS | {"order", "type", "limit"}, "query")
        need(query["type"] == "on-demand", "type")
        [[by, direction]] = query["order"]
        found = self.asks
        for name in FILTERS & set(query):
            [(operator, value)] = query[name].items()
            found = [offer for offer in found if OPERATORS[operator](offer[name], value)]
        found = sorted(found, key=lambda offer: offer[by], reverse=direction == "desc")
        return Answer(200, {"offers": found[: query["limit"]]})

    def _create(self, number: int, wanted: dict[str, Any]) -> Answer:
        known(wanted, CREATION, "body")
        need(wanted["runtype"] in ("ssh", "ssh_direct", "ssh_proxy"), "runtype")
        need(len(wanted["onstart"]) <= 4048, "onstart")
        if number in self.taken or all(offer["id"] != number for offer in self.asks):
            msg = f"error 410/3907: no_such_ask Instance type {number} is no longer available."
            return Answer(410, {"success": False, "error": "no_such_ask", "msg": msg, "ask_id": number})
        name = str(20_000_000 + len(self.instances))
        self.instances[name] = {
            "id": int(name),
            "actual_status": wanted["target_state"],
            "intended_status": wanted["target_state"],
            "ssh_host": "ssh5.vast.ai",
            "ssh_port": 12345,
            "dph_total": 0.41,
        }
        return Answer(200, {"success": True, "new_contract": int(name), "instance_api_key": INSTANCE_KEY})


# --- the server --------------------------------------------------------------------------------------------


@contextmanager
def open_to_all(api: PublishedApi) -> Iterator[PublishedApi]:
    """The API on a local port, as `api.url`, until the block is left."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
            path = self.path.removeprefix(api.prefix)
            request = Request(self.command, path, json.loads(content) if content else None, token)
            api.requests.append(request)
            trouble = api.trouble.pop(0) if api.trouble else None
            if trouble == HANG:
                time.sleep(1.5)
                return
            if trouble == DROP:
                self.connection.close()
                return
            self.send(trouble if isinstance(trouble, Answer) else self.normal(request))

        def normal(self, request: Request) -> Answer:
            if request.token != TOKEN:
                return api.unauthorized()
            try:
                return api.answer(request)
            except (Wrong, KeyError, TypeError) as error:
                return Answer(400, {"success": False, "error": "invalid_args", "msg": f"{error}"})

        def send(self, answer: Answer) -> None:
            content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = handle_any  # noqa: N815 - http.server's names

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    api.url = f"http://127.0.0.1:{server.server_address[1]}{api.prefix}"
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
