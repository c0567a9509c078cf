from .api import create_app
from .running import run
from .settings import ServeSettings

__all__ = [
    "ServeSettings",
    "create_app",
    "run",
]
