"""Our own Pygments style: few colours, all of middle brightness, so that it reads on dark and on light."""

from __future__ import annotations

from pygments.style import Style

from addrspace_gdb.views.kit import tokens


class QuietStyle(Style):
    """Names bold, frames and asides grey. Every colour is one of the 256 of xterm's palette, exactly."""

    name = "quiet"
    styles = {  # noqa: RUF012  as pygments has it
        tokens.NAME: "bold",
        tokens.QUIET: "#808080",
        tokens.BOX: "#808080",
        tokens.ADDRESS: "#0087af",
        tokens.SIZE: "",
        tokens.GROWTH: "#5f8700",
        tokens.MARK: "bold #af5f00",
        tokens.HEADING: "bold",
        tokens.GOOD: "#5f8700",
        tokens.PROBLEM: "#d70000",
    }
