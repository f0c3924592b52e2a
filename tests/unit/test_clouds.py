"""Rented machines, against local servers that follow the providers' published APIs."""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support.paths import ROOT
from support.providers import (
    DROP,
    HANG,
    INSTANCE_KEY,
    SSH_KEY,
    TOKEN,
    Answer,
    PublishedApi,
    TensorDockApi,
    VastApi,
    ask,
    location,
    open_to_all,
)

from serve_app.cli.cloud import NAMES
from serve_app.clouds import machines
from serve_app.clouds import tensordock as tensordock_api
from serve_app.clouds import vast as vast_api
from serve_app.clouds.api import Api, Call, Refused, Retries, retry_after
from serve_app.clouds.machines import Machines, Taken, connect, instance_id, planned
from serve_app.clouds.provider import Wanted, public_key
from serve_app.errors import CloudError

DEPLOY = ROOT / "deploy"
WANTED = Wanted("RTX 4090", "parle", 100, ssh_key=SSH_KEY)
UUID = "550e8400-e29b-41d4-a716-000000000000"
TOKEN_NAMES = {"tensordock": "TENSORDOCK_API_TOKEN", "vast": "VAST_API_KEY"}
IDS = {"tensordock": UUID, "vast": "20000000"}


class Account:
    """One provider's API and a client of it; `waits` are the pauses it made, which take no time here."""

    def __init__(self, name: str, api: PublishedApi) -> None:
        self.name = name
        self.api = api
        self.waits: list[float] = []

    def machines(self, token: str = TOKEN, **retries: Any) -> Machines:
        environment = {TOKEN_NAMES[self.name]: token, machines.URL: self.api.url}
        return connect(self.name, environment, retries=Retries(**retries), sleep=self.waits.append)

    def rented(self) -> tuple[Machines, str]:
        """A client and an instance it has."""
        found = self.machines()
        new = found.create(WANTED, found.offers(WANTED)[0])
        self.api.requests.clear()
        return found, new


@pytest.fixture
def tensordock() -> Iterator[TensorDockApi]:
    with open_to_all(TensorDockApi()) as api:
        assert isinstance(api, TensorDockApi)
        yield api


@pytest.fixture
def vast() -> Iterator[VastApi]:
    with open_to_all(VastApi()) as api:
        assert isinstance(api, VastApi)
        yield api


@pytest.fixture(params=NAMES)
def account(request: pytest.FixtureRequest) -> Account:
    return Account(request.param, request.getfixturevalue(request.param))


# --- what is asked -----------------------------------------------------------------------------------------


def test_every_provider_has_a_name_on_the_command_line() -> None:
    assert set(NAMES) == set(machines.PROVIDERS) == set(TOKEN_NAMES)


def test_the_life_of_an_instance(account: Account) -> None:
    rented = account.machines()
    new = rented.create(WANTED, rented.offers(WANTED)[0])
    seen = rented.status(new)
    assert (seen.id, seen.status, seen.running) == (new, "running", True)
    rented.stop(new)
    assert (rented.status(new).status, rented.status(new).running) == ("stopped", False)
    rented.stop(new)  # once more does no harm: a stop is repeated when its answer is lost
    rented.start(new)
    assert rented.status(new).running
    assert {request.token for request in account.api.requests} == {TOKEN}
    assert account.waits == []


def test_tensordock_gets_the_fields_of_its_pages(tensordock: TensorDockApi) -> None:
    account = Account("tensordock", tensordock)
    rented = account.machines()
    new = rented.create(WANTED, rented.offers(WANTED)[0])
    rented.stop(new)
    rented.start(new)
    rented.status(new)
    assert tensordock.said() == [
        "GET /locations",
        "POST /instances",
        f"POST /instances/{UUID}/stop",
        f"POST /instances/{UUID}/start",
        f"GET /instances/{UUID}",
    ]
    assert tensordock.requests[1].body == {
        "data": {
            "type": "virtualmachine",
            "attributes": {
                "name": "parle",
                "type": "virtualmachine",
                "image": "ubuntu2404",
                "resources": {
                    "vcpu_count": 8,
                    "ram_gb": 32,
                    "storage_gb": 100,
                    "gpus": {"geforcertx4090-pcie-24gb": {"count": 1}},
                },
                "location_id": "loc-austin",
                "useDedicatedIp": True,
                "ssh_key": SSH_KEY,
            },
        }
    }


def test_vast_gets_the_fields_of_its_pages(vast: VastApi) -> None:
    rented, new = Account("vast", vast).rented()
    rented.stop(new)
    rented.start(new)
    rented.status(new)
    assert [(said, request.body) for said, request in zip(vast.said(), vast.requests, strict=True)] == [
        ("PUT /instances/20000000/", {"state": "stopped"}),
        ("PUT /instances/20000000/", {"state": "running"}),
        ("GET /instances/20000000/", None),
    ]


def test_a_plan_is_what_is_really_sent(account: Account) -> None:
    rented = account.machines()
    provider = rented.provider
    new = rented.create(WANTED, rented.offers(WANTED)[0])
    rented.stop(new)
    plan = [*planned(provider, "create", WANTED, ""), *planned(provider, "stop", None, new)]
    place = {"<cheapest>": {"tensordock": "loc-austin", "vast": "12345678"}[account.name]}
    card = {"<RTX 4090>": "geforcertx4090-pcie-24gb"}
    for call, request in zip(plan, account.api.requests, strict=True):
        assert filled([call.method, call.path, call.body], place | card) == [
            request.method,
            request.path,
            request.body,
        ]


def filled(value: Any, answers: dict[str, str]) -> Any:
    """A plan with what the provider's answers told."""
    if isinstance(value, dict):
        return {answers.get(name, name): filled(item, answers) for name, item in value.items()}
    if isinstance(value, list):
        return [filled(item, answers) for item in value]
    if isinstance(value, str):
        for placeholder, answer in answers.items():
            value = value.replace(placeholder, answer)
    return value


def test_tensordock_rents_the_cheapest_location_that_fits(tensordock: TensorDockApi) -> None:
    card = "geforcertx4090-pcie-24gb"
    tensordock.locations = [
        location("dear", card, 0.90),
        location("right", card, 0.45),
        location("other-card", "geforcertx3090-pcie-24gb", 0.20),
        location("too-little-memory", card, 0.10, max_ram_gb=16),
        location("too-small", card, 0.10, max_storage_gb=50),
        location("no-address", card, 0.10, dedicated=False),
        location("none-left", card, 0.10, max_count=0),
    ]
    rented = Account("tensordock", tensordock).machines()
    offers = rented.offers(WANTED)
    assert [offer.id for offer in offers] == ["right", "dear"]
    assert offers[0].price == pytest.approx(0.45 + 8 * 0.003 + 32 * 0.002 + 100 * 0.00005)
    with pytest.raises(CloudError, match=r"no RTX 4090 with 100 GB of disk for at most \$0.4 an hour"):
        rented.offers(Wanted("RTX 4090", "parle", 100, max_price=0.4))


def test_a_3090_ti_is_no_3090(tensordock: TensorDockApi) -> None:
    tensordock.locations = [
        location("ti", "geforcertx3090ti-pcie-24gb", 0.1),
        location("plain", "geforcertx3090-pcie-24gb", 0.2),
    ]
    offers = Account("tensordock", tensordock).machines().offers(Wanted("RTX 3090", "parle", 100))
    assert [offer.gpu for offer in offers] == ["geforcertx3090-pcie-24gb"]


@pytest.mark.parametrize(("asked", "given"), [(40, 100), (100, 100), (101, 150), (420, 450)])
def test_tensordock_has_disks_in_steps(tensordock: TensorDockApi, asked: int, given: int) -> None:
    rented = Account("tensordock", tensordock).machines()
    wanted = Wanted("RTX 4090", "parle", asked, ssh_key=SSH_KEY)
    rented.create(wanted, rented.offers(wanted)[0])
    assert tensordock.requests[-1].body["data"]["attributes"]["resources"]["storage_gb"] == given


def test_vast_offers_only_what_can_run_the_stack(vast: VastApi) -> None:
    vast.asks = [
        ask(1, 0.60),
        ask(2, 0.40),
        ask(3, 0.10, cuda_max_good=12.8),
        ask(4, 0.10, disk_space=60.0),
        ask(5, 0.10, direct_port_count=0),
        ask(6, 0.10, gpu_name="RTX 3090"),
        ask(7, 0.10, num_gpus=2),
        ask(8, 0.10, verified=False),
    ]
    rented = Account("vast", vast).machines()
    assert [offer.id for offer in rented.offers(WANTED)] == ["2", "1"]
    assert [offer.id for offer in rented.offers(Wanted("RTX 4090", "parle", 100, max_price=0.5))] == ["2"]


def test_an_offer_that_was_just_taken_is_told_from_a_refusal(vast: VastApi) -> None:
    vast.taken = {12345678}
    rented = Account("vast", vast).machines()
    [offer] = rented.offers(WANTED)
    with pytest.raises(Taken, match=r"somebody else has just taken it from Vast\.ai"):
        rented.create(WANTED, offer)
    vast.trouble = [Answer(400, {"success": False, "error": "invalid_args", "msg": "Invalid args"})]
    with pytest.raises(Refused, match="Invalid args"):
        rented.create(WANTED, offer)


@pytest.mark.parametrize(
    "answer",
    [
        {"type": "instance", "id": UUID, "name": "parle", "status": "running", "ipAddress": "203.0.113.7"},
        {"data": {"id": UUID, "name": "parle", "status": "Running", "ipAddress": "203.0.113.7"}},
        {"data": {"type": "VM", "id": UUID, "attributes": {"status": "running", "ipAddress": "203.0.113.7"}}},
    ],
    ids=["bare", "data", "attributes"],
)
def test_tensordock_instances_come_in_three_envelopes(tensordock: TensorDockApi, answer: dict[str, Any]) -> None:
    tensordock.instances[UUID] = answer
    seen = Account("tensordock", tensordock).machines().status(UUID)
    assert (seen.running, seen.ssh) == (True, "ssh -p 22 user@203.0.113.7")


def test_tensordock_tells_a_forwarded_ssh_port(tensordock: TensorDockApi) -> None:
    forward = {"internal_port": 22, "external_port": 20022}
    tensordock.instances[UUID] = {"status": "running", "ipAddress": "203.0.113.7", "portForwards": [forward]}
    seen = Account("tensordock", tensordock).machines().status(UUID)
    assert seen.ssh == "ssh -p 20022 user@203.0.113.7"


@pytest.mark.parametrize("status", ["stopped", "Stopped", "StoppedDisassociated", "starting", "deleting", "error"])
def test_a_tensordock_machine_runs_only_when_it_says_so(tensordock: TensorDockApi, status: str) -> None:
    tensordock.instances[UUID] = {"status": status}
    assert not Account("tensordock", tensordock).machines().status(UUID).running


@pytest.mark.parametrize(
    ("actual", "intended", "running", "told"),
    [
        (None, "running", False, "being provisioned, to be running"),
        ("loading", "running", False, "loading, to be running"),
        ("running", "running", True, "running"),
        ("running", "stopped", False, "running, to be stopped"),
        ("exited", "stopped", False, "exited, to be stopped"),
        ("offline", None, False, "offline"),
    ],
)
def test_a_vast_machine_runs_when_it_does_and_shall(
    vast: VastApi, actual: str | None, intended: str | None, running: bool, told: str
) -> None:
    vast.instances["7"] = {"actual_status": actual, "intended_status": intended}
    seen = Account("vast", vast).machines().status("7")
    assert (seen.running, seen.status) == (running, told)


def test_vast_says_null_of_an_instance_that_is_not(vast: VastApi) -> None:
    with pytest.raises(CloudError, match=r"Vast.ai has no instance 7\."):
        Account("vast", vast).machines().status("7")


# --- what goes wrong ---------------------------------------------------------------------------------------


def test_a_wrong_token_is_refused_once_and_named_but_not_shown(account: Account) -> None:
    wrong = "tok-of-somebody-else"
    with pytest.raises(Refused) as refusal:
        account.machines(wrong).stop(IDS[account.name])
    assert refusal.value.http_status == 401
    assert f"is {TOKEN_NAMES[account.name]} right?" in refusal.value.message
    assert wrong not in refusal.value.message
    assert len(account.api.requests) == 1


def test_a_token_that_the_provider_quotes_is_not_shown(account: Account) -> None:
    account.api.trouble = [Answer(401, {"msg": f"no such key: {TOKEN}"})]
    with pytest.raises(Refused, match=r"no such key: \*\*\*"):
        account.machines().status(IDS[account.name])


def test_an_instance_that_is_not_there_is_a_refusal(account: Account) -> None:
    with pytest.raises(Refused, match=r"HTTP 404: Instance not found"):
        account.machines().stop(IDS[account.name])
    assert account.waits == []


def test_a_rate_limit_is_waited_for_as_long_as_the_provider_says(account: Account) -> None:
    rented, new = account.rented()
    account.api.trouble = [
        Answer(429, b"API requests too frequent", {"Retry-After": "7"}),
        Answer(429, {"detail": "API requests too frequent endpoint threshold=1.0"}),
    ]
    rented.stop(new)
    assert len(account.api.requests) == 3
    assert account.waits[0] == 7.0
    assert 1.0 <= account.waits[1] <= 2.0
    assert not rented.status(new).running


def test_a_rate_limit_holds_for_renting_too_since_nothing_was_rented(account: Account) -> None:
    rented = account.machines()
    [offer] = rented.offers(WANTED)
    account.api.trouble = [Answer(429, b"API requests too frequent")]
    rented.create(WANTED, offer)
    assert len(account.api.instances) == 1


def test_a_wait_of_hours_ends_the_trying_and_is_told(account: Account) -> None:
    account.api.trouble = [Answer(429, {"error": "search_quota_exceeded"}, {"Retry-After": "7200"})]
    with pytest.raises(CloudError, match=r"asks to wait 7200 s; try again then\."):
        account.machines().offers(WANTED)
    assert (len(account.api.requests), account.waits) == (1, [])


def test_pauses_double_and_differ_until_it_gives_up(account: Account) -> None:
    account.api.trouble = [Answer(503, b"<html>upstream</html>")] * 5
    with pytest.raises(CloudError, match=r"failed at .* \(HTTP 503\); gave up after 5 attempts") as failure:
        account.machines().stop(IDS[account.name])
    assert "<html>" not in failure.value.message
    assert len(account.api.requests) == 5
    for wait, most in zip(account.waits, (1, 2, 4, 8), strict=True):
        assert most / 2 <= wait <= most


def test_a_pause_has_a_longest() -> None:
    api = Api("X", "http://127.0.0.1:1", "t", "T", retries=Retries(attempts=9, longest_wait_s=5))
    assert all(api._wait_s(attempt, None) <= 5 for attempt in range(1, 9))


@pytest.mark.parametrize("trouble", [Answer(500, {"msg": "oops"}), Answer(200, b"{broken"), HANG, DROP])
def test_a_stop_is_repeated_when_its_answer_is_lost(account: Account, trouble: Answer | str) -> None:
    rented = account.machines(timeout_s=0.4)
    account.rented()
    account.api.trouble = [trouble, trouble]
    rented.stop(IDS[account.name])
    assert len(account.api.requests) == 3
    assert not rented.status(IDS[account.name]).running


@pytest.mark.parametrize("trouble", [Answer(500, {"msg": "oops"}), Answer(200, b"{broken"), HANG, DROP])
def test_renting_is_never_repeated_when_its_answer_is_lost(account: Account, trouble: Answer | str) -> None:
    rented = account.machines(timeout_s=0.4)
    [offer] = rented.offers(WANTED)
    account.api.trouble = [trouble]
    with pytest.raises(CloudError, match="may have done so all the same: look at its console"):
        rented.create(WANTED, offer)
    assert len(account.api.requests) == 2
    assert account.waits == []


def test_a_provider_that_is_not_there_is_tried_again_even_for_renting(account: Account) -> None:
    rented = account.machines()
    [offer] = rented.offers(WANTED)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        account.api.url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        elsewhere = account.machines()
    with pytest.raises(CloudError, match=r"cannot be reached at http://127.0.0.1:\d+ .* gave up after 5 attempts"):
        elsewhere.create(WANTED, offer)
    assert len(account.waits) == 4


@pytest.mark.parametrize(
    "body",
    [
        {"success": False, "error": "invalid_args", "msg": "Instance is in a strange state."},
        {"error": "Instance is in a strange state.", "status": 400},
    ],
)
def test_a_refusal_that_comes_as_http_200_is_one(account: Account, body: dict[str, Any]) -> None:
    rented, new = account.rented()
    account.api.trouble = [Answer(200, body)]
    with pytest.raises(Refused, match=r"Instance is in a strange state\."):
        rented.stop(new)


@pytest.mark.parametrize("body", [[], "stopped", None])
def test_json_that_is_no_object_is_no_answer(account: Account, body: Any) -> None:
    account.api.trouble = [Answer(200, body)] * 5
    with pytest.raises(CloudError, match="something else than a JSON object"):
        account.machines().status(IDS[account.name])


def test_a_stop_that_is_answered_with_nothing_is_done(account: Account) -> None:
    account.api.trouble = [Answer(200, b"")]
    account.machines().stop(IDS[account.name])


def test_an_answer_in_another_form_names_the_field_and_not_what_is_in_it(account: Account) -> None:
    body = {
        "tensordock": {"data": {"id": {"secret": INSTANCE_KEY}}},
        "vast": {"success": True, "new_contract": INSTANCE_KEY},
    }
    rented = account.machines()
    [offer] = rented.offers(WANTED)
    account.api.trouble = [Answer(200, body[account.name])]
    with pytest.raises(CloudError, match=r"in another form than its API pages say: (id|new_contract): ") as failure:
        rented.create(WANTED, offer)
    assert INSTANCE_KEY not in failure.value.message


def test_a_redirect_is_not_followed_with_the_token(account: Account) -> None:
    with open_to_all(VastApi()) as elsewhere:
        account.api.trouble = [Answer(307, {}, {"Location": f"{elsewhere.url}/instances/7/"})]
        with pytest.raises(Refused, match="HTTP 307"):
            account.machines().status(IDS[account.name])
        assert elsewhere.requests == []


def test_no_token_is_logged_whatever_happens(
    account: Account, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    rented, new = account.rented()
    account.api.trouble = [DROP, Answer(500, {"msg": TOKEN}), Answer(429, b"slow"), Answer(401, {"msg": TOKEN})]
    with pytest.raises(Refused) as refusal:
        rented.stop(new)
    printed = capfd.readouterr()
    everything = "\n".join(
        [*(record.getMessage() for record in caplog.records), *printed, repr(refusal.value), repr(rented)]
    )
    assert "http://127.0.0.1" in everything  # something was logged
    for secret in (TOKEN, INSTANCE_KEY):
        assert secret not in everything


# --- what is written ---------------------------------------------------------------------------------------


def test_the_example_of_an_environment_names_every_variable_and_holds_no_value() -> None:
    lines = [line for line in (DEPLOY / ".env.example").read_text("utf-8").splitlines() if line and line[0] != "#"]
    assert all(re.fullmatch(r"[A-Z_]+=", line) for line in lines)
    ours = {
        name for provider in machines.PROVIDERS.values() for name in (*provider.token_names, *provider.instance_names)
    }
    given_inside = {"CONTAINER_API_KEY", "CONTAINER_ID"}
    assert ours - given_inside <= {line.removesuffix("=") for line in lines}


@pytest.mark.parametrize(("name", "module"), [("tensordock", tensordock_api), ("vast", vast_api)])
def test_the_readme_and_the_code_name_the_same_pages(name: str, module: ModuleType) -> None:
    readme = (DEPLOY / name / "README.md").read_text("utf-8")
    pages = re.findall(r"https://\S+", module.__doc__ or "")
    assert len(pages) >= 4
    assert [page for page in pages if page not in readme] == []


# --- what is given -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_without_a_token_nothing_is_asked_and_the_variable_is_named(name: str) -> None:
    for environment in ({}, {TOKEN_NAMES[name]: "  "}):
        with pytest.raises(CloudError, match=f"{TOKEN_NAMES[name]} is not set"):
            connect(name, environment)


@pytest.mark.parametrize("token", ["two words", "tok\nen", "tök", "tok\x00en"])
def test_a_token_that_no_header_carries_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(CloudError) as refusal:
        connect("vast", {"VAST_API_KEY": token})
    assert "VAST_API_KEY holds a space, a line break" in refusal.value.message
    assert token not in refusal.value.message


def test_the_line_break_of_a_file_is_no_part_of_the_token(account: Account) -> None:
    account.machines(f"{TOKEN}\n").offers(WANTED)
    assert account.api.requests[0].token == TOKEN


def test_inside_a_vast_instance_its_own_variables_do(vast: VastApi) -> None:
    environment = {"CONTAINER_API_KEY": TOKEN, "CONTAINER_ID": "20000000", machines.URL: vast.url}
    Account("vast", vast).rented()
    connect("vast", environment).stop(instance_id("vast", None, environment))
    assert vast.said() == ["PUT /instances/20000000/"]
    assert instance_id("vast", None, environment | {"VAST_INSTANCE_ID": "9"}) == "9"
    assert instance_id("vast", "8", environment) == "8"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("wrong", ["../../users", "12/../13", "a b", "12?x=1", "é", "-1", "x" * 200])
def test_an_instance_id_that_could_lead_elsewhere_is_refused(name: str, wrong: str) -> None:
    with pytest.raises(CloudError, match="instance"):
        instance_id(name, wrong, {})


@pytest.mark.parametrize("name", NAMES)
def test_no_instance_is_asked_for_by_name(name: str) -> None:
    with pytest.raises(CloudError, match=f"Set {machines.PROVIDERS[name].instance_names[0]}, or give --instance"):
        instance_id(name, None, {})


@pytest.mark.parametrize(
    "url", ["http://console.vast.ai/api/v0", "ftp://x", "console.vast.ai", "http://127.0.0.1.evil"]
)
def test_a_token_does_not_travel_in_the_clear(url: str) -> None:
    with pytest.raises(CloudError, match="https:// is needed"):
        connect("vast", {"VAST_API_KEY": TOKEN, machines.URL: url})


def test_retry_after_has_two_forms() -> None:
    assert retry_after({"Retry-After": "12"}) == 12.0
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert retry_after({"Retry-After": soon}) == pytest.approx(30, abs=2)
    assert retry_after({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0
    for nothing in ({}, {"Retry-After": "soon"}, {"Retry-After": "-5"}):
        assert retry_after(nothing) is None


def test_only_a_public_key_leaves_this_machine(tmp_path: Path) -> None:
    file = tmp_path / "id_ed25519.pub"
    file.write_text(f"{SSH_KEY}\n")
    assert public_key(file) == SSH_KEY
    file.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA\n-----END OPENSSH PRIVATE KEY-----\n")
    with pytest.raises(CloudError, match=r"is a private key, .* name the \.pub file"):
        public_key(file)
    file.write_text("hello")
    with pytest.raises(CloudError, match="is not one public SSH key"):
        public_key(file)
    with pytest.raises(CloudError, match="ssh-keygen"):
        public_key(tmp_path / "none.pub")


def test_a_call_reads_as_what_it_does() -> None:
    assert str(Call("PUT", "/instances/7/", {"state": "stopped"})) == "PUT /instances/7/"
