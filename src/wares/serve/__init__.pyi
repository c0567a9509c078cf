from .api import create_app
from .running import run
from .settings import ServeOptions, ServeSettings

__all__ = [
    "ServeOptions",
    "ServeSettings",
    "create_app",
    "run",
]
