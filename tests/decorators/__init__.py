"""Tests of the decorators; a package, so that they share the providers' stand-ins."""
