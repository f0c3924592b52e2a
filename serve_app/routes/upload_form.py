"""Reads a `multipart/form-data` body as RFC 7578 and RFC 2046 allow it to be written, not only as browsers do."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from serve_app.errors import BadAudio, InvalidField

AUDIO_FIELDS = ("audio", "file")
MEDIA_TYPE = b"multipart/form-data"
RECORDED = (b"audio/", b"video/", b"application/octet-stream")
"""How the media type of a recording begins; a field with another one is text unless it has a filename."""


async def read_form(request: Request, *, max_files: int, max_fields: int, field: str = "audio") -> FormData:
    """The parts in order: files, which the caller closes (`FormData.close`), and texts. `field` is the recording's.

    Raises:
        BadAudio: it is no form (code "no_audio"), or it cannot be read (code "bad_form").
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != MEDIA_TYPE:
        raise BadAudio(f"Send the recording as multipart/form-data, in the field '{field}'.", code="no_audio")
    body = _from_first_boundary(request.stream(), options.get(b"boundary", b""))
    try:
        return await _Parser(request.headers, body, max_files=max_files, max_fields=max_fields).parse()
    except MultiPartException as error:
        raise BadAudio(f"The form cannot be read: {error.message}", code="bad_form") from None


async def read_recording(request: Request) -> tuple[bytes, dict[str, Any]]:
    """The recording and the other fields; as `read_turn`.

    Raises:
        BadAudio: there is no recording.
    """
    recording, fields = await read_turn(request)
    if recording is None:
        raise BadAudio("There is no recording: send it in the field 'audio'.", code="no_audio")
    return recording, fields


async def read_turn(request: Request) -> tuple[bytes | None, dict[str, Any]]:
    """The recording, if there is one, and the other fields.

    Raises:
        BadAudio: the form cannot be read.
        TooLarge, TooSlow: as soon as too many bytes have come, or too few.
        InvalidField: a field was sent twice or as a file.
    """
    fields: dict[str, Any] = {}
    recording = None
    form = await read_form(request, max_files=2, max_fields=20)
    try:
        for name, value in form.multi_items():
            if name in AUDIO_FIELDS:
                if not isinstance(value, UploadFile):
                    raise BadAudio(
                        f"The field '{name}' must be a file, not text: give its part a filename or an audio/... type.",
                        code="no_audio",
                    )
                if recording is not None:
                    raise InvalidField("One recording at a time: the form has two.")
                recording = await value.read()
            elif isinstance(value, UploadFile) or name in fields:
                raise InvalidField(f"The field '{name}' must be sent once, as text.")
            else:
                fields[name] = value
    finally:
        await form.close()
    return recording, fields


def declared_length(request: Request) -> int | None:
    """The declared size of the body; the HTTP server has checked that it is a number."""
    declared = request.headers.get("content-length")
    return None if declared is None else int(declared)


class _Parser(MultiPartParser):
    """Takes a recording for a file, also without a filename, which RFC 7578 (4.2) makes optional."""

    def on_headers_finished(self) -> None:
        part = self._current_part
        kind, _ = parse_options_header(Headers(raw=part.item_headers).get("content-type", ""))
        disposition = part.content_disposition or b""
        if kind.startswith(RECORDED) and b"filename" not in parse_options_header(disposition)[1]:
            part.content_disposition = disposition + b'; filename="audio"'
        super().on_headers_finished()


async def _from_first_boundary(body: AsyncGenerator[bytes, None], boundary: bytes) -> AsyncGenerator[bytes, None]:
    """The body without the preamble, which python-multipart refuses: it is to be ignored (RFC 2046, 5.1.1)."""
    delimiter = b"\r\n--" + boundary
    held = b"\r\n"  # the first boundary may also be the very first line
    async for chunk in body:
        held += chunk
        start = held.find(delimiter)
        if start >= 0:
            yield held[start + 2 :]
            break
        held = held[1 - len(delimiter) :]
    else:
        raise MultiPartException("its boundary does not occur in it.")
    async for chunk in body:
        yield chunk
