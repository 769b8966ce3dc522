from playground.chromium import browser

__all__ = ["browser"]
