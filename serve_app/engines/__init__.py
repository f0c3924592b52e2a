"""The engines: one file for each library that runs a model. Nothing else in the project imports that library."""

from __future__ import annotations

import os

# GNU OpenMP reads this when an engine's library is loaded. By default its threads spin while they wait for each
# other: with any other load on the same two cores, reading a prompt then took 5 to 15 times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
