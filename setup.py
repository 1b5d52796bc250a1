"""The native half of the packet pump; everything else is said in pyproject.toml."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "throughway.net._segments",
            ["src/throughway/net/_segments.c"],
            extra_compile_args=["-O3"],  # vectorises the checksums
            optional=True,  # without a compiler the same is done in Python
        )
    ]
)
