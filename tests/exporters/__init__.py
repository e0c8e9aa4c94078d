"""Tests of the exporters; a package, so that they share the endpoint that misbehaves."""
