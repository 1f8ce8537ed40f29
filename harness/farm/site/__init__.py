"""A static site about a lab, for any web server: boards, who has them, their health, nights, reports, history."""

from harness.farm.site.write import Site

__all__ = ["Site"]
