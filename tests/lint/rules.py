"""Rules about source text. Each takes a path (relative, as text) and the text, and gives findings.

A finding is "line: what is wrong".
"""

import re

MAX_LINES = {".c": 600, ".h": 200, ".py": 600, "": 600}
MAX_FUNCTION = 100
MAX_COLUMNS = 100
TAB = 8

RANKS = {"base": 0, "core": 1, "io": 2, "config": 3, "app": 3}

# Which files may know which library: (header, pattern of the paths that may include it).
LIBRARY_HEADERS = (
    (r"uv\.h", r"(include/)?worker/(io/.*|[^/]+)"),
    (r"curl/", r"(include/)?worker/io/(http|transfer)[^/]*|worker/[^/]+"),
    (r"librdkafka/", r"(include/)?worker/io/(kafka|consumer|publisher|committer)[^/]*"),
    (r"microhttpd\.h", r"worker/io/admin[^/]*"),
    (r"jansson\.h", r"(include/)?worker/(core/.*|io/.*|config/.*|[^/]+)"),
    (r"yaml\.h", r"(include/)?worker/(config/)?[^/]+"),
    (r"(jose|openssl)/", r"worker/io/assertion[^/]*"),
    (r"systemd/", r"worker/[^/]+"),
    (r"ck_", r"worker/base/table\.c"),
    (r"(unistd|pthread|signal|fcntl|threads)\.h|sys/.*", r"(include/)?worker/(?!core/).*"),
)

BANNED = (
    "strcpy strcat sprintf vsprintf atoi atol strtok rand srand gettimeofday usleep sleep alloca "
    "gets time"
).split()
BANNED_IN_CORE = "clock_gettime clock getenv secure_getenv printf fprintf puts malloc_usable_size"
BANNED_IN_CORE = BANNED_IN_CORE.split()

# A machine's own paths, and hosts of package registries. Written so that they do not match here.
LOCAL = (
    r"/wor[k]/|/roo[t]/|/hom[e]/\w|\.py[e]nv|/\.libr[a]ry\b|deb\.debia[n]\.org|repo1?\.mave[n]\.|"
    r"pyp[i]\.org|registry\.npmj[s]|proxy\.golan[g]|crate[s]\.io"
)


def is_c(path):
    return path.endswith((".c", ".h"))


def blank(match):
    return re.sub(r"[^\n]", " ", match.group(0))


COMMENT = r"/\*.*?\*/"
STRING = r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'"


def without_comments(text):
    """Comments become blanks, lines stay where they are; strings are kept."""
    pattern = re.compile(f"({STRING})|{COMMENT}", re.S)
    return pattern.sub(lambda m: m.group(0) if m.group(1) else blank(m), text)


def code_only(text):
    """Neither comments nor what stands in strings."""
    return re.sub(f"{COMMENT}|{STRING}", blank, text, flags=re.S)


def matches(pattern, text, say):
    found = []
    for match in re.finditer(pattern, text, re.M):
        line = text.count("\n", 0, match.start()) + 1
        found.append(f"{line}: {say(match)}")
    return found


def layer_of(path):
    """'base', 'core', 'io' or 'app'; None for what is no part of the worker."""
    match = re.fullmatch(r"(?:include/)?worker/(?:(\w+)/)?[^/]+\.[ch]", path)
    return (match.group(1) or "app") if match else None


def include_direction(path, text):
    """Includes point only from app to io to core to base, and few files know a library."""
    layer = layer_of(path)
    if layer is None:
        return []
    found = []
    for number, line in enumerate(without_comments(text).splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+(?:"worker/([^"]+)"|<([^>]+)>|"([^"]+)")', line)
        if not match:
            continue
        ours, system, other = match.groups()
        if ours:
            target = ours.split("/")[0] if "/" in ours else "app"
            if RANKS.get(target, 99) > RANKS.get(layer, -1):
                found.append(f"{number}: {layer} includes worker/{ours}, which is above it")
        elif other and layer != "app":
            found.append(f'{number}: "{other}" is not included by its path')
        for header, allowed in LIBRARY_HEADERS:
            if system and re.fullmatch(f"(?:{header}).*", system):
                if not re.fullmatch(allowed, path):
                    found.append(f"{number}: <{system}> may not be included here")
    return found


def banned_calls(path, text):
    if not is_c(path):
        return []
    words = BANNED + (BANNED_IN_CORE if layer_of(path) == "core" else [])
    pattern = rf"(?<![\w.>])({'|'.join(words)})\s*\("
    return matches(pattern, code_only(text), lambda m: f"{m.group(1)}() is banned")


def mutable_statics(path, text):
    """No file or function keeps state of its own: everything hangs from an object."""
    if not path.endswith(".c") or layer_of(path) is None:
        return []
    pattern = r"^[ \t]*static[ \t]+(?!inline\b)(?!(?:\w+[ \t]+)*const\b)[^();{}]*?[^();{}*]\s*(=|;)"
    found = matches(pattern, code_only(text), lambda m: "a mutable static")
    pattern = r"^[ \t]*static[ \t]+[^();{}=]*\*\s*(?!const\b)\w+(\[[^\]]*\])?\s*(=|;)"
    return found + matches(pattern, code_only(text), lambda m: "a mutable static pointer")


def file_length(path, text):
    ending = path[path.rfind(".") :] if "." in path.rsplit("/", 1)[-1] else ""
    limit = MAX_LINES.get(ending)
    count = text.count("\n")
    return [f"{count}: more than {limit} lines"] if limit and count > limit else []


def function_length(path, text):
    """Bodies as clang-format lays them out: braces in the first column."""
    if not path.endswith(".c"):
        return []
    found, start = [], None
    for number, line in enumerate(text.splitlines(), 1):
        if line == "{":
            start = number
        elif line.startswith("}") and start:
            if number - start + 1 > MAX_FUNCTION:
                found.append(f"{start}: a function of {number - start + 1} lines")
            start = None
    return found


def line_width(path, text):
    if not path.endswith((".c", ".h", ".py")):
        return []
    lines = enumerate(text.splitlines(), 1)
    wide = ((number, len(line.expandtabs(TAB))) for number, line in lines)
    return [f"{number}: {width} columns" for number, width in wide if width > MAX_COLUMNS]


def comment_style(path, text):
    if not is_c(path):
        return []
    found = matches(r"//", code_only(text), lambda m: "a comment by //")
    return found + matches(r"\b(TODO|FIXME|XXX)\b", text, lambda m: m.group(1))


def include_guard(path, text):
    if not path.startswith("include/") or not path.endswith(".h"):
        return []
    name = re.sub(r"\W", "_", path[len("include/") :]).upper()
    if re.search(rf"^#ifndef {name}\n#define {name}$", text, re.M):
        return []
    return [f"1: no include guard named {name}"]


def sleeping_tests(path, text):
    if not re.match(r"tests/(core|engine)/", path) or not is_c(path):
        return []
    return matches(r"\w*sleep\w*", code_only(text), lambda m: f"{m.group(0)} in a pure test")


def machine_paths(_path, text):
    return matches(LOCAL, text, lambda m: f"'{m.group(0)}' belongs to one machine or registry")


RULES = (
    include_direction,
    banned_calls,
    mutable_statics,
    file_length,
    function_length,
    line_width,
    comment_style,
    include_guard,
    sleeping_tests,
    machine_paths,
)
