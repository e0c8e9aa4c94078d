"""Lets the tests import the examples' stand-in for a provider."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))
