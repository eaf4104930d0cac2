#!/usr/bin/env python3
"""Checks traces against a profile: apparmor.py PROFILE CHILD ROOT TRACE...

The child profile CHILD must allow each file that the traced program opened, each program that it
started, and each kind of socket that it made. Links are followed below ROOT, because AppArmor checks
their targets."""

import pathlib
import re
import sys

ABSTRACTIONS = pathlib.Path("/etc/apparmor.d")
# Debian's tunables that the abstractions here use.
VARIABLES = {
    "PROC": "/proc", "proc": "/proc", "sys": "/sys", "run": "/{,var/}run", "etc_ro": "/{,usr/}etc",
    "etc_rw": "/etc", "multiarch": "*-linux-gnu*", "pid": "[0-9]*", "tid": "[0-9]*", "HOME": "/root",
    "lib": "/{,usr/}lib{,32,64}",
}


def rules_of(text):
    """The lines of a profile and its includes."""
    for line in text.splitlines():
        line = line.strip()
        include = re.match(r"#?include (if exists )?<(.*)>", line)
        if include:
            path = ABSTRACTIONS / include[2]
            files = sorted(path.iterdir()) if path.is_dir() else [path]
            for file in files:
                if file.exists():
                    yield from rules_of(file.read_text())
        elif line and not line.startswith("#"):
            yield line.split(" #")[0].strip()


def pattern(glob):
    """A path's glob as a regular expression."""
    for name, value in VARIABLES.items():
        glob = glob.replace("@{" + name + "}", value)
    out, depth, at = "", 0, 0
    while at < len(glob):
        char = glob[at]
        if glob.startswith("**", at):
            out, at = out + ".*", at + 1
        elif char == "*":
            out += "[^/]*"
        elif char == "?":
            out += "[^/]"
        elif char == "{":
            out, depth = out + "(?:", depth + 1
        elif char == "}":
            out, depth = out + ")", depth - 1
        elif char == "," and depth:
            out += "|"
        elif char == "[":
            end = glob.index("]", at)
            out, at = out + glob[at : end + 1], end
        else:
            out += re.escape(char)
        at += 1
    return re.compile(out)


def allowed(lines):
    """The allowed paths with their rights, and the allowed kinds of sockets."""
    paths, networks = [], set()
    for line in lines:
        path = re.match(r"(?:owner )?(\"?)([/@][^\s\"]*)\1\s+([a-zA-Z]+),", line)
        network = re.match(r"network(?: (\w+))?(?: (\w+))?,", line)
        if path:
            paths.append((pattern(path[2]), path[3]))
        elif network:
            networks.add((network[1], network[2]))
    return paths, networks


def resolved(path, root):
    """The target of a path below the root. Devices and /proc keep their names."""
    if path.startswith(("/dev/", "/proc/", "/sys/")):
        return path
    seen = pathlib.PurePosixPath("/")
    parts = list(pathlib.PurePosixPath(path).parts[1:])
    for _ in range(200):
        if not parts:
            break
        part = parts.pop(0)
        seen = seen.parent if part == ".." else seen / part
        here = root / str(seen)[1:]
        if here.is_symlink():
            target = pathlib.PurePosixPath(here.readlink())
            parts = list(target.parts[1:] if target.is_absolute() else target.parts) + parts
            seen = pathlib.PurePosixPath("/") if target.is_absolute() else seen.parent
    return str(seen)


def touched(trace, program):
    """Each access of the program itself, with its rights."""
    on = False
    for line in trace.splitlines():
        start = re.search(r'execve\("([^"]*)".*= 0$', line)
        if start:
            on = on or start[1] == program
            if start[1] != program and on:
                yield "file", start[1], "x"
            continue
        if not on:
            continue
        opened = re.search(r'open(?:at)?\((?:(?:[A-Z_]+|\d+)(?:<[^>]*>)?, )?"([^"]+)", ([A-Z_|]+)', line)
        if opened and opened[1].startswith("/"):
            mode = opened[2]
            rights = "rw" if "O_RDWR" in mode else "w" if "O_WRONLY" in mode else "r"
            yield "file", opened[1], rights
        locked = re.search(r"flock\(\d+<([^>]+)>", line)
        if locked:
            yield "file", locked[1], "k"
        socket = re.search(r"socket\(AF_(\w+), SOCK_(\w+)", line)
        if socket and socket[1] != "UNIX":
            yield "socket", socket[1].lower(), socket[2].lower()


def main():
    profile, child, root, *traces = sys.argv[1:]
    text = pathlib.Path(profile).read_text()
    inner = text[text.index(f"profile {child} ") :]
    paths, networks = allowed(rules_of(inner[inner.index("\n") : inner.index("\n  }")]))
    program = re.search(rf"^  (\S+) cx -> {child},", text, re.M)[1]
    seen, refused = set(), set()
    for trace in traces:
        for kind, what, how in touched(pathlib.Path(trace).read_text(errors="replace"), program):
            if kind == "socket":
                good = any(n[0] in (None, what) and n[1] in (None, how) for n in networks)
            else:
                what = resolved(what.removeprefix(root), pathlib.Path(root))
                # In AppArmor, folders end with a slash.
                if (pathlib.Path(root) / what[1:]).is_dir():
                    what = what.rstrip("/") + "/"
                # The pseudo-terminal stands for an adapter.
                what = re.sub("^/dev/(pts/[0-9]+|ttyKMPtrace)$", "/dev/ttyUSB0", what)
                has = "".join(rights for rule, rights in paths if rule.fullmatch(what))
                good = all(right in has for right in how)
            seen.add((kind, what, how))
            if not good:
                refused.add((kind, what, how))
    files = sum(kind == "file" for kind, _, _ in seen)
    if not files or len(seen) == files:
        sys.exit("the trace has no files or no sockets, so it is not the trace of a run")
    for kind, what, how in sorted(refused):
        print(f"the profile does not allow: {kind} {what} {how}")
    print(f"apparmor: {files} files and {len(seen) - files} kinds of sockets were used")
    sys.exit(bool(refused))


main()
