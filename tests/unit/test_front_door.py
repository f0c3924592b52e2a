"""A proxy that dies and comes back is told in the terminal."""

from __future__ import annotations

from support.servers import free_port
from support.site_without_ray import Site

from serve_app.launch.front_door import BACK, GONE, FrontDoor


def test_a_proxy_that_dies_and_comes_back_is_told_once_each() -> None:
    port, said = free_port(), list[str]()
    door = FrontDoor(f"http://127.0.0.1:{port}", said.append)
    for expected in ([GONE], [GONE, BACK], [GONE, BACK, GONE]):
        site = Site(port=port) if expected[-1] == BACK else None
        for _ in range(2):
            door.look()
        assert said == expected
        if site is not None:
            site.end()
