"""TensorDock, API v2: virtual machines with a card.

Written from TensorDock's own pages, as they were in 2026:
  https://dashboard.tensordock.com/api/docs/getting-started      address, bearer token, 100 requests a minute
  https://dashboard.tensordock.com/api/docs/fetch-hostnodes      GET /locations
  https://dashboard.tensordock.com/api/docs/instance-creation    POST /instances
  https://dashboard.tensordock.com/api/docs/instance-management  GET /instances/{id}, POST .../start, POST .../stop

Not on those pages, and marked where it is used: the form of an error, all values of `status`, the
user name to log in with, and the name of the RTX 3090 (that of the RTX 4090 is). Not tried with a real account.
"""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel

from serve_app.clouds.api import Call, read
from serve_app.clouds.provider import Instance, Offer, Wanted
from serve_app.errors import CloudError

IMAGE = "ubuntu2404"
VCPUS = 8
RAM_GB = 32
SMALLEST_DISK_GB = 100
DISK_STEP_GB = 50
"""From the requirements on the page about instance management."""
SSH_USER = "user"
"""Not on the API's pages: what clients of TensorDock log in with; the dashboard shows it."""
RUNNING = "running"
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


class _Resources(BaseModel):
    max_vcpus: int = 0
    max_ram_gb: int = 0
    max_storage_gb: int = 0


class _Pricing(BaseModel):
    per_vcpu_hr: float
    per_gb_ram_hr: float
    per_gb_storage_hr: float


class _Network(BaseModel):
    dedicated_ip_available: bool = False


class _Gpu(BaseModel):
    v0Name: str  # noqa: N815 - the API's name
    max_count: int
    price_per_hr: float
    resources: _Resources
    pricing: _Pricing
    network_features: _Network = _Network()


class _Location(BaseModel):
    id: str
    city: str = "?"
    country: str = "?"
    gpus: list[_Gpu] = []


class _Locations(BaseModel):
    locations: list[_Location]


class _LocationsAnswer(BaseModel):
    data: _Locations


class _PortForward(BaseModel):
    internal_port: int
    external_port: int


class _Instance(BaseModel):
    id: str
    status: str
    ipAddress: str | None = None  # noqa: N815 - the API's name
    portForwards: list[_PortForward] | None = None  # noqa: N815 - the API's name
    rateHourly: float | None = None  # noqa: N815 - not on the page; other clients read it


class _Created(BaseModel):
    id: str


class TensorDock:
    """TensorDock's API; see `serve_app.clouds.provider.Provider`."""

    name = "TensorDock"
    url = "https://dashboard.tensordock.com/api/v2"
    token_names: tuple[str, ...] = ("TENSORDOCK_API_TOKEN",)
    instance_names: tuple[str, ...] = ("TENSORDOCK_INSTANCE_ID",)
    needs_ssh_key = True

    def search(self, wanted: Wanted) -> Call:
        return Call("GET", "/locations")

    def offers(self, answer: dict[str, Any], wanted: Wanted) -> list[Offer]:
        locations = read(_LocationsAnswer, answer, self.name).data.locations
        found = [
            Offer(location.id, gpu.v0Name, _price(gpu, wanted), f"{location.city}, {location.country}")
            for location in locations
            for gpu in location.gpus
            if _fits(gpu, wanted)
        ]
        return sorted(found, key=lambda offer: offer.price)

    def create(self, wanted: Wanted, offer: Offer) -> Call:
        attributes = {
            "name": wanted.name,
            "type": "virtualmachine",
            "image": wanted.image or IMAGE,
            "resources": {
                "vcpu_count": VCPUS,
                "ram_gb": RAM_GB,
                "storage_gb": _disk_gb(wanted),
                "gpus": {offer.gpu: {"count": 1}},
            },
            "location_id": offer.id,
            "useDedicatedIp": True,  # port forwards go with a chosen host, not with a location
            "ssh_key": wanted.ssh_key,
        }
        body = {"data": {"type": "virtualmachine", "attributes": attributes}}
        return Call("POST", "/instances", body, repeatable=False)

    def created(self, answer: dict[str, Any]) -> str:
        return read(_Created, _flat(answer), self.name).id

    def gone(self, http_status: int) -> bool:
        return False  # the pages do not say how a location that has just filled up answers

    def start(self, instance_id: str) -> Call:
        return Call("POST", f"/instances/{instance_id}/start")

    def stop(self, instance_id: str) -> Call:
        return Call("POST", f"/instances/{instance_id}/stop")

    def status(self, instance_id: str) -> Call:
        return Call("GET", f"/instances/{instance_id}")

    def instance(self, answer: dict[str, Any], instance_id: str) -> Instance:
        found = read(_Instance, {"id": instance_id, **_flat(answer)}, self.name)
        port = next((forward.external_port for forward in found.portForwards or () if forward.internal_port == 22), 22)
        ssh = f"ssh -p {port} {SSH_USER}@{found.ipAddress}" if found.ipAddress else None
        return Instance(instance_id, found.status, found.status.lower() == RUNNING, ssh, found.rateHourly)

    def check_id(self, instance_id: str) -> str:
        if not ID.fullmatch(instance_id):
            raise CloudError(f"'{instance_id}' is no TensorDock instance; the dashboard's address bar has its id.")
        return instance_id


def _fits(gpu: _Gpu, wanted: Wanted) -> bool:
    # "RTX 4090" is geforcertx4090-pcie-24gb; with the dash, "RTX 3090" does not match a 3090 Ti (rtx3090ti-...).
    card = wanted.gpu.lower().replace(" ", "") + "-"
    return (
        card in gpu.v0Name.lower()
        and gpu.max_count >= 1
        and gpu.resources.max_vcpus >= VCPUS
        and gpu.resources.max_ram_gb >= RAM_GB
        and gpu.resources.max_storage_gb >= _disk_gb(wanted)
        and gpu.network_features.dedicated_ip_available
        and (wanted.max_price is None or _price(gpu, wanted) <= wanted.max_price)
    )


def _price(gpu: _Gpu, wanted: Wanted) -> float:
    each = gpu.pricing
    parts = VCPUS * each.per_vcpu_hr + RAM_GB * each.per_gb_ram_hr + _disk_gb(wanted) * each.per_gb_storage_hr
    return gpu.price_per_hr + parts


def _disk_gb(wanted: Wanted) -> int:
    """The smallest disk of TensorDock's that is large enough."""
    steps = -(-wanted.disk_gb // DISK_STEP_GB)
    return max(SMALLEST_DISK_GB, steps * DISK_STEP_GB)


def _flat(answer: dict[str, Any]) -> dict[str, Any]:
    """An instance's fields: the pages show them at the top, under `data`, and under `data.attributes`."""
    data = answer.get("data", answer)
    if not isinstance(data, dict):
        return {}
    attributes = data.get("attributes")
    return {**data, **attributes} if isinstance(attributes, dict) else data
