"""One file per library that runs a model; nothing else in the project imports that library."""

from __future__ import annotations

import os

# GNU OpenMP reads this when an engine's library is loaded. Its threads wait for each other by spinning otherwise: as
# soon as anything else ran on the same two cores, reading a prompt took 5 to 15 times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
