"""A local server that speaks the gRPC API of Modal's client, as far as a deployment goes, and keeps what it was asked.

The messages are those of `modal_proto`, which the package `modal` brings. Nothing is built or run.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any

from grpclib.server import Server, Stream
from modal_proto import api_pb2
from modal_proto.api_grpc import ModalClientBase

BUILDER = "2025.06"
WEB_URL = "https://someone--parle.modal.run"


def _token() -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": int(time.time()) + 3600}).encode()).rstrip(b"=").decode()
    return f"e30.{claims}.c2lnbmVk"


# Only its table of calls is wanted: each one's path, and the types of its messages.
_Calls: Any = type("_Calls", (ModalClientBase,), dict.fromkeys(ModalClientBase.__abstractmethods__))


class FakeModal:
    """Answers every call of the API: those that a deployment needs with what it needs, the others with nothing."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.metadata: list[dict[str, str]] = []
        self.images: dict[str, api_pb2.Image] = {}
        self.url = ""

    def all(self, call: str) -> list[Any]:
        """The requests of one call, in order."""
        return [request for name, request in self.asked if name == call]

    def recipe(self, image_id: str) -> list[str]:
        """An image's Dockerfile lines from its base up."""
        image = self.images[image_id]
        before = [line for base in image.base_images for line in self.recipe(base.image_id)]
        return [*before, *image.dockerfile_commands]

    def steps(self, image_id: str) -> list[api_pb2.Image]:
        """An image's layers from its base up."""
        image = self.images[image_id]
        return [*(step for base in image.base_images for step in self.steps(base.image_id)), image]

    def __mapping__(self) -> dict[str, Any]:
        return {
            path: call._replace(func=self._handler(path.rpartition("/")[2], call.reply_type))
            for path, call in _Calls().__mapping__().items()
        }

    def _handler(self, name: str, reply: type[Any]) -> Callable[[Stream[Any, Any]], Any]:
        async def handle(stream: Stream[Any, Any]) -> None:
            request = await stream.recv_message()
            self.asked.append((name, request))
            self.metadata.append({key: str(value) for key, value in (stream.metadata or {}).items()})
            answer: Callable[[Any], dict[str, Any]] | None = getattr(self, f"answer_{name}", None)
            await stream.send_message(reply(**(answer(request) if answer else {})))

        return handle

    def answer_AuthTokenGet(self, _: Any) -> dict[str, Any]:
        return {"token": _token()}

    def answer_EnvironmentGetOrCreate(self, _: Any) -> dict[str, Any]:
        settings = api_pb2.EnvironmentSettings(image_builder_version=BUILDER)
        return {"environment_id": "en-1", "metadata": api_pb2.EnvironmentMetadata(name="main", settings=settings)}

    def answer_AppCreate(self, _: Any) -> dict[str, Any]:
        return {"app_id": "ap-1", "app_page_url": "https://modal.com/apps/ap-1"}

    def answer_MountPutFile(self, _: Any) -> dict[str, Any]:
        return {"exists": True}

    def answer_MountGetOrCreate(self, request: Any) -> dict[str, Any]:
        return {"mount_id": f"mo-{len(self.all('MountGetOrCreate'))}"}

    def answer_VolumeGetOrCreate(self, request: Any) -> dict[str, Any]:
        return {"volume_id": f"vo-{request.deployment_name}"}

    def answer_SecretGetOrCreate(self, request: Any) -> dict[str, Any]:
        return {"secret_id": f"st-{'-'.join(request.env_dict)}"}

    def answer_ImageGetOrCreate(self, request: Any) -> dict[str, Any]:
        image_id = f"im-{len(self.images) + 1}"
        self.images[image_id] = request.image
        done = api_pb2.GenericResult(status=api_pb2.GenericResult.GENERIC_STATUS_SUCCESS)
        return {"image_id": image_id, "result": done}

    def answer_FunctionPrecreate(self, _: Any) -> dict[str, Any]:
        return {"function_id": "fu-1"}

    def answer_FunctionCreate(self, request: Any) -> dict[str, Any]:
        metadata = api_pb2.FunctionHandleMetadata(
            function_name=request.function.function_name,
            method_handle_metadata={
                name: api_pb2.FunctionHandleMetadata(function_name=method.function_name, web_url=WEB_URL)
                for name, method in request.function.method_definitions.items()
            },
        )
        ranked = api_pb2.FunctionData.RankedFunction(rank=0, function=request.function)
        return {
            "function_id": "fu-1",
            "handle_metadata": metadata,
            "function_data": api_pb2.FunctionData(ranked_functions=[ranked]),
        }

    def answer_ClassCreate(self, request: Any) -> dict[str, Any]:
        return {"class_id": "cs-1"}

    def answer_AppPublish(self, _: Any) -> dict[str, Any]:
        return {"url": "https://modal.com/apps/ap-1", "deployed_at": time.time()}


@contextmanager
def fake_modal() -> Generator[FakeModal]:
    """The server, while the block runs."""
    fake = FakeModal()
    loop = asyncio.new_event_loop()
    listening = threading.Event()

    async def serve() -> None:
        server = Server([fake])
        listener = socket.create_server(("127.0.0.1", 0))
        await server.start(sock=listener)
        fake.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        listening.set()
        try:
            await asyncio.Event().wait()
        finally:
            server.close()

    def run() -> None:
        task = loop.create_task(serve())
        tasks.append(task)
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(task)

    tasks: list[asyncio.Task[None]] = []
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert listening.wait(30)
    yield fake
    loop.call_soon_threadsafe(tasks[0].cancel)
    thread.join(30)
    loop.close()
