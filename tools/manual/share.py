"""The manual pages and completions, in folders as below /usr/share."""

from __future__ import annotations

from pathlib import Path

from . import click_page, completion, console_page, server_page


def texts() -> dict[str, str]:
    """By the path of the file."""
    server, binlog = completion.SERVER, completion.BINLOG
    return {
        f"man/man1/{server}.1": server_page.page(),
        f"man/man1/{binlog}.1": click_page.page(),
        f"man/man1/{console_page.PROGRAM}.1": console_page.page(),
        f"bash-completion/completions/{server}": completion.bash(),
        f"bash-completion/completions/{binlog}": completion.binlog("bash"),
        f"zsh/site-functions/_{server}": completion.zsh(),
        f"zsh/site-functions/_{binlog}": completion.binlog("zsh"),
        f"fish/vendor_completions.d/{server}.fish": completion.fish(),
        f"fish/vendor_completions.d/{binlog}.fish": completion.binlog("fish"),
    }


def write(to: Path) -> None:
    for name, text in texts().items():
        path = to / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
