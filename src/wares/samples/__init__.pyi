from .marketplace import Marketplace, write_marketplace
from .sheet import contact_sheet

__all__ = ["Marketplace", "contact_sheet", "write_marketplace"]
