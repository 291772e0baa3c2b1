#!/usr/bin/env python3
"""Records scripts/demo.sh on a pseudo-terminal, and writes it as an animated picture.

    scripts/record-demo.py                    builds, runs the demo, writes docs/images/demo.svg
    CONSORCIO_PROGRAMS=target/release scripts/record-demo.py     the same with built programs

The output is real, with the times at which it came; pauses are shortened, and each chapter waits
long enough to be read. Names of this machine's folders are replaced. Python's standard library is
all it needs.
"""

import os
import pty
import re
import struct
import subprocess
import sys
import termios
import fcntl
import time
from pathlib import Path
from xml.sax.saxutils import escape

COLUMNS, ROWS = 100, 28
FONT, ADVANCE, LINE, MARGIN = 13, 7.83, 18, 14
# Seconds: the longest real pause that is kept, the reading time before a chapter and of a line,
# the pause at the end, and what comes within so short a time that it is shown at once.
PAUSE_MAX, CHAPTER, PER_LINE, END, TOGETHER = 0.8, 1.8, 0.16, 6.0, 0.05

HERE = Path(__file__).resolve().parent.parent


def record(programs):
    """Runs the demo. Returns its output as pairs of seconds and text."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("CONSORCIO_")
    }
    environment |= {"CONSORCIO_PROGRAMS": programs, "TERM": "xterm-256color", "TMPDIR": "/tmp"}
    environment |= {"COLUMNS": str(COLUMNS)}
    if port := os.environ.get("CONSORCIO_PORT"):
        environment["CONSORCIO_PORT"] = port
    demo = subprocess.Popen(
        [HERE / "scripts/demo.sh"],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=environment,
        start_new_session=True,
    )
    os.close(follower)
    begin, pieces = time.monotonic(), []
    while True:
        try:
            read = os.read(leader, 65536)
        except OSError:  # Linux's word for: no program has the terminal open.
            break
        if not read:
            break
        pieces.append((time.monotonic() - begin, read))
    if demo.wait() != 0:
        sys.exit(f"scripts/demo.sh ended with exit code {demo.returncode}; run it by itself")
    return pieces


def lines(pieces):
    """The lines of the output, each with the time of its end."""
    rest, found = b"", []
    for at, read in pieces:
        *whole, rest = (rest + read).split(b"\n")
        found += [(at, line.decode("utf-8", "replace").rstrip("\r")) for line in whole]
    if rest:
        found.append((pieces[-1][0], rest.decode("utf-8", "replace")))
    return found


def without_paths(found, programs):
    """The lines without the folders of this machine."""
    home = re.compile(re.escape(str(Path(programs).resolve())))
    folder = re.compile(r"/tmp/consorcio-demo\.\w+")
    replaced = lambda line: folder.sub("~/demo", home.sub("$PWD/target/release", line))
    return [(at, replaced(line)) for at, line in found]


def spans(line):
    """The line as pairs of a class and a text, by its colour codes; other codes are dropped."""
    line = re.sub(r"\x1b\[[0-9;?]*[A-HJKSTfhlsu]|\x1b\][^\x07]*\x07", "", line)
    kind, found = "", []
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if code := re.fullmatch(r"\x1b\[([0-9;]*)m", part):
            codes = code[1].split(";")
            kinds = {"1": "b", "2": "d", "31": "r", "32": "g", "33": "y", "36": "c"}
            kind = next((kinds[code] for code in codes if code in kinds), "")
        elif part:
            found.append((kind, part))
    return found


def wrapped(found):
    """The rows of a line on a terminal of COLUMNS."""
    rows, room = [[]], COLUMNS
    for kind, text in found:
        while text:
            if room == 0:
                rows.append([])
                room = COLUMNS
            rows[-1].append((kind, text[:room]))
            text, room = text[room:], room - len(text[:room])
    return rows


def timed_rows(found):
    """All rows with the time at which each is shown, and the length of the recording."""
    shown, now, last = [], 0.5, 0.0
    for at, line in found:
        parts = spans(line)
        text = "".join(text for _, text in parts)
        now += min(max(at - last, 0.0), PAUSE_MAX)
        now += CHAPTER if text.startswith("== ") else PER_LINE if text else 0.0
        last = at
        shown += [(now, row) for row in wrapped(parts)]
    return shown, now + END


def frames(shown, length):
    """The keyframes: at which part of the time how many rows are on the screen."""
    steps = [(0.0, 0)]
    for number, (at, _) in enumerate(shown, 1):
        if at - steps[-1][0] <= TOGETHER and len(steps) > 1:
            steps[-1] = (steps[-1][0], number)
        else:
            steps.append((at, number))
    move = lambda rows: f"transform:translateY({(ROWS - rows) * LINE}px)"
    keyframes = [f"{100 * at / length:.2f}%{{{move(rows)}}}" for at, rows in steps]
    return "".join(keyframes) + f"to{{{move(len(shown))}}}"


def svg(shown, length):
    width, height = round(COLUMNS * ADVANCE) + 2 * MARGIN, ROWS * LINE + 2 * MARGIN
    rows = []
    for number, (_, row) in enumerate(shown):
        y = MARGIN + number * LINE + LINE - 5
        words = "".join(
            f'<tspan class="{kind}">{escape(text)}</tspan>' if kind else escape(text)
            for kind, text in row
        )
        if words:
            rows.append(f'<text x="{MARGIN}" y="{y}">{words}</text>')
    colours = lambda *c: (
        f".paper{{fill:{c[0]}}}text{{fill:{c[1]}}}.d{{fill:{c[2]}}}.r{{fill:{c[3]}}}"
        f".g{{fill:{c[4]}}}.y{{fill:{c[5]}}}.c{{fill:{c[6]}}}"
    )
    light = colours("#fbfbf9", "#1f2933", "#5b6673", "#c2251d", "#15803d", "#b45309", "#1d4ed8")
    dark = colours("#151b20", "#e6ebef", "#98a4b0", "#f87171", "#4ade80", "#fbbf24", "#7db0ff")
    end = f"transform:translateY({(ROWS - len(shown)) * LINE}px)"
    style = (
        f"text{{white-space:pre;font:{FONT}px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace}}"
        f".b{{font-weight:700}}{light}@media (prefers-color-scheme:dark){{{dark}}}"
        f"@keyframes s{{{frames(shown, length)}}}"
        f".s{{{end};animation:s {length:.1f}s step-end infinite}}"
        "@media (prefers-reduced-motion:reduce){.s{animation:none}}"
    )
    inside = f'<rect x="0" y="{MARGIN}" width="{width}" height="{ROWS * LINE}"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" xml:space="preserve" '
        f'aria-label="scripts/demo.sh in a terminal"><style>{style}</style>'
        f'<rect width="{width}" height="{height}" rx="8" class="paper"/>'
        f'<clipPath id="w">{inside}</clipPath><g clip-path="url(#w)">'
        f'<g class="s">\n' + "\n".join(rows) + "\n</g></g></svg>\n"
    )


def main():
    if sys.argv[1:]:
        print(__doc__)
        sys.exit(0 if sys.argv[1] in ("-h", "--help") else 2)
    programs = os.environ.get("CONSORCIO_PROGRAMS")
    if not programs:
        subprocess.run(["cargo", "build", "--release", "--bins"], cwd=HERE, check=True)
        programs = str(Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target")) / "release")
    programs = str(Path(programs).resolve())
    shown, length = timed_rows(without_paths(lines(record(programs)), programs))
    path = HERE / "docs/images/demo.svg"
    path.write_text(svg(shown, length), encoding="utf-8")
    print(f"{path}: {len(shown)} rows, {length:.0f} s, {path.stat().st_size // 1024} KiB")


main()
