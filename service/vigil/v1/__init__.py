"""The generated messages and stubs of package vigil.v1. Made by ``make stubs`` from proto/."""
