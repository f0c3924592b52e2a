"""Vast.ai, REST API v0: Docker containers with a card, on other people's machines.

Written from Vast.ai's own pages and its OpenAPI file (github.com/vast-ai/docs), as they were in 2026:
  https://docs.vast.ai/api-reference/hello-world                 address, bearer key, the whole life of an instance
  https://docs.vast.ai/api-reference/search/search-offers        POST /bundles/
  https://docs.vast.ai/api-reference/instances/create-instance   PUT /asks/{id}/; 404 and 410: the offer is gone
  https://docs.vast.ai/api-reference/instances/manage-instance   PUT /instances/{id}/ with `state`
  https://docs.vast.ai/api-reference/instances/show-instance     GET /instances/{id}/
  https://docs.vast.ai/api-reference/rate-limits-and-errors      `success`, `error`, `msg`; 429 often as plain text
  https://docs.vast.ai/guides/instances/docker-environment       CONTAINER_ID, CONTAINER_API_KEY, /etc/environment
  https://docs.vast.ai/cli/reference/show-instance               what `actual_status` and `intended_status` can be

Not on those pages: VAST_INSTANCE_ID, which is Parle's own. Not tried with a real account.
"""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel

from serve_app.clouds.api import Call, Refused, read
from serve_app.clouds.provider import Instance, Offer, Wanted
from serve_app.errors import CloudError

IMAGE = "vastai/base-image:@vastai-automatic-tag"
"""The API's own default: Ubuntu with CUDA that matches the host's driver."""
ONSTART = "env | grep _ >> /etc/environment"
"""Makes CONTAINER_ID and CONTAINER_API_KEY visible to a login shell; from the page about the environment."""
CUDA = 13.0
"""CUDA version that the driver must support, which the GPU stacks are built with: 580 or newer."""
MOST_OFFERS = 5
RUNNING, STOPPED = "running", "stopped"
ID = re.compile(r"\d{1,18}")


class _Offer(BaseModel):
    id: int
    gpu_name: str
    dph_total: float
    geolocation: str | None = None


class _Offers(BaseModel):
    offers: list[_Offer]


class _Created(BaseModel):
    new_contract: int


class _Instance(BaseModel):
    actual_status: str | None = None
    intended_status: str | None = None
    ssh_host: str | None = None
    ssh_port: int | None = None
    dph_total: float | None = None


class _Shown(BaseModel):
    instances: _Instance | None
    """One instance, in spite of the plural; None where there is none with that id."""


class Vast:
    """Vast.ai's API; see `serve_app.clouds.provider.Provider`."""

    name = "Vast.ai"
    url = "https://console.vast.ai/api/v0"
    token_names: tuple[str, ...] = ("VAST_API_KEY", "CONTAINER_API_KEY")
    instance_names: tuple[str, ...] = ("VAST_INSTANCE_ID", "CONTAINER_ID")
    needs_ssh_key = False

    def search(self, wanted: Wanted) -> Call:
        query: dict[str, Any] = {
            "verified": {"eq": True},
            "rentable": {"eq": True},
            "gpu_name": {"eq": wanted.gpu},
            "num_gpus": {"eq": 1},
            "direct_port_count": {"gte": 1},
            "cuda_max_good": {"gte": CUDA},
            "disk_space": {"gte": wanted.disk_gb},
            "order": [["dph_total", "asc"]],
            "type": "on-demand",
            "limit": MOST_OFFERS,
        }
        if wanted.max_price is not None:
            query["dph_total"] = {"lte": wanted.max_price}
        return Call("POST", "/bundles/", query)

    def offers(self, answer: dict[str, Any], wanted: Wanted) -> list[Offer]:
        found = [
            Offer(str(offer.id), offer.gpu_name, offer.dph_total, offer.geolocation or "?")
            for offer in read(_Offers, answer, self.name).offers
        ]
        return sorted(found, key=lambda offer: offer.price)

    def create(self, wanted: Wanted, offer: Offer) -> Call:
        body = {
            "image": wanted.image or IMAGE,
            "disk": wanted.disk_gb,
            "runtype": "ssh_direct",
            "label": wanted.name,
            "target_state": RUNNING,
            "cancel_unavail": True,
            "onstart": ONSTART,
        }
        return Call("PUT", f"/asks/{offer.id}/", body, repeatable=False)

    def created(self, answer: dict[str, Any]) -> str:
        return str(read(_Created, answer, self.name).new_contract)

    def gone(self, http_status: int) -> bool:
        return http_status in (404, 410)

    def start(self, instance_id: str) -> Call:
        return Call("PUT", f"/instances/{instance_id}/", {"state": RUNNING})

    def stop(self, instance_id: str) -> Call:
        return Call("PUT", f"/instances/{instance_id}/", {"state": STOPPED})

    def status(self, instance_id: str) -> Call:
        return Call("GET", f"/instances/{instance_id}/")

    def instance(self, answer: dict[str, Any], instance_id: str) -> Instance:
        found = read(_Shown, answer, self.name).instances
        if found is None:
            raise Refused(f"{self.name} has no instance {instance_id}.", 404)
        status = found.actual_status or "being provisioned"
        wish = found.intended_status
        told = f"{status}, to be {wish}" if wish and wish != found.actual_status else status
        ssh = f"ssh -p {found.ssh_port} root@{found.ssh_host}" if found.ssh_host and found.ssh_port else None
        running = found.actual_status == RUNNING and wish != STOPPED
        return Instance(instance_id, told, running, ssh, found.dph_total)

    def check_id(self, instance_id: str) -> str:
        if not ID.fullmatch(instance_id):
            raise CloudError(f"'{instance_id}' is no Vast.ai instance; its id is a number.")
        return instance_id
